/**
 * StageSession: one session at one stage, from `open` to its end: who takes part, which rows may come, what was computed,
 * what was sent on. It decides and sends; passes are run by the host. Rules [S] and [W] of protocol/SPEC.md.
 */

import {
  FAILURE_MESSAGE_CHARACTERS_MAX,
  type FailedFrame,
  type FailureReason,
  type Frame,
  type Grant,
  ReceiveWindow,
  type RowsFrame,
  rowBytes,
  SESSION_IDLE_MS,
  type SignedGrant,
  type TruncateFrame,
} from '../protocol/index.ts'
import { assert, type CancelTimer, type Clock, type Sha256 } from '../shared/index.ts'
import type { Engine, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import { ActivationLog, type LogBudget } from './activationLog.ts'
import { outputFrames, type PassRows } from './outputFrames.ts'
import type { PeerLink } from './peerLinks.ts'
import { type Place, type ServedSpan, stageName } from './place.ts'
import { RowQueue, tokenIds } from './rowQueue.ts'

/** From the first `open` until driver, upstream and downstream are there. The driver gives up sooner, and says who is to blame. */
const JOIN_DEADLINE_MS = 30_000

/** How long the word of who failed goes before the word of its neighbor, so that the driver blames the right one. */
const PASS_ON_AFTER_MS = 1_000

/** Timers of hosts overflow beyond 2^31 ms; a long-lived grant is looked at again after this. */
const CHECK_AFTER_MS_MAX = 60 * 60_000

export interface SessionSetup {
  readonly grant: Grant
  readonly signedGrant: SignedGrant
  readonly place: Place
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
  readonly grant: Grant
  readonly log: ActivationLog
  readonly #setup: SessionSetup
  readonly #queue = new RowQueue()
  readonly #window = new ReceiveWindow()
  #driver: PeerLink | null = null
  #upstream: PeerLink | null = null
  #downstream: PeerLink | null = null
  #downstreamReady = false
  #driverAnswered = false
  #epoch = 0
  /** Positions whose pass is done: the KV length, but for a truncation that waits for a pass. */
  #computed = 0
  #sendableRows = 0
  #sentRows = 0
  /** Rows that are in a pass now. */
  #inPass: PassRows | null = null
  #truncateTo: number | null = null
  #ended = false
  #heardMs: number
  #bytesSent = 0
  readonly #cancelJoin: CancelTimer
  #cancelWatch: CancelTimer | null = null
  #cancelPassOn: CancelTimer | null = null

  constructor(setup: SessionSetup) {
    this.#setup = setup
    this.grant = setup.grant
    this.log = new ActivationLog(setup.sha256, setup.logBudget)
    this.#heardMs = setup.clock.nowMs()
    this.#cancelJoin = setup.clock.after(JOIN_DEADLINE_MS, () => this.#onJoinDeadline())
    this.#watch()
  }

  get signedGrant(): SignedGrant {
    return this.#setup.signedGrant
  }

  get place(): Place {
    return this.#setup.place
  }

  get ended(): boolean {
    return this.#ended
  }

  get passing(): boolean {
    return this.#inPass !== null
  }

  /** Kind of the row that could be computed now: it waits, and there is room for its output. */
  get nextKind(): RowsFrame['kind'] | null {
    if (this.#ended || this.#inPass !== null || !this.#downstreamReady || this.#sendableRows <= this.#sentRows) return null
    return this.#queue.nextKind
  }

  /** A verified `open` from the driver, from the upstream, or again from one of them, which only says that it lives. */
  join(link: PeerLink): void {
    this.#heardMs = this.#setup.clock.nowMs()
    const { driver, upstream, isFirst, isLast } = this.place
    if (link.peerId === upstream && this.#upstream === null) {
      this.#upstream = this.#use(link)
      if (!isFirst) link.send({ type: 'opened', sessionId: this.grant.sessionId, windowRows: this.#window.rows })
    }
    if (link.peerId === driver && this.#driver === null) {
      this.#driver = this.#use(link)
      if (isLast) this.connected(link)
      this.#answerDriver()
    }
  }

  /** The link to who takes the outputs: the next stage, or the driver. */
  connected(link: PeerLink): void {
    if (this.#ended) return
    this.#downstream = this.#use(link)
    this.#bytesSent += link.send({ type: 'open', sessionId: this.grant.sessionId, grant: this.#setup.signedGrant })
  }

  /** Any frame of this session but `open`. Frames of others than those who take part change nothing. */
  handle(link: PeerLink, frame: Exclude<Frame, { type: 'open' }>): void {
    const known = link === this.#driver || link === this.#upstream || link === this.#downstream
    if (!known || this.#ended) return
    this.#heardMs = this.#setup.clock.nowMs()
    switch (frame.type) {
      case 'rows':
        if (link === this.#upstream) this.#onRows(link, frame)
        else this.#break(link, 'rows come from the upstream only')
        break
      case 'truncate':
        if (link === this.#upstream) this.#onTruncate(frame)
        else this.#break(link, 'truncate comes from the upstream only')
        break
      case 'close':
        if (link === this.#driver || link === this.#upstream) this.end()
        else this.#break(link, 'close comes from driver and upstream only')
        break
      case 'opened':
      case 'window':
        if (link === this.#downstream) this.#onWindow(frame.windowRows)
        else this.#break(link, `${frame.type} comes from the downstream only`)
        break
      case 'failed':
        if (link === this.#downstream && link !== this.#driver) this.#passOn(frame, this.#nameOf(link))
        else this.#break(link, 'failed comes from the downstream only')
        break
      default:
        this.#break(link, `a stage takes no ${frame.type}`)
    }
  }

  /** One of the links has ended. */
  lost(link: PeerLink, detail: string): void {
    if (link === this.#driver) this.end()
    else if (link === this.#upstream || link === this.#downstream) {
      this.fail('stage-lost', `the link to ${this.#nameOf(link)} ended (${detail}); ask again to get another chain`)
    }
  }

  /** Takes up to `rowsMax` rows into a pass; `nextKind` must not be null. */
  take(rowsMax: number): Work {
    const { slot, place, grant, served } = this.#setup
    const rows = this.#queue.take(Math.min(rowsMax, this.#sendableRows - this.#sentRows))
    this.#inPass = rows
    const topK = Math.min(grant.topK, served.config.vocabularySize)
    const output: Segment['output'] = place.isLast
      ? { kind: 'candidates', resultCount: rows.resultCount, topK }
      : { kind: 'rows', encoding: grant.rowEncoding }
    return { session: this, rows, segment: { slot, kind: rows.kind, firstPosition: rows.firstPosition, input: rows.input, output } }
  }

  /** The pass is done: sends its outputs on, unless they were truncated meanwhile. */
  complete(rows: PassRows, output: SegmentOutput, computeMs: number): void {
    if (!this.#passEnded()) return
    const stale = rows.epoch < this.#epoch
    if (!stale) {
      this.#computed += rows.rowCount
      this.#sendOutputs(rows, output)
      void this.#sendLap(rows, computeMs)
    }
    this.#consume(rows.rowCount)
    this.#setup.onReady()
  }

  /** The pass has failed. */
  abandon(reason: FailureReason, message: string): void {
    if (this.#passEnded()) this.fail(reason, message)
  }

  /** Ends the session and tells the driver, or who asked for it when the driver has not joined. */
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
    this.#cancelJoin()
    this.#cancelWatch?.()
    this.#cancelPassOn?.()
    this.#queue.clear()
    this.log.drop()
    // It must not overtake the `open` of a stage that has not answered yet.
    const priority = this.#downstreamReady ? 'urgent' : 'data'
    if (!this.place.isLast) this.#downstream?.send({ type: 'close', sessionId: this.grant.sessionId }, priority)
    for (const link of new Set([this.#driver, this.#upstream, this.#downstream])) link?.release(this)
    if (this.#inPass === null) this.#setup.engine.close(this.#setup.slot)
    this.#setup.onEnded(this)
  }

  #use(link: PeerLink): PeerLink {
    link.use(this)
    return link
  }

  #onRows(link: PeerLink, frame: RowsFrame): void {
    if (!this.#window.receive(frame.rowCount)) {
      const detail = `rows beyond the window of ${this.#window.rows}`
      this.fail('protocol', detail)
      link.close({ reason: 'garbage', detail })
      return
    }
    if (frame.epoch < this.#epoch) {
      this.#consume(frame.rowCount)
      return
    }
    const fault = this.#faultOf(frame)
    if (fault !== null) {
      this.#break(link, fault)
      return
    }
    this.#queue.push(frame)
    this.#setup.onReady()
  }

  #faultOf(frame: RowsFrame): string | null {
    const { place, served, grant } = this.#setup
    if (frame.epoch > this.#epoch) return `rows of epoch ${frame.epoch}; the session is in epoch ${this.#epoch}`
    const expected = this.#expectedPosition
    if (frame.firstPosition !== expected) return `rows from position ${frame.firstPosition}; expected ${expected}`
    if (expected + frame.rowCount > grant.maxPositions) return `rows up to ${expected + frame.rowCount} of ${grant.maxPositions} positions`
    const encoding = place.isFirst ? 'tokens' : grant.rowEncoding
    if (frame.encoding !== encoding) return `rows as ${frame.encoding}; this stage takes ${encoding}`
    if (frame.encoding === 'tokens') {
      const foreign = tokenIds(frame.payload).find((id) => id >= served.config.vocabularySize)
      return foreign === undefined ? null : `token ${foreign} is not in a vocabulary of ${served.config.vocabularySize}`
    }
    const bytes = frame.rowCount * rowBytes(frame.encoding, served.config.width)
    return frame.payload.byteLength === bytes ? null : `${frame.payload.byteLength} bytes for ${frame.rowCount} rows; expected ${bytes}`
  }

  /** The first position that no row has come for. */
  get #expectedPosition(): number {
    const inPass = this.#inPass?.epoch === this.#epoch ? this.#inPass.rowCount : 0
    return this.#computed + inPass + this.#queue.rowCount
  }

  #onTruncate(frame: TruncateFrame): void {
    if (frame.epoch <= this.#epoch) return
    if (frame.length > this.#computed) {
      this.fail('protocol', `truncate to ${frame.length}; ${this.#computed} positions are computed`)
      return
    }
    this.#epoch = frame.epoch
    this.#computed = frame.length
    this.#consume(this.#queue.clear())
    this.log.truncate(Math.min(frame.length, this.log.length))
    if (this.#inPass !== null) this.#truncateTo = Math.min(frame.length, this.#truncateTo ?? frame.length)
    else this.#setup.engine.truncate(this.#setup.slot, frame.length)
    if (!this.place.isLast) this.#downstream?.send(frame, 'urgent')
  }

  #onWindow(windowRows: number): void {
    this.#sendableRows = Math.max(this.#sendableRows, windowRows)
    this.#downstreamReady = true
    this.#answerDriver()
    this.#setup.onReady()
  }

  #answerDriver(): void {
    if (this.#driver === null || !this.#downstreamReady || this.#driverAnswered) return
    this.#driverAnswered = true
    this.#driver.send({ type: 'opened', sessionId: this.grant.sessionId, windowRows: this.#window.rows })
  }

  #consume(rowCount: number): void {
    const raised = this.#window.consume(rowCount)
    if (raised !== null) this.#upstream?.send({ type: 'window', sessionId: this.grant.sessionId, windowRows: raised })
  }

  /** True when the session goes on; an ended one frees its slot here. */
  #passEnded(): boolean {
    const { engine, slot } = this.#setup
    this.#inPass = null
    if (this.#ended) {
      engine.close(slot)
      return false
    }
    if (this.#truncateTo !== null) engine.truncate(slot, this.#truncateTo)
    this.#truncateTo = null
    return true
  }

  #sendOutputs(rows: PassRows, output: SegmentOutput): void {
    const { frames, rows: logged } = outputFrames(this.grant, this.#setup.served.config.width, rows, output)
    for (const row of logged) this.log.append(row)
    this.#sentRows += rows.rowCount
    for (const frame of frames) this.#bytesSent += this.#downstream?.send(frame) ?? 0
  }

  /** Statistics take a moment; nothing waits for them, and a lap that is lost with its link does no harm. */
  async #sendLap(rows: PassRows, computeMs: number): Promise<void> {
    const downstream = this.#downstream
    assert(downstream !== null, 'a pass without a downstream')
    const { firstPosition, rowCount, kind } = rows
    try {
      const bytesSent = this.#bytesSent
      const stats = await downstream.stats()
      if (this.#ended) return
      const { sessionId } = this.grant
      this.#driver?.send({ type: 'lap', sessionId, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind: stats.kind })
    } catch {
      // The link ended while it was asked: its end is told by `lost`.
    }
  }

  /** The next stage has refused: the driver hears so from itself, unless it cannot reach it. */
  #passOn({ reason, message }: FailedFrame, name: string): void {
    this.#cancelPassOn ??= this.#setup.clock.after(PASS_ON_AFTER_MS, () => this.fail(reason, `${name}: ${message}`))
  }

  #break(link: PeerLink, rule: string): void {
    this.fail('protocol', `${this.#nameOf(link)} broke the protocol: ${rule}`)
  }

  #nameOf(link: PeerLink): string {
    if (link === this.#driver) return 'the driver'
    return stageName(this.grant, link === this.#upstream ? this.place.index - 1 : this.place.index + 1)
  }

  #onJoinDeadline(): void {
    const { index } = this.place
    let missing: string | null = null
    if (!this.#downstreamReady) missing = stageName(this.grant, index + 1)
    if (this.#upstream === null) missing = stageName(this.grant, index - 1)
    if (this.#driver === null) missing = 'the driver'
    if (missing !== null) this.fail('unreachable', `${missing} did not answer within ${JOIN_DEADLINE_MS / 1000} s`)
  }

  /** Looks at the idle limit and at the grant's expiry, whichever comes first, again and again. */
  #watch(): void {
    const { clock, grant } = this.#setup
    const nowMs = clock.nowMs()
    const idleAtMs = this.#heardMs + SESSION_IDLE_MS
    // Who computes is not idle, however long the pass takes.
    if (nowMs >= idleAtMs && this.#inPass === null && this.#queue.rowCount === 0) {
      this.fail('expired', `nothing was heard of the session for ${SESSION_IDLE_MS / 1000} s`)
    } else if (nowMs >= grant.expiresAtMs) {
      this.fail('expired', 'the grant has expired; ask again to get a new one')
    } else {
      const checkAtMs = Math.min(idleAtMs > nowMs ? idleAtMs : nowMs + SESSION_IDLE_MS, grant.expiresAtMs)
      this.#cancelWatch?.()
      this.#cancelWatch = clock.after(Math.min(checkAtMs - nowMs, CHECK_AFTER_MS_MAX), () => this.#watch())
    }
  }
}
