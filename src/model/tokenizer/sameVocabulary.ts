/**
 * checkSameVocabulary: a model can draft for another only where each token id stands for the same text in both. Files are compared
 * by those texts in their order; merges and templates may differ, since drafts begin and end as ids.
 */

import { ModelError } from '../errors.ts'
import type { Tokenizer } from './tokenizer.ts'

export interface NamedVocabulary {
  /** Of the model, for people. */
  readonly name: string
  readonly tokenizer: Pick<Tokenizer, 'vocabularySize' | 'tokenText'>
}

/** Throws `other-vocabulary` with both names and the first difference. */
export function checkSameVocabulary(target: NamedVocabulary, draft: NamedVocabulary): void {
  const difference = firstDifference(target.tokenizer, draft.tokenizer)
  if (difference === null) return
  throw new ModelError(
    'other-vocabulary',
    `${draft.name} cannot draft for ${target.name}: ${difference}; choose a smaller model of the same family`,
  )
}

function firstDifference(target: NamedVocabulary['tokenizer'], draft: NamedVocabulary['tokenizer']): string | null {
  if (draft.vocabularySize !== target.vocabularySize)
    return `its vocabulary has ${draft.vocabularySize} tokens, not ${target.vocabularySize}`
  for (let id = 0; id < target.vocabularySize; id++) {
    const [wanted, found] = [target.tokenText(id), draft.tokenText(id)]
    if (found !== wanted) return `its token ${id} is ${JSON.stringify(found.slice(0, 40))}, not ${JSON.stringify(wanted.slice(0, 40))}`
  }
  return null
}
