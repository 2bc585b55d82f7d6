/**
 * openLinkChain: a Chain over links, one stage a peer. The driver dials every stage and sends each its `open`; ids go to
 * stage 0, results come from the last stage, signs of life from all. When stages are lost it asks for another chain over the same
 * session and goes on: who is new gets from the stage before what that one sent already. It ends when nobody can take the place,
 * or when repairs get nowhere. Rules: protocol/SPEC.md.
 */

import {
  type FailedFrame,
  type Frame,
  type Grant,
  type LapFrame,
  type LogitsFrame,
  type OpenedFrame,
  type OpenFrame,
  type ResultsFrame,
  type SeveredFrame,
  type SignedGrant,
  stageName,
} from '../protocol/index.ts'
import type { ReceiptBook } from '../receipts/index.ts'
import { assert, type Clock, type Deferred, deferred, type PeerId, toBase64Url, unreachable } from '../shared/index.ts'
import type { Candidates, Chain, ChainEvents, Lap, RepairedGrant, RepairRequest } from './chain.ts'
import { ChainLinks } from './chainLinks.ts'
import { ChainRepair } from './chainRepair.ts'
import { DriverReceipts } from './driverReceipts.ts'
import { SessionError } from './errors.ts'
import { HandOver } from './handOver.ts'
import { LapLedger } from './lapLedger.ts'
import type { LinkRouter } from './linkRouter.ts'
import { Liveness } from './liveness.ts'
import { LogitsFetch } from './logitsFetch.ts'
import { type ChainBefore, type ComputedSpan, replayedPositions } from './replayedPositions.ts'
import { ResultsInbox } from './resultsInbox.ts'
import { StageWatch } from './stageWatch.ts'
import { TokenOutbox } from './tokenOutbox.ts'

/** From the first dial until every stage has answered: a WebRTC connection across continents takes 3 s, relays 10. */
export const OPEN_DEADLINE_MS = 20_000

/** The same for a repaired chain: somebody waits for the next token, and another peer may be quicker. */
export const REOPEN_DEADLINE_MS = 8_000

/** What signs what a driver submits and gets. */
export interface DriverBook {
  readonly book: ReceiptBook
  /** Raw, of the book's signer: by it stages check what they are told. */
  readonly publicKey: Uint8Array
}

export interface LinkChainOptions {
  readonly router: LinkRouter
  readonly grant: Grant
  readonly signedGrant: SignedGrant
  /** Asks the coordinator for another chain of this session. Null: a chain that breaks ends. */
  readonly repair: ((request: RepairRequest) => Promise<RepairedGrant>) | null
  /** Subscribes to peers that the coordinator has lost sight of; returns the end of it. Their links may not know it yet. */
  readonly onGone?: (listener: (peerId: PeerId) => void) => () => void
  /** Subscribes to peers that are about to stop; returns the end of it. They serve on until others have taken over. */
  readonly onDraining?: (listener: (peerId: PeerId) => void) => () => void
  /** Ids at or beyond it are a protocol failure of the last stage. */
  readonly vocabularySize: number
  readonly clock: Clock
  /** What grants are dated in; the clock's where it is not given. */
  readonly coordinatorNowMs?: () => number
  /** Without it nothing is signed, and stages that want it stop serving after a while. */
  readonly receipts?: DriverBook
  readonly signal?: AbortSignal
  /** OPEN_DEADLINE_MS where it is not given. */
  readonly openDeadlineMs?: number
}

/** Resolves when every stage has reserved its memory. Rejects with a SessionError; then everything is freed again. */
export async function openLinkChain(options: LinkChainOptions): Promise<Chain> {
  const chain = new LinkChain(options)
  const onAbort = () => chain.fail(new SessionError('cancelled', 'the request was cancelled while its chain was being opened'))
  if (options.signal?.aborted === true) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await chain.opened
    return chain
  } finally {
    options.signal?.removeEventListener('abort', onAbort)
  }
}

class LinkChain implements Chain {
  readonly maxPositions: number
  readonly opened: Promise<void>
  readonly #links: ChainLinks
  readonly #opening: Deferred<void> = deferred()
  readonly #ledger: LapLedger
  readonly #receipts: DriverReceipts
  readonly #outbox: TokenOutbox
  readonly #inbox: ResultsInbox
  readonly #fetch: LogitsFetch
  readonly #liveness: Liveness
  readonly #repair: ChainRepair
  readonly #handOver: HandOver
  #events: ChainEvents | null = null
  #ended: SessionError | null = null
  #wasOpen = false
  /** The chain that worked last, while another is being opened. */
  #before: ChainBefore | null = null
  readonly #unsubscribe: readonly (() => void)[]

