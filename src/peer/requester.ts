/**
 * Requester: one question from text to answer. Tokenizes, asks for admission, opens the chain, generates, and tells the page
 * how far it is. The prompt's text never leaves this tab except as token ids to the first stage.
 */

import { encodePrompt } from '../model/index.ts'
import { type ChainStage, type Grant, openGrant, type SignedGrant } from '../protocol/index.ts'
import {
  type Chain,
  chunkRowsFor,
  createNgramDrafter,
  type GenerateEvent,
  generate,
  type LinkRouter,
  openLinkChain,
  SessionError,
} from '../session/index.ts'
import { type Clock, type ManifestHash, type ModelId, type SessionId, TabswarmError, type VerifySignature } from '../shared/index.ts'
import type { ModelLibrary, ModelText } from './modelLibrary.ts'
import { Route, worstLink } from './route.ts'
import type { Answer, Ask, AskProgress, AskRequest } from './types.ts'

export interface Admission {
  readonly grant: SignedGrant
  readonly chain: readonly ChainStage[]
}

export interface AdmissionRequest {
  readonly modelId: ModelId
  readonly promptTokens: number
  readonly maxTokens: number
}

export interface RequesterPorts {
  readonly library: ModelLibrary
  /** The manifest that the coordinator serves the model with. Rejects when there is no such model. */
  readonly manifestHash: (modelId: ModelId) => Promise<ManifestHash>
  /** Rejects with the coordinator's refusal. */
  readonly admit: (request: AdmissionRequest) => Promise<Admission>
  readonly ended: (sessionId: SessionId, outcome: 'finished' | 'cancelled' | 'failed', failedStage: ChainStage | null) => void
  /** Links of this peer; connects to the signalling server at the first call. */
  readonly router: () => Promise<LinkRouter>
  readonly coordinatorKey: () => Uint8Array
  readonly coordinatorNowMs: () => number
  readonly verify: VerifySignature
  readonly clock: Clock
}

/** Chains that are tried before the first token: a tab may have gone since the coordinator heard of it. */
const ATTEMPTS_MAX = 2
/** How long an answer waits for its last figures. */
const LAST_LAPS_MS = 200
/** Failures that another chain, or another try, may not have. */
const OTHER_CHAIN_REASONS: readonly string[] = ['unreachable', 'not-serving', 'no-room', 'stage-lost', 'stopped', 'device-lost']

export function startAsk(ports: RequesterPorts, request: AskRequest, onProgress: (progress: AskProgress) => void): Ask {
  const controller = new AbortController()
  const asking = new Asking(ports, request, onProgress, controller.signal)
  // Begun after this returns: who asks has its Ask in hand before the first progress comes.
  return { answer: Promise.resolve().then(() => asking.run()), stop: () => controller.abort() }
}

