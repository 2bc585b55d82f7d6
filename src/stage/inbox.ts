/**
 * Inbox: the rows of one session at one stage, from their arrival to the end of their pass: which may come, which wait, which are in
 * a pass, up to where positions are computed, and what a truncation takes of all that. Rules [S] and [W] of protocol/SPEC.md.
 */

import { ReceiveWindow, type RowsFrame, rowBytes } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'
import type { PassRows } from './outputFrames.ts'
import { RowQueue, type TakenRows, tokenIds } from './rowQueue.ts'
import { Truncations } from './truncations.ts'

/** What rows may be in one chain. */
export interface RowLimits {
  readonly maxPositions: number
  readonly encoding: RowsFrame['encoding']
  /** Elements of an activation row. */
  readonly width: number
  readonly vocabularySize: number
}

export interface InboxOptions {
  /** Of the session's `open`. */
  readonly epoch: number
  readonly length: number
  /** The upstream may send `windowRows` in all since it was answered. */
  readonly onRoom: (windowRows: number) => void
  /** The KV cache keeps positions < `length`; no pass is writing to it. */
  readonly truncateCache: (length: number) => void
}

export class Inbox {
  readonly #options: InboxOptions
  readonly #queue = new RowQueue()
  readonly #truncations: Truncations
  #window = new ReceiveWindow()
  /** Positions whose pass is done: the KV length, but for a truncation that waits for a pass. */
  #computed = 0
  #inPass: PassRows | null = null
  /** The pass computes a row that has been computed before. */
  #isAgain = false
  /** A truncation that came during the pass. */
  #truncateTo: number | null = null

  constructor(options: InboxOptions) {
    this.#options = options
    this.#truncations = new Truncations(options.epoch, options.length)
  }

  get epoch(): number {
    return this.#truncations.epoch
  }

  /** Positions that somebody who may have missed any truncation since the last `open` may keep. */
  get keptLength(): number {
    return this.#truncations.length
  }

  /** The next position whose pass is not done. */
  get computed(): number {
    return this.#computed
  }

  get passing(): boolean {
    return this.#inPass !== null
  }

  /** Kind of the row that a pass would take next; null when none waits. */
  get nextKind(): RowsFrame['kind'] | null {
    return this.#queue.nextKind
  }

  /** The first position that no row has come for. */
  get expectedPosition(): number {
    return this.#queueStart + this.#queue.rowCount
  }

  get windowRows(): number {
    return this.#window.rows
  }

  /** The upstream is answered: it counts its rows from here on. */
  openWindow(): void {
    this.#window = new ReceiveWindow()
  }

  /** Counts rows that came; false when they are beyond the window. */
  admits(rowCount: number): boolean {
    return this.#window.receive(rowCount)
  }

  /** The rule that the frame breaks, or null. */
  faultOf(frame: RowsFrame, limits: RowLimits): string | null {
    const { epoch, expectedPosition } = this
    if (frame.epoch > epoch) return `rows of epoch ${frame.epoch}; the session is in epoch ${epoch}`
    const isForgotten = frame.firstPosition >= this.#truncations.lengthSince(frame.epoch)
    if (frame.firstPosition !== expectedPosition && !isForgotten)
      return `rows from position ${frame.firstPosition}; expected ${expectedPosition}`
    const end = frame.firstPosition + frame.rowCount
    if (end > limits.maxPositions) return `rows up to ${end} of ${limits.maxPositions} positions`
    return payloadFault(frame, limits)
  }

  /** Takes a frame without fault. Of an older epoch what was not truncated since still counts; returns how many of its first rows that are. */
  push(frame: RowsFrame): number {
    const rowCount = Math.max(0, Math.min(frame.rowCount, this.#truncations.lengthSince(frame.epoch) - frame.firstPosition))
    if (rowCount < frame.rowCount) this.#consume(frame.rowCount - rowCount)
    if (rowCount > 0) this.#queue.push(frame, rowCount)
    return rowCount
  }

  /** Takes up to `rowsMax` rows of one frame into a pass. */
  take(rowsMax: number): TakenRows {
    assert(this.#inPass === null, 'two passes of one session')
    const taken = this.#queue.take(rowsMax)
    this.#inPass = taken
    return taken
  }

  /** The last row goes into a pass again: the KV cache is taken back to it. */
  takeAgain(position: number, kind: PassRows['kind']): PassRows {
    assert(this.#inPass === null && position === this.#computed - 1, `position ${position} again of ${this.#computed}`)
    const rows = { epoch: this.epoch, kind, firstPosition: position, rowCount: 1, resultCount: 1, named: null }
    this.#options.truncateCache(position)
    this.#inPass = rows
    this.#isAgain = true
    return rows
  }

  /** The pass has ended, and computed its first `rowCount` rows; returns how many of them were not truncated meanwhile. */
  passEnded(rowCount: number): number {
    const inPass = this.#inPass
    assert(inPass !== null, 'a pass ended that was not begun')
    const end = inPass.firstPosition + rowCount
    this.#inPass = null
    this.#computed = Math.min(end, this.#truncateTo ?? end)
    this.#truncateTo = null
    if (this.#computed < end) this.#options.truncateCache(this.#computed)
    if (!this.#isAgain) this.#consume(rowCount)
    this.#isAgain = false
    return Math.max(0, this.#computed - inPass.firstPosition)
  }

  /** Notes that positions ≥ `length` are taken back in `epoch`; false when it is known. */
  enter(epoch: number, length: number): boolean {
    return this.#truncations.add(epoch, length)
  }

  /** Another chain over the same session: its `open` tells of all that this stage may have missed. */
  reopen(length: number): void {
    this.#truncations.reopen(length)
  }

  /** Positions ≥ `length` are forgotten: computed, in a pass, or waiting. */
  forget(length: number): void {
    this.#consume(this.#queue.truncate(Math.max(0, length - this.#queueStart)))
    if (this.#inPass !== null) this.#truncateTo = Math.min(length, this.#truncateTo ?? length)
    else if (length < this.#computed) this.#options.truncateCache(length)
    this.#computed = Math.min(this.#computed, length)
  }

  /** Nothing waits any more. */
  drop(): void {
    this.#queue.truncate(0)
  }

  /** Position of the queue's first row. */
  get #queueStart(): number {
    const inPass = this.#inPass
    if (inPass === null) return this.#computed
    const end = inPass.firstPosition + inPass.rowCount
    return Math.min(end, this.#truncateTo ?? end)
  }

  #consume(rowCount: number): void {
    const raised = this.#window.consume(rowCount)
    if (raised !== null) this.#options.onRoom(raised)
  }
}

function payloadFault(frame: RowsFrame, { encoding, width, vocabularySize }: RowLimits): string | null {
  const unknown = frame.named === undefined ? undefined : tokenIds(frame.named).find((id) => id >= vocabularySize)
  if (unknown !== undefined) return `token ${unknown} is named, of a vocabulary of ${vocabularySize}`
  if (frame.encoding !== encoding) return `rows as ${frame.encoding}; this stage takes ${encoding}`
  if (frame.encoding === 'tokens') {
    const foreign = tokenIds(frame.payload).find((id) => id >= vocabularySize)
    return foreign === undefined ? null : `token ${foreign} is not in a vocabulary of ${vocabularySize}`
  }
  const bytes = frame.rowCount * rowBytes(frame.encoding, width)
  return frame.payload.byteLength === bytes ? null : `${frame.payload.byteLength} bytes for ${frame.rowCount} rows; expected ${bytes}`
}
