/** `--draft-model`: a small model that drafts what the answer's model then verifies: resolved, checked, and run in this process or in a tab. */

import type { ResolvedModel } from '../node/index.ts'
import type { DraftSource, ModelDrafter, Sampling } from '../session/index.ts'
import { SerialQueue } from '../shared/index.ts'
import { type EngineAdapter, openEngine } from './engine.ts'
import { printNote, progressPrinter } from './output.ts'
import { loadWholeModel } from './wholeModel.ts'

export const DRAFT_MODEL_OPTION = '--draft-model <id|file|url>'

/** Rejects with a ModelError, `other-vocabulary` where it cannot draft for `target`. */
export async function resolveDraftModel(name: string, target: ResolvedModel): Promise<ResolvedModel> {
  const { resolveModel } = await import('../node/index.ts')
  const { checkSameVocabulary, createTokenizer } = await import('../model/index.ts')
  const draft = await resolveModel(name, progressPrinter('draft model'))
  const [answering, drafting] = [target, draft].map(({ hashedManifest, gguf }) => ({
    name: hashedManifest.manifest.name,
    tokenizer: createTokenizer(gguf.metadata),
  }))
  if (answering !== undefined && drafting !== undefined) checkSameVocabulary(answering, drafting)
  return draft
}

export interface LocalDraftModel {
  /** For one answer of at most `maxPositions`; to be closed after it. */
  drafter(request: { readonly maxPositions: number; readonly sampling: Sampling; readonly topK: number }): ModelDrafter
  /** After all drafters were closed. */
  dispose(): Promise<void>
}

/** In this process, on an engine of its own with room for `sessions` answers of `maxPositions` at one time. */
export async function openLocalDraftModel(
  model: ResolvedModel,
  adapter: EngineAdapter,
  room: { readonly sessions: number; readonly maxPositions: number },
): Promise<LocalDraftModel> {
  const { ModelDrafter: Drafter, openDraftSession } = await import('../session/index.ts')
  const { KV_BLOCK_POSITIONS, kvBlockCount } = await import('../worker/index.ts')
  const { nodeClock } = await import('../node/index.ts')
  const { config, id } = model.hashedManifest.manifest
  const engine = await openEngine(adapter)
  await loadWholeModel(engine, model, room.sessions * kvBlockCount(room.maxPositions) * KV_BLOCK_POSITIONS)
  // An engine may not go while it computes: what is closed waits for what is under way.
  const calls = new SerialQueue()
  return {
    drafter(request) {
      const session = openDraftSession({ engine, config, ...request, clock: nodeClock })
      const source: DraftSource = {
        draft: (ids, count) => calls.run(() => session.draft(ids, count)),
        close: () => void calls.run(async () => session.close()),
      }
      return new Drafter(source, nodeClock, (error) => printNote(`${id} drafts no more: ${String(error)}`))
    },
    async dispose() {
      await calls.idle()
      await new Promise<void>((resolve) => void nodeClock.after(0, resolve))
      engine.dispose()
    },
  }
}