  constructor(options: LinkChainOptions) {
    const { grant, signedGrant, router, vocabularySize, clock } = options
    const stageCount = grant.stages.length
    this.maxPositions = grant.maxPositions
    this.opened = this.#opening.promise
    this.#ledger = new LapLedger({ vocabularySize, topK: grant.topK, stageCount })
    this.#fetch = new LogitsFetch(vocabularySize)
    const { sessionId } = grant
    const publicKey = toBase64Url(options.receipts?.publicKey ?? new Uint8Array(0))
    this.#receipts = new DriverReceipts({
      book: options.receipts?.book ?? null,
      ledger: this.#ledger,
      tellStages: (receipt) => this.#links.sendAll({ type: 'receipt', sessionId, receipt, publicKey }),
    })
    this.#receipts.begin(grant)
    this.#inbox = new ResultsInbox(this.#ledger, this.#receipts, grant.maxPositions)
    this.#links = new ChainLinks(grant, signedGrant, () => ({ epoch: this.#ledger.epoch, length: this.#inbox.keptLength }), {
      router,
      clock,
      onFrame: (index, frame) => this.#onFrame(index, frame),
      onOpen: () => this.#onOpen(),
      onLost: (error) => this.#lose(error),
    })
    this.#outbox = new TokenOutbox({
      links: this.#links,
      ledger: this.#ledger,
      receipts: this.#receipts,
      works: () => this.#works,
      onOwed: () => this.#liveness.expect(this.#owedRows),
    })
    this.#liveness = new Liveness(clock, stageCount, new StageWatch(this.#links, this.#ledger, this.#fetch, (error) => this.#lose(error)))
    this.#repair = new ChainRepair({
      repair: options.repair,
      clock,
      coordinatorNowMs: options.coordinatorNowMs ?? (() => clock.nowMs()),
      onGranted: (chain) => this.#reopen(chain),
      onGivenUp: (error) => this.fail(error),
    })
    this.#handOver = new HandOver({
      repair: options.repair,
      present: () => (this.#works && this.#ended === null ? this.#grant : null),
      onGranted: (granted, leaving) => this.#changeOver(granted, leaving),
    })
    const subscriptions = [
      options.onGone?.((peerId) => this.#onGone(peerId)),
      options.onDraining?.((peerId) => this.#handOver.leaves(peerId)),
    ]
    this.#unsubscribe = subscriptions.filter((unsubscribe) => unsubscribe !== undefined)
    this.#links.open(grant, signedGrant, options.openDeadlineMs ?? OPEN_DEADLINE_MS)
  }

  listen(events: ChainEvents): void {
    this.#events = events
  }

  submit(lap: Lap): Promise<void> {
    return this.#outbox.submit(lap)
  }

  logits(candidates: Candidates): Promise<Float32Array> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    const { submitted, outstanding, epoch } = this.#ledger
    assert(
      outstanding === 0 && candidates.position === submitted - 1,
      `logits of position ${candidates.position}; ${submitted} were submitted`,
    )
    const fetched = this.#fetch.begin(candidates, epoch)
    if (this.#works) this.#askLogits()
    return fetched
  }

  truncate(length: number): void {
    if (this.#ended !== null) return
    this.#fetch.giveUp()
    const epoch = this.#ledger.truncate(length)
    this.#inbox.truncate(length, this.#links.isOpen)
    this.#receipts.truncate(epoch, length)
    this.#liveness.rest()
    this.#outbox.truncate(epoch, length)
  }

  close(): void {
    this.#end(new SessionError('cancelled', 'the session was closed'))
  }

  fail(error: SessionError): void {
    if (this.#ended !== null) return
    this.#end(error)
    if (this.#wasOpen) this.#events?.onFailed(error)
  }

  get #works(): boolean {
    return this.#links.isOpen && !this.#repair.isBroken
  }

  /** A first stage that never has room owes as much as one that never computes, and a last stage a row whose logits it is asked for. */
  get #owedRows(): number {
    return this.#ledger.outstanding + this.#outbox.waitingRows + (this.#fetch.isUnderWay ? 1 : 0)
  }

  get #grant(): Grant {
    return this.#links.grant
  }

  #onFrame(index: number, frame: Frame): void {
    if (this.#ended !== null) return
    switch (frame.type) {
      case 'opened':
        return this.#onOpened(index, frame)
      case 'open':
        return this.#onStageOpens(index, frame)
      case 'failed':
        return this.#onFailed(index, frame)
      case 'severed':
        return this.#onSevered(index, frame)
      case 'window':
        return index === 0 ? this.#outbox.raise(frame.windowRows) : this.#refuseRole(index, 'only the first stage grants the driver rows')
      case 'lap':
        return this.#onLap(index, frame)
      case 'results':
        return this.#onResults(index, frame)
      case 'logits':
        return this.#onLogits(index, frame)
      case 'pong':
        return this.#liveness.answered(index, frame.sequence, frame.through)
      case 'rows':
      case 'truncate':
      case 'close':
      case 'ping':
      case 'receipt':
      case 'fetch':
        return this.#refuse(index, `a stage does not send ${frame.type} to its driver`)
      default:
        return unreachable(frame)
    }
  }

  #onFailed(index: number, { reason, message }: FailedFrame): void {
    // It had waited for this chain for too long when it said so, and will be asked to open it.
    if (reason === 'unreachable' && this.#isOfEarlierPlace(index)) return
    this.#lose(new SessionError(reason, `${this.#nameOf(index)}: ${message}`, { stageIndex: index }))
  }

  /** Perhaps nobody is to blame, and only the link is made anew. */
  #onSevered(index: number, frame: SeveredFrame): void {
    if (frame.revision !== this.#grant.revision) return
    const message = `${this.#nameOf(index)}: ${frame.message}`
    const lost = this.#repair.severed(index, frame, this.#grant)
    if (lost.length === 0) this.#lose(new SessionError('stage-lost', message))
    for (const stageIndex of lost) this.#lose(new SessionError('stage-lost', message, { stageIndex }))
  }

  /** The last stage announces itself to the receiver of its results. */
  #onStageOpens(index: number, frame: OpenFrame): void {
    const { sessionId, revision, stages } = this.#grant
    // One of an earlier chain was on its way when that broke.
    if (!this.#links.isPresent(frame.grant)) return
    if (index !== stages.length - 1) return this.#refuse(index, 'only the last stage opens its driver')
    this.#links.send(index, { type: 'opened', sessionId, revision, ...this.#inbox.open() })
  }

  #onLap(index: number, { epoch, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind }: LapFrame): void {
    if (this.#ledger.heard(index, epoch, firstPosition + rowCount)) this.#liveness.progress(this.#owedRows)
    this.#events?.onLap({ stageIndex: index, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind })
  }

  #onResults(index: number, frame: ResultsFrame): void {
    if (index !== this.#grant.stages.length - 1) return this.#refuseRole(index, 'only the last stage sends results')
    const received = this.#inbox.receive(frame)
    if (!received.ok) return this.#refuse(index, received.error)
    const { results, windowRows } = received.value
    if (windowRows !== null) this.#links.send(index, { type: 'window', sessionId: this.#grant.sessionId, windowRows })
    // Those of an older epoch, or repeated ones, could come for ever.
    if (results === null) return
    this.#liveness.resultsCame(this.#owedRows)
    if (this.#repair.resultsCame()) this.#events?.onRepair({ phase: 'done' })
    this.#events?.onResults(results)
  }

  #onLogits(index: number, frame: LogitsFrame): void {
    if (index !== this.#grant.stages.length - 1) return this.#refuseRole(index, 'only the last stage sends logits')
    // Of a chain before: this one is asked once all its stages have answered.
    if (!this.#works) return
    const received = this.#fetch.receive(frame)
    if (!received.ok) return this.#refuse(index, received.error)
    this.#liveness.progress(this.#owedRows)
  }

  /** Of the last stage of a chain that works. */
  #askLogits(): void {
    const { sessionId, stages } = this.#grant
    const frame = this.#fetch.frame(sessionId)
    if (frame === null) return
    this.#links.send(stages.length - 1, frame)
    this.#liveness.expect(this.#owedRows)
  }

  #onOpened(index: number, frame: OpenedFrame): void {
    const { revision, nextPosition } = frame
    if (revision === this.#grant.revision && !this.#links.hasAnswered(index)) {
      const fault = index === 0 ? this.#outbox.opened(frame) : null
      if (fault !== null) return this.#refuse(index, fault)
      this.#ledger.opened(index, nextPosition)
    }
    this.#links.answered(index, revision)
  }

  #onOpen(): void {
    if (this.#repair.isBroken) return
    this.#links.keepAlive()
    const before = this.#before
    this.#before = null
    if (this.#wasOpen && before !== null) {
      this.#repair.opened()
      const kept = this.#spans((index) => this.#ledger.kept(index))
      this.#events?.onRepair({ phase: 'opened', replayedPositions: replayedPositions(before, kept) })
    }
    this.#wasOpen = true
    this.#opening.resolve()
    this.#receipts.opened()
    this.#liveness.measure()
    if (this.#owedRows > 0) this.#liveness.expect(this.#owedRows)
    this.#outbox.pump()
    this.#askLogits()
    this.#handOver.consider()
  }

  /** What the stage says may be from its place in an earlier chain: it has not answered yet. */
  #isOfEarlierPlace(index: number): boolean {
    return this.#grant.revision > 0 && !this.#links.hasAnswered(index)
  }

  #refuseRole(index: number, rule: string): void {
    if (!this.#isOfEarlierPlace(index)) this.#refuse(index, rule)
  }

  #refuse(index: number, rule: string): void {
    const message = `${this.#nameOf(index)} broke the protocol: ${rule}`
    this.#links.closeLink(index, rule)
    this.#lose(new SessionError('protocol', message, { stageIndex: index }))
  }

  /** The coordinator has lost sight of it. Its link may last; a chain that is still being opened had better do without. */
  #onGone(peerId: PeerId): void {
    const stageIndex = this.#grant.stages.findIndex((stage) => stage.peerId === peerId)
    if (stageIndex < 0) return
    if (this.#links.hasAnswered(stageIndex)) return this.#liveness.hurry()
    this.#lose(new SessionError('stage-lost', `${this.#nameOf(stageIndex)} has left before it answered`, { stageIndex }))
  }

  /** A stage, or a link between two, takes no part any more: asks for another chain. */
  #lose(error: SessionError): void {
    if (this.#ended !== null) return
    const { stageIndex } = error
    const peerId = stageIndex === null ? null : (this.#grant.stages[stageIndex]?.peerId ?? null)
    if (stageIndex !== null) this.#links.dropStage(stageIndex)
    const wasBroken = this.#repair.isBroken
    if (!this.#repair.lose(error, peerId, this.#grant)) return this.fail(withAdvice(error))
    if (wasBroken) return
    this.#liveness.rest()
    // Somebody may have to load for it: that takes longer than the others keep an idle session.
    this.#links.keepAlive()
    const positions = this.#ledger.answered
    const stageIndexes = stageIndex === null ? [] : [stageIndex]
    this.#events?.onRepair({ phase: 'lost', stageIndexes, reason: error.reason, message: error.message, positions })
  }

  /** A stage is about to stop, and nothing has broken: another chain is there before it does. */
  #changeOver(granted: RepairedGrant, leaving: readonly PeerId[]): void {
    const { stages } = this.#grant
    const stageIndexes = stages.flatMap(({ peerId }, index) => (leaving.includes(peerId) ? [index] : []))
    const message = `${stageIndexes.map((index) => this.#nameOf(index)).join(', ')}: about to stop`
    this.#links.stopKeepAlive()
    this.#events?.onRepair({ phase: 'lost', stageIndexes, reason: 'draining', message, positions: this.#ledger.answered })
    this.#reopen(granted)
  }

  #reopen({ grant, signedGrant }: RepairedGrant): void {
    this.#events?.onRepair({ phase: 'granted', grant })
    this.#receipts.begin(grant)
    this.#inbox.reopen()
    this.#fetch.restart()
    // What has come back went through all of them, whether or not their word of it has come too.
    const { answered } = this.#ledger
    this.#before ??= { sent: this.#outbox.sent, stages: this.#spans((index) => Math.max(answered, this.#ledger.computed(index))) }
    this.#ledger.restart(grant.stages.length)
    this.#liveness.restart(grant.stages.length)
    this.#links.open(grant, signedGrant, REOPEN_DEADLINE_MS)
  }

  #end(error: SessionError): void {
    if (this.#ended !== null) return
    this.#ended = error
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#liveness.rest()
    this.#repair.stop()
    this.#links.close()
    this.#receipts.end()
    this.#outbox.end(error)
    this.#fetch.end(error)
    this.#opening.reject(error)
    // Nobody may be waiting for it any more.
    this.opened.catch(() => undefined)
  }

  #spans(positionsOf: (stageIndex: number) => number): ComputedSpan[] {
    return this.#grant.stages.map(({ peerId, firstLayer, endLayer }, index) => ({
      peerId,
      firstLayer,
      endLayer,
      positions: positionsOf(index),
    }))
  }

  #nameOf(index: number): string {
    return stageName(this.#grant, index)
  }
}

function withAdvice({ reason, message, stageIndex }: SessionError): SessionError {
  return new SessionError(reason, `${message}; ask again to get another chain`, stageIndex === null ? {} : { stageIndex })
}