class Asking {
  readonly #ports: RequesterPorts
  readonly #request: AskRequest
  readonly #onProgress: (progress: AskProgress) => void
  readonly #signal: AbortSignal
  readonly #startedMs: number
  readonly #route = new Route()
  #promptTokenIds: readonly number[] = []
  #progress: AskProgress = {
    phase: 'queued',
    promptDone: 0,
    promptTokens: 0,
    text: '',
    completionTokens: 0,
    route: [],
    lastLapMs: null,
  }
  #firstTokenMs: number | null = null

  constructor(ports: RequesterPorts, request: AskRequest, onProgress: (progress: AskProgress) => void, signal: AbortSignal) {
    this.#ports = ports
    this.#request = request
    this.#onProgress = onProgress
    this.#signal = signal
    this.#startedMs = ports.clock.nowMs()
  }

  async run(): Promise<Answer> {
    try {
      return await this.#run()
    } catch (error) {
      if (this.#signal.aborted)
        return this.#answer(null, {
          completionTokenIds: [],
          text: this.#progress.text,
          finishReason: 'cancelled',
          tokensPerSecond: null,
          drafts: { laps: 0, draftedTokens: 0, acceptedTokens: 0 },
        })
      throw error
    }
  }

  async #run(): Promise<Answer> {
    const { modelId, maxTokens } = this.#request
    this.#tell({})
    const text = await this.#unlessStopped(this.#readModel(modelId))
    const promptTokens = this.#encode(text)
    const maxTokensHere = this.#roomFor(text, promptTokens, maxTokens)
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(text, { modelId, promptTokens, maxTokens: maxTokensHere })
      } catch (error) {
        const passes = error instanceof SessionError && OTHER_CHAIN_REASONS.includes(error.reason) && this.#firstTokenMs === null
        if (!passes || attempt === ATTEMPTS_MAX || this.#signal.aborted) throw error
      }
    }
  }

  /** One admission, one chain. */
  async #attempt(text: ModelText, request: AdmissionRequest): Promise<Answer> {
    this.#tell({ phase: 'queued', promptDone: 0, route: [] })
    const { grant: signedGrant, chain } = await this.#unlessStopped(this.#ports.admit(request), (late) => this.#giveBack(late))
    const opened = await this.#open(signedGrant)
    this.#route.begin(chain)
    this.#tell({ phase: 'connecting', route: this.#route.stages() })
    return this.#generate(text, opened, { grant: signedGrant, chain })
  }

  async #readModel(modelId: ModelId): Promise<ModelText> {
    return this.#ports.library.text(modelId, await this.#ports.manifestHash(modelId))
  }

  async #open(signedGrant: SignedGrant): Promise<Grant> {
    const { coordinatorKey, verify, coordinatorNowMs } = this.#ports
    const opened = await openGrant(signedGrant, coordinatorKey(), verify, coordinatorNowMs())
    if (!opened.ok) throw new TabswarmError('bad-grant', `the coordinator's permission is not valid (${opened.error}); reload the page`)
    return opened.value
  }

  /** Admission that came after Stop: nobody will use it. */
  async #giveBack(late: Admission): Promise<void> {
    const grant = await this.#open(late.grant)
    this.#ports.ended(grant.sessionId, 'cancelled', null)
  }

  /** The work's result, or a rejection as soon as the user stops; `onLate` gets a result that nobody waits for. */
  #unlessStopped<Value>(work: Promise<Value>, onLate?: (value: Value) => Promise<void>): Promise<Value> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        reject(new TabswarmError('cancelled', 'stopped'))
        if (onLate !== undefined) work.then(onLate).catch(() => undefined)
      }
      if (this.#signal.aborted) return onAbort()
      this.#signal.addEventListener('abort', onAbort, { once: true })
      work.then(resolve, reject).finally(() => this.#signal.removeEventListener('abort', onAbort))
    })
  }

  #encode({ tokenizer, template }: ModelText): number {
    const { prompt } = this.#request
    this.#promptTokenIds = encodePrompt(tokenizer, prompt.kind === 'raw' ? prompt.text : template().render(prompt.messages))
    this.#tell({ promptTokens: this.#promptTokenIds.length })
    return this.#promptTokenIds.length
  }

  /** The answer's length that the context leaves. */
  #roomFor({ manifest }: ModelText, promptTokens: number, maxTokens: number): number {
    const { contextLength } = manifest.config
    if (promptTokens === 0) throw new TabswarmError('bad-request', 'the prompt is empty; type something')
    if (promptTokens >= contextLength) {
      const advice = 'shorten it, or begin a new conversation'
      throw new TabswarmError('prompt-too-long', `the prompt has ${promptTokens} tokens and the model reads ${contextLength}; ${advice}`)
    }
    return Math.min(maxTokens, contextLength - promptTokens)
  }

  async #generate(text: ModelText, grant: Grant, admission: Admission): Promise<Answer> {
    const { clock, ended, router } = this.#ports
    let chain: Chain | null = null
    try {
      chain = await openLinkChain({
        router: await router(),
        grant,
        signedGrant: admission.grant,
        vocabularySize: text.manifest.config.vocabularySize,
        clock,
        signal: this.#signal,
      })
      this.#tell({ phase: 'reading' })
      const { timings, ...result } = await generate({
        chain,
        tokenizer: text.tokenizer,
        promptTokenIds: this.#promptTokenIds,
        maxTokens: grant.maxPositions - this.#promptTokenIds.length,
        sampling: this.#request.sampling,
        stop: this.#request.sampling.stop,
        chunkRows: chunkRowsFor(text.manifest.config.width),
        clock,
        signal: this.#signal,
        onEvent: (event) => this.#onEvent(event),
        stripLeadingSpace: text.stripLeadingSpace,
        ...(this.#request.speculation === 'off' ? {} : { drafter: createNgramDrafter() }),
      })
      await this.#lastLaps(result)
      ended(grant.sessionId, result.finishReason === 'cancelled' ? 'cancelled' : 'finished', null)
      return this.#answer(grant.sessionId, { ...result, tokensPerSecond: timings.tokensPerSecond })
    } catch (error) {
      const blamed = error instanceof SessionError && error.stageIndex !== null ? admission.chain[error.stageIndex] : undefined
      ended(grant.sessionId, this.#signal.aborted ? 'cancelled' : 'failed', blamed ?? null)
      throw error
    } finally {
      chain?.close()
    }
  }

  /** What the stages say of their last lap comes a moment after its result; the figures are worth the moment. */
  #lastLaps({ finishReason, completionTokenIds }: Pick<Answer, 'finishReason' | 'completionTokenIds'>): Promise<void> {
    if (finishReason === 'cancelled' || this.#firstTokenMs === null) return Promise.resolve()
    // The token that ended the answer by its length was never computed on.
    const positions = this.#promptTokenIds.length + completionTokenIds.length - (finishReason === 'length' ? 1 : 0)
    return new Promise((resolve) => {
      const cancel = this.#ports.clock.after(LAST_LAPS_MS, resolve)
      this.#route.whenHeardOf(positions, () => {
        cancel()
        resolve()
      })
    })
  }

  #onEvent(event: GenerateEvent): void {
    switch (event.kind) {
      case 'prompt':
        return this.#tell({ promptDone: event.done, promptTokens: event.total })
      case 'token': {
        const nowMs = this.#ports.clock.nowMs()
        this.#firstTokenMs ??= nowMs - this.#startedMs
        const text = this.#progress.text + event.text
        const { completionTokens, lapMs: lastLapMs } = event
        return this.#tell({ phase: 'answering', text, completionTokens, lastLapMs, route: this.#route.stages() })
      }
      case 'text':
        return this.#tell({ text: this.#progress.text + event.text })
      case 'lap':
        return this.#route.lap(event.lap)
    }
  }

  #answer(
    sessionId: SessionId | null,
    result: Pick<Answer, 'completionTokenIds' | 'text' | 'finishReason' | 'tokensPerSecond' | 'drafts'>,
  ): Answer {
    const stages = this.#route.stages()
    this.#tell({ route: stages })
    const { completionTokenIds, text, finishReason, tokensPerSecond, drafts } = result
    return {
      model: this.#request.modelId,
      sessionId,
      promptTokenIds: this.#promptTokenIds,
      completionTokenIds,
      text,
      finishReason,
      timeToFirstTokenMs: this.#firstTokenMs,
      tokensPerSecond,
      drafts,
      stages,
      dataPath: worstLink(stages.map((stage) => stage.link.kind)),
    }
  }

  #tell(change: Partial<AskProgress>): void {
    this.#progress = { ...this.#progress, ...change }
    this.#onProgress(this.#progress)
  }
}
