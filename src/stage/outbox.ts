/**
 * Outbox: what one session sends downstream, and how far it got. Everything sent is logged; after a repair the next stage says which
 * position it wants, and the log is sent again from there. It may lie ahead of the log, when this stage computes anew what
 * another one had sent: such rows are logged and not sent.
 */

import type { Grant, OpenedFrame } from '../protocol/index.ts'
import type { SegmentOutput } from '../worker/engine.ts'
import type { ActivationLog, LoggedRow } from './activationLog.ts'
import { namedPart, outputRows, type PassRows, type Rows, resultsFrames, rowsFrames } from './outputFrames.ts'
import type { PeerLink } from './peerLinks.ts'

export interface OutboxOptions {
  readonly log: ActivationLog
  readonly width: number
  /** The downstream wants rows from that position on. */
  readonly onOpened: (position: number) => void
  /** Rows from that position on were sent. */
  readonly onSent: (firstPosition: number, rows: readonly LoggedRow[]) => void
}

export class Outbox {
  readonly #options: OutboxOptions
  readonly #log: ActivationLog
  #grant: Grant
  #isLast: boolean
  #link: PeerLink | null = null
  #isOpen = false
  /** Positions that the downstream may keep by truncations since it was asked, which may come behind its answer. */
  #keptLength = Number.POSITIVE_INFINITY
  /** The next position to send. */
  #position = 0
  #sendableRows = 0
  #sentRows = 0
  #bytesSent = 0

  constructor(grant: Grant, isLast: boolean, options: OutboxOptions) {
    this.#grant = grant
    this.#isLast = isLast
    this.#options = options
    this.#log = options.log
  }

  /** Null before it is there, and after it was lost. */
  get link(): PeerLink | null {
    return this.#link
  }

  /** Whether the downstream has said what it wants. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** The next position that the downstream wants; of one that has answered. */
  get position(): number {
    return this.#position
  }

  /** Bytes of frames sent downstream in this session. */
  get bytesSent(): number {
    return this.#bytesSent
  }

  /** Rows from `firstPosition` that a pass may give: those that need not be sent, and those that there is room for. */
  rowsMax(firstPosition: number): number {
    if (!this.#isOpen || this.#position < this.#log.length) return 0
    return Math.max(0, this.#position - firstPosition) + this.#sendableRows - this.#sentRows
  }

  /** The rows, of whose results those alone are wanted that the driver has not got. */
  wantedOf(rows: PassRows): PassRows {
    const { epoch, kind, firstPosition, rowCount, resultCount: all, named } = rows
    const resultCount = this.#isLast ? Math.min(all, Math.max(0, firstPosition + rowCount - this.#position)) : all
    return { epoch, kind, firstPosition, rowCount, resultCount, named: namedPart(named, all, all - resultCount, all) }
  }

  /** Another chain: whoever is next has to say anew what it wants. */
  reset(grant: Grant, isLast: boolean): void {
    this.#grant = grant
    this.#isLast = isLast
    this.unlink()
  }

  unlink(): void {
    this.#link = null
    this.#isOpen = false
  }

  /** Whether rows are lost that the downstream has not got: the log had no room for them. */
  get lacksRows(): boolean {
    return this.#isOpen && this.#position < this.#log.length && this.#log.keptLength < this.#log.length
  }

  /** Asks the downstream to open the session, in the sender's epoch. */
  connect(link: PeerLink, open: Parameters<PeerLink['send']>[0]): void {
    this.#link = link
    this.#isOpen = false
    this.#keptLength = Number.POSITIVE_INFINITY
    this.#bytesSent += link.send(open)
  }

  /** Where the downstream goes on; sends what it has missed. */
  opened({ nextPosition, windowRows }: OpenedFrame, epoch: number): void {
    this.#isOpen = true
    this.#position = Math.min(nextPosition, this.#keptLength)
    this.#sentRows = 0
    this.#sendableRows = windowRows
    this.#options.onOpened(this.#position)
    this.#resend(epoch)
  }

  raise(windowRows: number, epoch: number): void {
    this.#sendableRows = Math.max(this.#sendableRows, windowRows)
    this.#resend(epoch)
  }

  /**
   * Logs what a pass gave for `part`, its first `rowCount` rows, and sends what the downstream has not. A pass that was begun before a
   * repair may end while the downstream has not answered, or is being sent what came before: then its rows follow in their turn.
   */
  add(part: PassRows, output: SegmentOutput, rowCount: number): void {
    const rows = outputRows(this.#grant, this.#options.width, part, output).slice(0, rowCount)
    const logged = rows.map((row) => this.#log.append(row))
    if (!this.#isOpen) return
    const skipped = Math.min(rows.length, Math.max(0, this.#position - part.firstPosition))
    const inTurn = this.#position >= part.firstPosition && rows.length - skipped <= this.#sendableRows - this.#sentRows
    if (inTurn)
      this.#send({ epoch: part.epoch, firstPosition: part.firstPosition + skipped, rows: rows.slice(skipped) }, logged.slice(skipped))
    else this.#resend(part.epoch)
  }

  /** Positions ≥ `length` are forgotten, here and downstream. */
  truncate(length: number): void {
    this.#log.truncate(Math.min(length, this.#log.length))
    this.#keptLength = Math.min(this.#keptLength, length)
    this.#position = Math.min(this.#position, length)
  }

  #resend(epoch: number): void {
    const end = Math.min(this.#log.keptLength, this.#position + this.#sendableRows - this.#sentRows)
    if (this.#position >= end) return
    const rows = this.#log.rows(this.#position, end)
    this.#send({ epoch, firstPosition: this.#position, rows }, rows)
  }

  /** `logged`: the same rows, with bytes that stay. */
  #send(toSend: Rows, logged: readonly LoggedRow[]): void {
    const { firstPosition, rows } = toSend
    const frames = this.#isLast ? resultsFrames(this.#grant, toSend) : rowsFrames(this.#grant, toSend)
    for (const frame of frames) this.#bytesSent += this.#link?.send(frame) ?? 0
    this.#position = Math.max(this.#position, firstPosition + rows.length)
    this.#sentRows += rows.length
    if (rows.length > 0) this.#options.onSent(firstPosition, logged)
  }
}
