/**
 * Requester: one question from text to answer. Tokenizes, asks for admission, opens the chain, generates, and tells the page
 * how far it is. The prompt's text never leaves this tab except as token ids to the first stage.
 */

import { type ChainStage, type ClientMessage, type Grant, openGrant, type SignedGrant } from '../protocol/index.ts'
import {
  type Chain,
  type ChainRepair,
  choiceMargin,
  chunkRowsFor,
  type DriverBook,
  type GenerateEvent,
  generate,
  LapTimes,
  type LinkRouter,
  openLinkChain,
  type RepairRequest,
  SessionError,
} from '../session/index.ts'
import {
  type Clock,
  type ManifestHash,
  type ModelId,
  type PeerId,
  type SessionId,
  TabswarmError,
  TIER_DEFAULT,
  type Tier,
  type VerifySignature,
} from '../shared/index.ts'
import { type AnswerDrafts, draftsFor } from './answerDrafts.ts'
import type { DraftModel } from './draftModel.ts'
import type { ModelLibrary, ModelText } from './modelLibrary.ts'
import { promptIds } from './promptIds.ts'
import { Route, worstLink } from './route.ts'
import type { Answer, Ask, AskProgress, AskRequest } from './types.ts'

export interface Admission {
  readonly grant: SignedGrant
  readonly chain: readonly ChainStage[]
  /** Micro-credits that are set aside; null where nobody pays. */
  readonly held: bigint | null
}

export interface AdmissionRequest {
  readonly modelId: ModelId
  readonly promptTokens: number
  readonly maxTokens: number
  readonly tier: Tier
  /** Who pays instead of this peer's account: see the coordinator's payments. */
  readonly voucher?: string
  /** How long it may wait for a place. */
  readonly waitMs?: number
}

export interface RequesterPorts {
  readonly library: Pick<ModelLibrary, 'text'>
  /** The manifest that the coordinator serves the model with. Rejects when there is no such model. */
  readonly manifestHash: (modelId: ModelId) => Promise<ManifestHash>
  /** Rejects with the coordinator's refusal. It may wait for a while, behind others; not after `signal`, if it can be helped. */
  readonly admit: (request: AdmissionRequest, watch: { onQueued(ahead: number): void; signal: AbortSignal }) => Promise<Admission>
  /** Another chain for an open session. Rejects with the coordinator's refusal. */
  readonly repair: (request: RepairRequest) => Promise<Admission>
  /** Subscribes to peers that the coordinator has lost sight of; returns the end of it. */
  readonly onGone: (listener: (peerId: PeerId) => void) => () => void
  /** The same for peers that are about to stop. */
  readonly onDraining: (listener: (peerId: PeerId) => void) => () => void
  /** Drafts for an answer by the model that the user has loaded for that; null where none is ready. */
  readonly beginDrafting: DraftModel['begin']
  /** A session of this peer was admitted, and may cost so many micro-credits. */
  readonly onHeld: (sessionId: SessionId, held: bigint) => void
  /** A lap has gone through the links to these peers. */
  readonly onLap: (peerIds: readonly PeerId[]) => void
  readonly ended: (session: Omit<Extract<ClientMessage, { type: 'ended' }>, 'type'>) => void
  /** Links of this peer; connects to the signalling server at the first call. */
  readonly router: () => Promise<LinkRouter>
  /** Signs what this peer's sessions submit and get. */
  readonly receipts: () => Promise<DriverBook>
  readonly coordinatorKey: () => Uint8Array
  readonly coordinatorNowMs: () => number
  readonly verify: VerifySignature
  readonly clock: Clock
}

/** How long an answer waits for its last figures. */
const LAST_LAPS_MS = 200

/** `onEvent` hears all of the generation, beside what `onProgress` sums up of it. */
export function startAsk(
  ports: RequesterPorts,
  request: AskRequest,
  onProgress: (progress: AskProgress) => void,
  onEvent: (event: GenerateEvent) => void = () => undefined,
): Ask {
  const controller = new AbortController()
  const asking = new Asking(ports, request, { onProgress, onEvent }, controller.signal)
  // Begun after this returns: who asks has its Ask in hand before the first progress comes.
  return { answer: Promise.resolve().then(() => asking.run()), stop: () => controller.abort() }
}

