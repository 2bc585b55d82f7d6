/**
 * DraftModel: the small model that drafts for this tab's answers, from the user's word until it is unloaded. Refused before a byte of
 * its weights is fetched where its vocabulary is another; a worker of its own, so that unloading gives everything back at once.
 */

import { proxy, type Remote } from 'comlink'
import { checkSameVocabulary } from '../model/index.ts'
import { type DraftSource, ModelDrafter, type Sampling } from '../session/index.ts'
import { type Clock, type ErrorBody, TabswarmError, toErrorBody } from '../shared/index.ts'
import type { EngineChoice } from '../worker/index.ts'
import type { DraftOpenRequest, DraftWorkerApi } from './draftWorkerApi.ts'
import type { ModelLibrary, ModelText } from './modelLibrary.ts'
import { unwrap } from './outcome.ts'
import type { AnswerDraftModel, DraftModelOffer, DraftModelState } from './types.ts'

export interface DraftWorker {
  readonly api: Remote<DraftWorkerApi>
  terminate(): void
}

export interface DraftModelPorts {
  readonly library: Pick<ModelLibrary, 'text' | 'modelUrl'>
  readonly startWorker: () => DraftWorker
  /** The model that this tab asks, for which drafts are wanted. */
  readonly target: () => Promise<ModelText>
  readonly clock: Clock
  readonly onState: (state: DraftModelState) => void
  /** Weights were kept, or might have been. */
  readonly onStored: () => void
}

export interface DraftingRequest {
  /** Of the model that answers. */
  readonly target: ModelText
  readonly maxPositions: number
  readonly sampling: Sampling
  readonly topK: number
}

/** Its part in one answer. */
export interface Drafting {
  readonly drafter: ModelDrafter
  /** What the answer says of it. */
  report(): AnswerDraftModel
}

/** Of all answers at one time: several of usual length, or one long one. */
const KV_POSITIONS_MAX = 4_096

export class DraftModel {
  readonly #ports: DraftModelPorts
  readonly #offer: DraftModelOffer
  #worker: DraftWorker | null = null
  /** Null until it is ready. */
  #text: ModelText | null = null
  #stopped = false

  /** Begins to load at once. */
  constructor(ports: DraftModelPorts, offer: DraftModelOffer, engine: EngineChoice) {
    this.#ports = ports
    this.#offer = offer
    void this.#load(engine).catch((error: unknown) => this.#fail(toErrorBody(error)))
  }

  /** Null while it is not ready. A model that cannot draft for this answer says why in the report. */
  begin(request: DraftingRequest): Drafting | null {
    if (this.#text === null || this.#worker === null) return null
    const { modelId } = this.#offer
    let problem: ErrorBody | null = null
    const drafter = new ModelDrafter(this.#source(this.#worker, this.#text, request), this.#ports.clock, (error) => {
      problem = toErrorBody(error)
    })
    return { drafter, report: () => ({ modelId, problem }) }
  }

  /** Frees its memory at once; answers under way go on without it. */
  stop(): void {
    this.#end()
    this.#ports.onState({ kind: 'off' })
  }

  #end(): void {
    this.#stopped = true
    this.#text = null
    this.#worker?.terminate()
    this.#worker = null
  }

  #fail(error: ErrorBody): void {
    if (this.#stopped) return
    this.#end()
    this.#ports.onState({ kind: 'failed', modelId: this.#offer.modelId, error })
  }

  async #load(engine: EngineChoice): Promise<void> {
    const { library, startWorker, target, onState, onStored } = this.#ports
    const { modelId, manifestHash, fileBytes } = this.#offer
    const onProgress = (progress: { bytesLoaded: number; bytesTotal: number; bytesFromCache: number }) => {
      if (!this.#stopped) onState({ kind: 'loading', modelId, ...progress })
    }
    onProgress({ bytesLoaded: 0, bytesTotal: fileBytes, bytesFromCache: 0 })
    const [text, answering] = await Promise.all([library.text(modelId, manifestHash), target()])
    checkSame(answering, text)
    if (this.#stopped) return
    this.#worker = startWorker()
    const { manifest } = text
    const kvPositions = Math.min(manifest.config.contextLength, KV_POSITIONS_MAX)
    const onLost = (message: string) =>
      this.#fail({ reason: 'device-lost', message: `the GPU was lost (${message}); load the model again` })
    const request = { manifest, modelUrl: library.modelUrl(modelId), engine, kvPositions }
    const loaded = unwrap(await this.#worker.api.load(request, proxy({ onProgress, onLost })))
    onStored()
    if (this.#stopped) return
    this.#text = text
    onState({ kind: 'ready', modelId, ...loaded })
  }

  /** Opened with its first draft, which nobody waits for. */
  #source({ api }: DraftWorker, text: ModelText, { target, maxPositions, sampling, topK }: DraftingRequest): DraftSource {
    const open = async (): Promise<number> => {
      checkSame(target, text)
      const request: DraftOpenRequest = { maxPositions: Math.min(maxPositions, text.manifest.config.contextLength), sampling, topK }
      return unwrap(await api.open(request))
    }
    let session: Promise<number> | null = null
    return {
      draft: async (ids, count) => {
        session ??= open()
        const id = await session
        if (this.#stopped) throw new TabswarmError('unloaded', 'the draft model was unloaded')
        return unwrap(await api.draft(id, ids, count))
      },
      close: () => {
        void session?.then((id) => (this.#stopped ? undefined : api.close(id))).catch(() => undefined)
      },
    }
  }
}

function checkSame(target: ModelText, draft: ModelText): void {
  const named = ({ manifest, tokenizer }: ModelText) => ({ name: manifest.name, tokenizer })
  checkSameVocabulary(named(target), named(draft))
}
