/**
 * StageSession: one session at one stage, from `open` to its end: which rows may come, what was computed, what was sent on, and how it goes
 * on in a repaired chain. It decides and sends; passes are run by the host, who takes part is kept by Participants. Rules [S], [R] and [W] of
 * protocol/SPEC.md.
 */

import {
  auditRowBytes,
  type FailureReason,
  type FetchFrame,
  type Frame,
  type Grant,
  type LedgerHead,
  type LinkClosed,
  type OpenedFrame,
  type OpenFrame,
  type ReceiptFrame,
  type RowsFrame,
  type SignedGrant,
  type SignedReceipt,
  stageName,
} from '../protocol/index.ts'
import type { ReceiptBook, RowBudget } from '../receipts/index.ts'
import type { Clock } from '../shared/index.ts'
import type { Engine, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import { ActivationLog } from './activationLog.ts'
import { Inbox, type RowLimits } from './inbox.ts'
import type { KeptLogs } from './keptLogs.ts'
import { type FetchedRow, LogitsFetches } from './logitsFetches.ts'
import type { Opening } from './opening.ts'
import { Outbox } from './outbox.ts'
import type { PassRows } from './outputFrames.ts'
import { Participants } from './participants.ts'
import type { PeerLink } from './peerLinks.ts'
import type { Place, ServedSpan } from './place.ts'
import { frameRows, tokenIds } from './rowQueue.ts'
import { SessionReceipts } from './sessionReceipts.ts'

export interface SessionSetup {
  readonly opening: Opening
  readonly served: ServedSpan
  readonly engine: Engine
  readonly slot: Slot
  readonly clock: Clock
  readonly budget: RowBudget
  /** Null: nothing is signed. */
  readonly receipts: ReceiptBook | null
  /** Whether the session's driver has that raw public key, and signed with it. */
  readonly isSigned: (signed: SignedReceipt, publicKey: Uint8Array) => Promise<boolean>
  /** Its driver was told that head of the ledger. */
  readonly onHead: (head: LedgerHead) => void
  /** Takes over what its receipts commit to. */
  readonly keptLogs: KeptLogs
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
  /** What came in; null where nothing is signed, or its room was needed. */
  #inputLog: ActivationLog | null
  readonly #setup: SessionSetup
  readonly #outbox: Outbox
  readonly #inbox: Inbox
  readonly #participants: Participants
  readonly #receipts: SessionReceipts
  readonly #fetches = new LogitsFetches()
  #ended = false
  #workedMs: number

  constructor(setup: SessionSetup) {
    this.#setup = setup
    this.#workedMs = setup.clock.nowMs()
    const { opening, served, engine, slot, clock, budget, receipts, isSigned, onHead, onReady } = setup
    this.#inbox = new Inbox({
      epoch: opening.epoch,
      length: opening.length,
      onRoom: (windowRows) => this.#participants.raise(windowRows),
      truncateCache: (length) => engine.truncate(slot, length),
    })
    this.#receipts = new SessionReceipts({ book: receipts, isSigned, onHead, onAcknowledged: onReady, onForged: () => this.#onForged() })
    this.#receipts.begin(opening, opening.epoch)
    this.log = new ActivationLog(budget)
    const borrowed = { take: (bytes: number) => budget.borrow(bytes), give: (bytes: number) => budget.give(bytes) }
    this.#inputLog = receipts === null ? null : new ActivationLog(borrowed)
    this.#outbox = new Outbox(opening.grant, opening.place.isLast, {
      log: this.log,
      width: served.config.width,
      onOpened: (position) => this.#receipts.sendsFrom(position),
      onSent: (firstPosition, rows) => this.#receipts.sent(firstPosition, rows, this.log.keptLength),
    })
    this.#participants = new Participants({
      opening,
      outbox: this.#outbox,
      clock,
      isBusy: () => this.#inbox.passing,
      onOver: (reason, message) => this.fail(reason, message),
    })
  }

  get grant(): Grant {
    return this.#participants.grant
  }

  get signedGrant(): SignedGrant {
    return this.#participants.signedGrant
  }

  get place(): Place {
    return this.#participants.place
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

  /** Coordinator time since when it has computed nothing, nor could have; another chain is a beginning. */
  get idleSinceMs(): number {
    return this.passing || this.nextKind !== null ? this.#setup.clock.nowMs() : this.#workedMs
  }

  /** Kind of the row that could be computed now: its logits are fetched, or it waits, and there is room for its output. */
  get nextKind(): RowsFrame['kind'] | null {
    if (this.#ended || this.#inbox.passing) return null
    return this.#fetched?.kind ?? (this.#rowsMax > 0 ? this.#inbox.nextKind : null)
  }

  get #fetched(): FetchedRow | null {
    return this.#fetches.due(this.#inbox.epoch, this.#inbox.computed)
  }

  /** Rows that a pass may take: there is room for their outputs, and the driver keeps up with its receipts. */
  get #rowsMax(): number {
    const { computed } = this.#inbox
    return Math.min(this.#outbox.rowsMax(computed), this.#receipts.rowsMax(computed))
  }

  /** A verified `open` from the driver, from the upstream, or again from one of them, which only says that it lives. */
  join(link: PeerLink, { epoch, length }: Pick<OpenFrame, 'epoch' | 'length'>): void {
    const { asUpstream, asDriver } = this.#participants.join(link)
    if (asUpstream) {
      // The driver may have opened this stage, and then taken positions back, before the upstream had a link to say so.
      this.#truncate(epoch, length)
      this.#answerUpstream()
    }
    if (asDriver) {
      if (this.place.isLast) this.connected(link)
      this.#participants.answerDriver(this.#goesOn)
    }
    this.#participants.stopWaiting()
  }

  /** A verified `open` with a grant of a higher revision, over the same span: everybody connects anew, what was computed stays. */
  reopen(opening: Opening): void {
    this.#workedMs = this.#setup.clock.nowMs()
    this.#fetches.forget()
    this.#receipts.end()
    this.#participants.reopen(opening)
    this.#outbox.reset(opening.grant, opening.place.isLast)
    this.#inbox.reopen(opening.length)
    if (this.#inbox.enter(opening.epoch, opening.length)) this.#forget(opening.length)
    this.#receipts.begin(opening, this.#inbox.epoch)
  }

  /** The link to who takes the outputs: the next stage, or the driver. */
  connected(link: PeerLink): void {
    if (this.#ended) return
    const { epoch, keptLength } = this.#inbox
    this.#participants.connect(link, { epoch, length: keptLength })
  }

  /** Any frame of this session but `open`. Frames of others than those who take part change nothing. */
  handle(link: PeerLink, frame: Exclude<Frame, OpenFrame>): void {
    if (this.#ended || !this.#participants.hears(link)) return
    const fault = this.#participants.faultOf(link, frame)
    if (fault !== null) return this.#break(link, fault)
    switch (frame.type) {
      case 'rows':
        return this.#onRows(link, frame)
      case 'truncate':
        if (frame.length > this.grant.maxPositions) return this.#break(link, `truncate to ${frame.length}, beyond the grant`)
        return this.#truncate(frame.epoch, frame.length)
      case 'close':
        return this.#onClose(link)
      case 'opened':
        return this.#onOpened(frame)
      case 'window':
        return this.#onWindow(frame.windowRows)
      case 'failed':
        return this.#participants.refusedBy(link, frame)
      case 'ping':
        return this.#participants.pinged(link, frame)
      case 'receipt':
        return this.#onReceipt(link, frame)
      case 'fetch':
        return this.#onFetch(link, frame)
      default:
        return this.#break(link, `a stage takes no ${frame.type}`)
    }
  }

  /** One of the links has ended: the session waits for a repair, unless the driver says that we broke a rule. */
  lost(link: PeerLink, { reason, detail }: LinkClosed): void {
    if (reason === 'garbage' && this.#participants.isDriver(link)) this.end()
    else this.#participants.lost(link, detail)
  }

  /** The next stage cannot be reached. */
  unreachable(message: string): void {
    if (!this.#ended) this.#participants.sever('downstream', 'unreachable', message)
  }

  /** Takes up to `rowsMax` rows into a pass; `nextKind` must not be null. */
  take(rowsMax: number): Work {
    const { slot, served } = this.#setup
    const { place, grant } = this
    const fetched = this.#fetched
    if (fetched !== null) {
      const rows = this.#inbox.takeAgain(fetched.position, fetched.kind)
      const { kind, firstPosition } = rows
      return {
        session: this,
        rows,
        segment: { slot, kind, firstPosition, input: fetched.input, output: { kind: 'logits', resultCount: 1 } },
      }
    }
    const all = this.#inbox.take(Math.min(rowsMax, this.#rowsMax))
    if (place.isLast) this.#fetches.took(all)
    const rows = this.#outbox.wantedOf(all)
    const topK = Math.min(grant.topK, served.config.vocabularySize)
    const output: Segment['output'] = place.isLast
      ? { kind: 'candidates', resultCount: rows.resultCount, topK, ...(rows.named !== null && { named: tokenIds(rows.named) }) }
      : { kind: 'rows', encoding: grant.rowEncoding }
    return { session: this, rows, segment: { slot, kind: rows.kind, firstPosition: rows.firstPosition, input: all.input, output } }
  }

  /** The pass is done: sends its outputs on, but for those that were truncated meanwhile. */
  complete(rows: PassRows, output: SegmentOutput, computeMs: number): void {
    if (this.#freeAfterPass()) return
    this.#workedMs = this.#setup.clock.nowMs()
    const rowCount = this.#inbox.passEnded(rows.rowCount)
    const { epoch, computed } = this.#inbox
    if (output.kind === 'logits') this.#participants.sendLogits(this.#fetches.answer(output.values, epoch, computed))
    else {
      this.#receipts.computed(rows, rowCount)
      this.#fetches.computed(rowCount)
      const { firstPosition, kind } = rows
      if (rowCount > 0) this.#outbox.add({ ...rows, epoch }, output, rowCount)
      if (rowCount > 0) this.#participants.tellLap({ epoch, firstPosition, rowCount, kind, computeMs })
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
    this.#participants.tellFailure(reason, message)
    this.end()
  }

  /** Gives up what only an audit would need; false where there is nothing. */
  dropInput(): boolean {
    const input = this.#inputLog
    input?.drop()
    this.#inputLog = null
    return input !== null
  }

  /** Frees everything at once; the slot after the pass that still writes to it. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#participants.end()
    this.#inbox.drop()
    this.#receipts.end()
    this.#leaveLogs()
    if (!this.#inbox.passing) this.#setup.engine.close(this.#setup.slot)
    this.#setup.onEnded(this)
  }

  #onRows(link: PeerLink, frame: RowsFrame): void {
    if (!this.#inbox.admits(frame.rowCount)) {
      const detail = `rows beyond the window of ${this.#inbox.windowRows}`
      this.fail('protocol', detail)
      link.close({ reason: 'garbage', detail })
      return
    }
    const fault = this.#inbox.faultOf(frame, this.#rowLimits)
    if (fault !== null) return this.#break(link, fault)
    const rowCount = this.#inbox.push(frame)
    if (rowCount === 0) return
    const log = this.#inputLog
    const rows = frameRows(frame, rowCount).map((row) => log?.append(row) ?? row)
    this.#receipts.received(frame.firstPosition, rows, log?.keptLength ?? 0)
    this.#setup.onReady()
  }

  #onFetch(link: PeerLink, frame: FetchFrame): void {
    const { maxPositions } = this.grant
    if (frame.position >= maxPositions) return this.#break(link, `fetches position ${frame.position} of ${maxPositions}`)
    this.#fetches.ask(frame)
    this.#setup.onReady()
  }

  /** To who answers challenges. */
  #leaveLogs(): void {
    const { keptLogs, served } = this.#setup
    const input = this.#inputLog
    if (input === null || this.log.length === 0) {
      input?.drop()
      return this.log.drop()
    }
    const { span } = this.place
    const { sessionId, rowEncoding, topK } = this.grant
    const rowBytes = auditRowBytes({ ...span, ...served.config, rowEncoding, topK })
    keptLogs.keep({ sessionId, span, input, output: this.log, rowBytes })
  }

  #onReceipt(link: PeerLink, frame: ReceiptFrame): void {
    const fault = this.#receipts.acknowledge(frame)
    if (fault !== null) this.#break(link, fault)
  }

  #onForged(): void {
    if (!this.#ended) this.fail('protocol', 'the driver broke the protocol: its receipt is not signed by its key')
  }

  get #rowLimits(): RowLimits {
    const { maxPositions, rowEncoding } = this.grant
    const { width, vocabularySize } = this.#setup.served.config
    return { maxPositions, encoding: this.place.isFirst ? 'tokens' : rowEncoding, width, vocabularySize }
  }

  #truncate(epoch: number, length: number): void {
    if (!this.#inbox.enter(epoch, length)) return
    this.#forget(length)
    // A fetch may have waited for it.
    if (this.place.isLast) return this.#setup.onReady()
    const { sessionId } = this.grant
    // Before the downstream has answered, it must not overtake the `open` that is on its way.
    this.#outbox.link?.send({ type: 'truncate', sessionId, epoch, length }, this.#outbox.isOpen ? 'urgent' : 'data')
  }

  /** Positions ≥ `length` are no longer there: neither computed, nor in the log, nor on their way. */
  #forget(length: number): void {
    this.#inbox.forget(length)
    this.#inputLog?.truncate(Math.min(length, this.#inputLog.length))
    this.#outbox.truncate(length)
    this.#receipts.truncate(this.#inbox.epoch, length)
  }

  /** What the log had no room for and the downstream has not got is computed again. */
  #forgetWhatIsLost(): void {
    if (this.#outbox.lacksRows) this.#forget(Math.max(this.#outbox.position, this.log.keptLength))
  }

  #onClose(link: PeerLink): void {
    if (!this.#participants.mayClose(link)) return
    // It must not overtake the `open` of a stage that has not answered yet.
    const priority = this.#outbox.isOpen ? 'urgent' : 'data'
    if (!this.place.isLast) this.#outbox.link?.send({ type: 'close', sessionId: this.grant.sessionId }, priority)
    this.end()
  }

  #onOpened(frame: OpenedFrame): void {
    if (frame.revision !== this.grant.revision || this.#outbox.isOpen) return
    // In a session's first chain nobody has any rows yet.
    if (frame.nextPosition > (this.grant.revision === 0 ? 0 : this.grant.maxPositions)) {
      this.fail('protocol', `${stageName(this.grant, this.place.index + 1)} asks for position ${frame.nextPosition}`)
      return
    }
    this.#outbox.opened(frame, this.#inbox.epoch)
    this.#forgetWhatIsLost()
    this.#answerUpstream()
    this.#participants.answerDriver(this.#goesOn)
    this.#participants.stopWaiting()
    this.#setup.onReady()
  }

  #onWindow(windowRows: number): void {
    // One that was sent before its `opened` counts from another beginning.
    if (!this.#outbox.isOpen) return
    this.#outbox.raise(windowRows, this.#inbox.epoch)
    this.#setup.onReady()
  }

  /** A log with gaps waits for the downstream's word: it may mean that rows have to come again. So does a pass that may bring gaps. */
  #answerUpstream(): void {
    const isLogWhole = this.log.keptLength === this.log.length
    if (!this.#participants.isUpstreamUnanswered || this.#inbox.passing) return
    // The driver is told once the rest of the chain has answered.
    if (!this.#outbox.isOpen && (this.place.isFirst || !isLogWhole)) return
    this.#inbox.openWindow()
    this.#receipts.receivesFrom(this.#inbox.expectedPosition)
    this.#participants.answerUpstream(this.#goesOn)
  }

  /** Where this stage goes on, for who sends it rows. */
  get #goesOn(): Pick<OpenedFrame, 'nextPosition' | 'windowRows'> {
    return { nextPosition: this.#inbox.expectedPosition, windowRows: this.#inbox.windowRows }
  }

  /** True when the session has ended meanwhile: its slot was kept for the pass. */
  #freeAfterPass(): boolean {
    if (this.#ended) this.#setup.engine.close(this.#setup.slot)
    return this.#ended
  }

  #break(link: PeerLink, rule: string): void {
    this.fail('protocol', `${this.#participants.nameOf(link)} broke the protocol: ${rule}`)
  }
}