interface AskListener {
  readonly onProgress: (progress: AskProgress) => void
  readonly onEvent: (event: GenerateEvent) => void
}

class Asking {
  readonly #ports: RequesterPorts
  readonly #request: AskRequest
  readonly #listener: AskListener
  readonly #signal: AbortSignal
  readonly #startedMs: number
  readonly #route = new Route()
  readonly #lapTimes = new LapTimes()
  #promptTokenIds: readonly number[] = []
  #chain: readonly ChainStage[] = []
  #progress: AskProgress = {
    sessionId: null,
    phase: 'queued',
    ahead: null,
    promptDone: 0,
    promptTokens: 0,
    text: '',
    completionTokens: 0,
    route: [],
    firstLink: null,
    lastLapMs: null,
    repairs: [],
  }
  #firstTokenMs: number | null = null

  constructor(ports: RequesterPorts, request: AskRequest, listener: AskListener, signal: AbortSignal) {
    this.#ports = ports
    this.#request = request
    this.#listener = listener
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
          draftModel: null,
          margins: [],
        })
      throw error
    }
  }

  async #run(): Promise<Answer> {
    const { modelId, maxTokens, tier = TIER_DEFAULT, voucher, waitMs } = this.#request
    this.#tell({})
    const text = await this.#unlessStopped(this.#readModel(modelId))
    const promptTokens = this.#encode(text)
    const maxTokensHere = this.#roomFor(text, promptTokens, maxTokens)
    const watch = { onQueued: (ahead: number) => this.#tell({ ahead }), signal: this.#signal }
    const paid = { ...(voucher !== undefined && { voucher }), ...(waitMs !== undefined && { waitMs }) }
    const admitted = this.#ports.admit({ modelId, promptTokens, maxTokens: maxTokensHere, tier, ...paid }, watch)
    const admission = await this.#unlessStopped(admitted, (late) => this.#giveBack(late))
    const grant = await this.#open(admission.grant)
    this.#begin(admission)
    if (admission.held !== null) this.#ports.onHeld(grant.sessionId, admission.held)
    this.#tell({ phase: 'connecting', ahead: null, sessionId: grant.sessionId })
    return this.#generate(text, grant, admission.grant)
  }

  #begin({ chain }: Admission): void {
    this.#chain = chain
    this.#route.begin(chain)
    this.#tell({ route: this.#route.stages() })
  }

  async #repair(request: RepairRequest): Promise<{ grant: Grant; signedGrant: SignedGrant }> {
    const admission = await this.#unlessStopped(this.#ports.repair(request))
    const grant = await this.#open(admission.grant)
    this.#begin(admission)
    return { grant, signedGrant: admission.grant }
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
    this.#ended(grant, 'cancelled', null)
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

  #encode(text: ModelText): number {
    this.#promptTokenIds = promptIds(this.#request.prompt, text)
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

  async #generate(text: ModelText, grant: Grant, signedGrant: SignedGrant): Promise<Answer> {
    const { clock, coordinatorNowMs, router, receipts } = this.#ports
    let chain: Chain | null = null
    const drafts = this.#drafts(text, grant)
    const { constraint } = this.#request
    try {
      chain = await openLinkChain({
        router: await router(),
        grant,
        signedGrant,
        repair: (request) => this.#repair(request),
        onGone: this.#ports.onGone,
        onDraining: this.#ports.onDraining,
        vocabularySize: text.manifest.config.vocabularySize,
        clock,
        coordinatorNowMs,
        receipts: await receipts(),
        signal: this.#signal,
      })
      this.#tell({ phase: 'reading' })
      void this.#readFirstLink()
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
        keepSteps: this.#request.keepMargins === true,
        wantsLogits: this.#request.wantsLogits === true,
        scoresPrompt: this.#request.scoresPrompt === true,
        ...(constraint !== undefined && { constraint }),
        ...(drafts === null ? {} : { drafter: drafts.drafter }),
      })
      await Promise.all([this.#lastLaps(result), this.#readFirstLink()])
      this.#ended(grant, result.finishReason === 'cancelled' ? 'cancelled' : 'finished', null)
      const margins = result.steps.map(({ candidates }) => choiceMargin(candidates, this.#request.sampling, candidates.position + 1))
      const draftModel = drafts?.report() ?? null
      return this.#answer(grant.sessionId, { ...result, draftModel, margins, tokensPerSecond: timings.tokensPerSecond })
    } catch (error) {
      const blamed = error instanceof SessionError && error.stageIndex !== null ? this.#chain[error.stageIndex] : undefined
      this.#ended(grant, this.#signal.aborted ? 'cancelled' : 'failed', blamed ?? null)
      throw error
    } finally {
      drafts?.close()
      chain?.close()
    }
  }

  #ended({ sessionId }: Grant, outcome: 'finished' | 'cancelled' | 'failed', failed: ChainStage | null): void {
    this.#ports.ended({ sessionId, outcome, failedPeerId: failed?.peerId ?? null, laps: this.#lapTimes.report() })
  }

  #drafts(target: ModelText, { maxPositions, topK }: Grant): AnswerDrafts | null {
    const { speculation = 'on', sampling } = this.#request
    return draftsFor(speculation, () => this.#ports.beginDrafting({ target, maxPositions, topK, sampling }))
  }

  /** The stages tell which links lead on from them; nobody but this tab can tell of the one to the first. */
  async #readFirstLink(): Promise<void> {
    const [first] = this.#chain
    if (first === undefined) return
    const stats = await (await this.#ports.router()).stats(first.peerId)
    if (stats !== null) this.#tell({ firstLink: stats.kind })
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
    this.#lapTimes.handle(event)
    this.#listener.onEvent(event)
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
        this.#ports.onLap(this.#chain.map(({ peerId }) => peerId))
        return this.#route.lap(event.lap)
      case 'repair':
        return this.#onRepair(event.repair)
      case 'decoded':
      case 'scored':
        return
    }
  }

  #onRepair(repair: ChainRepair): void {
    const { repairs, completionTokens } = this.#progress
    const nowMs = this.#ports.clock.nowMs()
    const last = repairs.at(-1)
    if (repair.phase === 'lost') {
      const { stageIndexes, reason, message, positions } = repair
      const begun = { stageIndexes, reason, message, positions, replayedPositions: null, completionTokens, lostMs: nowMs }
      return this.#tell({ repairs: [...repairs, { ...begun, grantedMs: null, openedMs: null, doneMs: null }] })
    }
    if (last === undefined) return
    if (repair.phase === 'opened') void this.#readFirstLink()
    const { replayedPositions } = repair.phase === 'opened' ? repair : last
    const at = { granted: 'grantedMs', opened: 'openedMs', done: 'doneMs' } as const
    this.#tell({ repairs: [...repairs.slice(0, -1), { ...last, replayedPositions, [at[repair.phase]]: nowMs }] })
  }

  #answer(
    sessionId: SessionId | null,
    result: Pick<Answer, 'completionTokenIds' | 'text' | 'finishReason' | 'tokensPerSecond' | 'drafts' | 'draftModel' | 'margins'>,
  ): Answer {
    const stages = this.#route.stages()
    this.#tell({ route: stages })
    const { completionTokenIds, text, finishReason, tokensPerSecond, drafts, draftModel, margins } = result
    const { firstLink } = this.#progress
    const kinds = stages.map((stage) => stage.link.kind)
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
      draftModel,
      margins,
      stages,
      firstLink,
      dataPath: worstLink(firstLink === null ? kinds : [firstLink, ...kinds]),
      repairs: this.#progress.repairs,
    }
  }

  #tell(change: Partial<AskProgress>): void {
    this.#progress = { ...this.#progress, ...change }
    this.#listener.onProgress(this.#progress)
  }
}
