/**
 * StageSession: one session at one stage, from `open` to its end: who takes part, which rows may come, what was computed,
 * what was sent on, and how it goes on in a repaired chain. It decides and sends; passes are run by the host. Rules [S], [R] and [W]
 * of protocol/SPEC.md.
 */

import {
  FAILURE_MESSAGE_CHARACTERS_MAX,
  type FailedFrame,
  type FailureReason,
  type Frame,
  type Grant,
  type LinkClosed,
  type OpenedFrame,
  type OpenFrame,
  REPAIR_WAIT_MS,
  type RowsFrame,
  type SeveredFrame,
  type SignedGrant,
  stageName,
} from '../protocol/index.ts'
import type { CancelTimer, Clock, Sha256 } from '../shared/index.ts'
import type { Engine, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import { ActivationLog, type LogBudget } from './activationLog.ts'
import { Inbox, type RowLimits } from './inbox.ts'
import type { Opening } from './opening.ts'
import { Outbox } from './outbox.ts'
import type { PassRows } from './outputFrames.ts'
import type { PeerLink } from './peerLinks.ts'
import type { Place, ServedSpan } from './place.ts'
import { SessionTimers } from './sessionTimers.ts'

/** How long the word of who failed goes before the word of its neighbor, so that the driver blames the right one. */
const PASS_ON_AFTER_MS = 1_000

export interface SessionSetup {
  readonly opening: Opening
  readonly served: ServedSpan
  readonly engine: Engine
  readonly slot: Slot
  readonly clock: Clock
  readonly sha256: Sha256
  readonly logBudget: LogBudget
  /** There may be rows to compute. */
  readonly onReady: () => void
  /** Called once; the session takes no part in anything any more. */
  readonly onEnded: (session: StageSession) => void
}

/** Rows that are in a pass now. */
export interface Work {
  readonly session: StageSession
  readonly rows: PassRows
  readonly segment: Segment
}

export class StageSession {
  readonly log: ActivationLog
  readonly #setup: SessionSetup
  readonly #outbox: Outbox
  readonly #inbox: Inbox
  readonly #timers: SessionTimers
  #opening: Opening
  #driver: PeerLink | null = null
  #upstream: PeerLink | null = null
  #upstreamAnswered = false
  #driverAnswered = false
  #ended = false
  #cancelPassOn: CancelTimer | null = null

  constructor(setup: SessionSetup) {
    this.#setup = setup
    const { opening, sha256, logBudget, clock, served } = setup
    this.#opening = opening
    const { engine, slot } = setup
    this.#inbox = new Inbox({
      epoch: opening.epoch,
      length: opening.length,
      onRoom: (windowRows) => this.#raise(windowRows),
      truncateCache: (length) => engine.truncate(slot, length),
    })
    this.log = new ActivationLog(sha256, logBudget)
    this.#outbox = new Outbox(opening.grant, opening.place.isLast, { log: this.log, width: served.config.width })
    this.#timers = new SessionTimers(clock, {
      expiresAtMs: () => this.grant.expiresAtMs,
      isBusy: () => this.#inbox.passing,
      onMissing: () => this.#onMissing(),
      onExpired: (message) => this.fail('expired', message),
    })
    this.#timers.start()
  }

  get grant(): Grant {
    return this.#opening.grant
  }

  get signedGrant(): SignedGrant {
    return this.#opening.signedGrant
  }

  get place(): Place {
    return this.#opening.place
  }

  /** The layers of the session's opening. */
  get served(): ServedSpan {
    return this.#setup.served
  }

  get ended(): boolean {
    return this.#ended
  }

  get passing(): boolean {
    return this.#inbox.passing
  }

  /** Kind of the row that could be computed now: it waits, and there is room for its output. */
  get nextKind(): RowsFrame['kind'] | null {
    if (this.#ended || this.#inbox.passing || this.#outbox.rowsMax(this.#inbox.computed) <= 0) return null
    return this.#inbox.nextKind
  }

  /** A verified `open` from the driver, from the upstream, or again from one of them, which only says that it lives. */
  join(link: PeerLink, { epoch, length }: Pick<OpenFrame, 'epoch' | 'length'>): void {
    this.#timers.heard()
    const { driver, upstream, isLast } = this.place
    if (link.peerId === upstream && this.#upstream === null) {
      this.#upstream = this.#use(link)
      // The driver may have opened this stage, and then taken positions back, before the upstream had a link to say so.
      this.#truncate(epoch, length)
      this.#answerUpstream()
    }
    if (link.peerId === driver && this.#driver === null) {
      this.#driver = this.#use(link)
      if (isLast) this.connected(link)
      this.#answerDriver()
    }
    this.#stopWaiting()
  }

  /** A verified `open` with a grant of a higher revision, over the same span: everybody connects anew, what was computed stays. */
  reopen(opening: Opening): void {
    const links = [this.#driver, this.#upstream, this.#outbox.link]
    this.#opening = opening
    this.#driver = null
    this.#upstream = null
    this.#upstreamAnswered = false
    this.#driverAnswered = false
    this.#cancelPassOn?.()
    this.#cancelPassOn = null
    this.#outbox.reset(opening.grant, opening.place.isLast)
    for (const link of new Set(links)) link?.release(this)
    this.#inbox.reopen(opening.length)
    if (this.#inbox.enter(opening.epoch, opening.length)) this.#forget(opening.length)
    this.#timers.waitAnew()
  }

  /** The link to who takes the outputs: the next stage, or the driver. */
  connected(link: PeerLink): void {
    if (this.#ended) return
    const { grant, signedGrant } = this.#opening
    const { epoch, keptLength } = this.#inbox
    this.#outbox.connect(this.#use(link), { type: 'open', sessionId: grant.sessionId, epoch, length: keptLength, grant: signedGrant })
  }

  /** Any frame of this session but `open`. Frames of others than those who take part change nothing. */
  handle(link: PeerLink, frame: Exclude<Frame, OpenFrame>): void {
    const downstream = this.#outbox.link
    const known = link === this.#driver || link === this.#upstream || link === downstream
    if (!known || this.#ended) return
    this.#timers.heard()
    switch (frame.type) {
      case 'rows':
        if (link === this.#upstream) this.#onRows(link, frame)
        else this.#break(link, 'rows come from the upstream only')
        break
      case 'truncate':
        if (link === this.#upstream) this.#truncate(frame.epoch, frame.length)
        else this.#break(link, 'truncate comes from the upstream only')
        break
      case 'close':
        this.#onClose(link)
        break
      case 'opened':
        if (link === downstream) this.#onOpened(frame)
        else this.#break(link, 'opened comes from the downstream only')
        break
      case 'window':
        if (link === downstream) this.#onWindow(frame.windowRows)
        else this.#break(link, 'window comes from the downstream only')
        break
      case 'failed':
        if (link === downstream && link !== this.#driver) this.#passOn(frame, this.#nameOf(link))
        else this.#break(link, 'failed comes from the downstream only')
        break
      case 'ping':
        this.#onPing(link, frame)
        break
      default:
        this.#break(link, `a stage takes no ${frame.type}`)
    }
  }

  /** One of the links has ended: the session waits for a repair, unless the driver says that we broke a rule. */
  lost(link: PeerLink, { reason, detail }: LinkClosed): void {
    const { driver, upstream, downstream } = { driver: this.#driver, upstream: this.#upstream, downstream: this.#outbox.link }
    if (link !== driver && link !== upstream && link !== downstream) return
    if (link === driver && reason === 'garbage') return this.end()
    const message = `the link to ${this.#nameOf(link)} ended (${detail})`
    if (link === driver) this.#driver = null
    if (link === upstream) this.#upstream = null
    if (link === downstream) this.#outbox.unlink()
    this.#sever(link === upstream ? 'upstream' : 'downstream', 'stage-lost', message)
  }

  /** The next stage cannot be reached. */
  unreachable(message: string): void {
    if (!this.#ended) this.#sever('downstream', 'unreachable', message)
  }

  /** Takes up to `rowsMax` rows into a pass; `nextKind` must not be null. */
  take(rowsMax: number): Work {
    const { slot, served } = this.#setup
    const { place, grant } = this.#opening
    const { input, ...taken } = this.#inbox.take(Math.min(rowsMax, this.#outbox.rowsMax(this.#inbox.computed)))
    const rows = { ...taken, resultCount: this.#outbox.resultCountOf(taken) }
    const topK = Math.min(grant.topK, served.config.vocabularySize)
    const output: Segment['output'] = place.isLast
      ? { kind: 'candidates', resultCount: rows.resultCount, topK }
      : { kind: 'rows', encoding: grant.rowEncoding }
    return { session: this, rows, segment: { slot, kind: rows.kind, firstPosition: rows.firstPosition, input, output } }
  }

  /** The pass is done: sends its outputs on, but for those that were truncated meanwhile. */
  complete(rows: PassRows, output: SegmentOutput, computeMs: number): void {
    if (this.#freeAfterPass()) return
    const rowCount = this.#inbox.passEnded(rows.rowCount)
    if (rowCount > 0) {
      this.#outbox.add({ ...rows, epoch: this.#inbox.epoch }, output, rowCount)
      void this.#sendLap({ ...rows, rowCount }, computeMs)
    }
    this.#forgetWhatIsLost()
    this.#answerUpstream()
    this.#setup.onReady()
  }

  /** The pass has failed. */
  abandon(reason: FailureReason, message: string): void {
    if (this.#freeAfterPass()) return
    this.#inbox.passEnded(0)
    this.fail(reason, message)
  }

  /** Ends the session and tells the driver, or who asked for it when the driver has not joined. The other stages wait for a repair. */
  fail(reason: FailureReason, message: string): void {
    if (this.#ended) return
    const text = message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX)
    const told = this.#driver ?? this.#upstream
    told?.send({ type: 'failed', sessionId: this.grant.sessionId, reason, message: text }, 'urgent')
    this.end()
  }

  /** Frees everything at once; the slot after the pass that still writes to it. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#timers.stop()
    this.#cancelPassOn?.()
    this.#inbox.drop()
    this.log.drop()
    for (const link of new Set([this.#driver, this.#upstream, this.#outbox.link])) link?.release(this)
    if (!this.#inbox.passing) this.#setup.engine.close(this.#setup.slot)
    this.#setup.onEnded(this)
  }

  #use(link: PeerLink): PeerLink {
    link.use(this)
    return link
  }

  #onRows(link: PeerLink, frame: RowsFrame): void {
    if (!this.#inbox.admits(frame.rowCount)) {
      const detail = `rows beyond the window of ${this.#inbox.windowRows}`
      this.fail('protocol', detail)
      link.close({ reason: 'garbage', detail })
      return
    }
    const fault = this.#inbox.faultOf(frame, this.#rowLimits)
    if (fault !== null) this.#break(link, fault)
    else if (this.#inbox.push(frame)) this.#setup.onReady()
  }

  get #rowLimits(): RowLimits {
    const { maxPositions, rowEncoding } = this.grant
    const { width, vocabularySize } = this.#setup.served.config
    return { maxPositions, encoding: this.place.isFirst ? 'tokens' : rowEncoding, width, vocabularySize }
  }

  #truncate(epoch: number, length: number): void {
    if (!this.#inbox.enter(epoch, length)) return
    this.#forget(length)
    if (this.place.isLast) return
    const { sessionId } = this.grant
    // Before the downstream has answered, it must not overtake the `open` that is on its way.
    this.#outbox.link?.send({ type: 'truncate', sessionId, epoch, length }, this.#outbox.isOpen ? 'urgent' : 'data')
  }

  /** Positions ≥ `length` are no longer there: neither computed, nor in the log, nor on their way. */
  #forget(length: number): void {
    this.#inbox.forget(length)
    this.#outbox.truncate(length)
  }

  /** What the log had no room for and the downstream has not got is computed again. */
  #forgetWhatIsLost(): void {
    if (this.#outbox.lacksRows) this.#forget(Math.max(this.#outbox.position, this.log.keptLength))
  }

  /** From the driver always; from the upstream only while the driver, who speaks for itself, has not come. */
  #onClose(link: PeerLink): void {
    if (link !== this.#driver && (link !== this.#upstream || this.#driver !== null)) return
    // It must not overtake the `open` of a stage that has not answered yet.
    const priority = this.#outbox.isOpen ? 'urgent' : 'data'
    if (!this.place.isLast) this.#outbox.link?.send({ type: 'close', sessionId: this.grant.sessionId }, priority)
    this.end()
  }

  #onOpened(frame: OpenedFrame): void {
    if (frame.revision !== this.grant.revision || this.#outbox.isOpen) return
    if (frame.nextPosition > this.grant.maxPositions) {
      this.fail('protocol', `${stageName(this.grant, this.place.index + 1)} asks for position ${frame.nextPosition}`)
      return
    }
    this.#outbox.opened(frame, this.#inbox.epoch)
    this.#forgetWhatIsLost()
    this.#answerUpstream()
    this.#answerDriver()
    this.#stopWaiting()
    this.#setup.onReady()
  }

  #onWindow(windowRows: number): void {
    // One that was sent before its `opened` counts from another beginning.
    if (!this.#outbox.isOpen) return
    this.#outbox.raise(windowRows, this.#inbox.epoch)
    this.#setup.onReady()
  }

  #onPing(link: PeerLink, { sequence, through }: Extract<Frame, { type: 'ping' }>): void {
    const { sessionId } = this.grant
    if (link !== (through ? this.#upstream : this.#driver)) return
    this.#driver?.send({ type: 'pong', sessionId, sequence, through }, 'urgent')
    if (through && !this.place.isLast) this.#outbox.link?.send({ type: 'ping', sessionId, sequence, through })
  }

  /** A log with gaps waits for the downstream's word: it may mean that rows have to come again. So does a pass that may bring gaps. */
  #answerUpstream(): void {
    const isLogWhole = this.log.keptLength === this.log.length
    if (this.#upstream === null || this.#upstreamAnswered || this.#inbox.passing) return
    // The driver is told once the rest of the chain has answered.
    if (!this.#outbox.isOpen && (this.place.isFirst || !isLogWhole)) return
    this.#upstreamAnswered = true
    const { sessionId, revision } = this.grant
    this.#inbox.openWindow()
    const { expectedPosition, windowRows } = this.#inbox
    this.#upstream.send({ type: 'opened', sessionId, revision, nextPosition: expectedPosition, windowRows })
  }

  #answerDriver(): void {
    if (this.#driver === null || !this.#outbox.isOpen || this.#driverAnswered) return
    this.#driverAnswered = true
    if (!this.place.isFirst) {
      const { sessionId, revision } = this.grant
      const { expectedPosition, windowRows } = this.#inbox
      this.#driver.send({ type: 'opened', sessionId, revision, nextPosition: expectedPosition, windowRows })
    }
  }

  #raise(windowRows: number): void {
    if (this.#upstreamAnswered) this.#upstream?.send({ type: 'window', sessionId: this.grant.sessionId, windowRows })
  }

  /** True when the session has ended meanwhile: its slot was kept for the pass. */
  #freeAfterPass(): boolean {
    if (this.#ended) this.#setup.engine.close(this.#setup.slot)
    return this.#ended
  }

  /** Statistics take a moment; nothing waits for them, and a lap that is lost with its link does no harm. */
  async #sendLap({ firstPosition, rowCount, kind }: PassRows, computeMs: number): Promise<void> {
    const downstream = this.#outbox.link
    if (downstream === null) return
    try {
      const { bytesSent } = this.#outbox
      const { epoch } = this.#inbox
      const stats = await downstream.stats()
      if (this.#ended) return
      const { sessionId } = this.grant
      this.#driver?.send({ type: 'lap', sessionId, epoch, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind: stats.kind })
    } catch {
      // The link ended while it was asked: its end is told by `lost`.
    }
  }

  /** The next stage has refused: the driver hears so from itself, unless it cannot reach it. */
  #passOn({ message }: FailedFrame, name: string): void {
    this.#cancelPassOn ??= this.#setup.clock.after(PASS_ON_AFTER_MS, () => this.#sever('downstream', 'unreachable', `${name}: ${message}`))
  }

  #sever(neighbor: SeveredFrame['neighbor'], reason: SeveredFrame['reason'], message: string): void {
    const { sessionId, revision } = this.grant
    const text = message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX)
    this.#driver?.send({ type: 'severed', sessionId, revision, neighbor, reason, message: text }, 'urgent')
    this.#timers.wait()
  }

  #break(link: PeerLink, rule: string): void {
    this.fail('protocol', `${this.#nameOf(link)} broke the protocol: ${rule}`)
  }

  #nameOf(link: PeerLink): string {
    if (link === this.#driver) return 'the driver'
    return stageName(this.grant, link === this.#upstream ? this.place.index - 1 : this.place.index + 1)
  }

  #onMissing(): void {
    const { index } = this.place
    let missing = 'nobody'
    if (!this.#outbox.isOpen) missing = stageName(this.grant, index + 1)
    if (this.#upstream === null) missing = stageName(this.grant, index - 1)
    if (this.#driver === null) missing = 'the driver'
    this.fail('unreachable', `${missing} did not answer within ${REPAIR_WAIT_MS / 1000} s`)
  }

  #stopWaiting(): void {
    if (this.#driver !== null && this.#upstream !== null && this.#outbox.isOpen) this.#timers.stopWaiting()
  }
}
