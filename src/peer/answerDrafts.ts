/** Who drafts for one answer: nobody, the text so far, or that and the draft model. */

import { createNgramDrafter, type Drafter, lookupFirst } from '../session/index.ts'
import type { Drafting } from './draftModel.ts'
import type { AnswerDraftModel, AskRequest } from './types.ts'

export interface AnswerDrafts {
  readonly drafter: Drafter
  /** Null where no model takes part. */
  report(): AnswerDraftModel | null
  close(): void
}

export function draftsFor(speculation: NonNullable<AskRequest['speculation']>, begin: () => Drafting | null): AnswerDrafts | null {
  if (speculation === 'off') return null
  const lookup = createNgramDrafter()
  const drafting = speculation === 'on' ? begin() : null
  if (drafting === null) return { drafter: lookup, report: () => null, close: () => undefined }
  const { drafter, report } = drafting
  return { drafter: lookupFirst(lookup, drafter), report, close: () => drafter.close() }
}
