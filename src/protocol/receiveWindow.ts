/**
 * ReceiveWindow: the receiver's side of a session's window in rows. The sender may have sent `rows` in all since `opened`; the receiver raises that as it consumes, in steps, so that a decode row does not cost a frame of its own.
 */

import { WINDOW_ROWS } from './limits.ts'

/** Consumed rows that are worth a `window` frame. The sender always has at least WINDOW_ROWS − WINDOW_STEP_ROWS ≥ ROWS_MAX in hand. */
const WINDOW_STEP_ROWS = WINDOW_ROWS / 4

export class ReceiveWindow {
  #rows = WINDOW_ROWS
  #receivedRows = 0
  #consumedRows = 0

  /** What the sender was told: rows in all since `opened`. */
  get rows(): number {
    return this.#rows
  }

  /** Counts rows that came; false when they are beyond the window. */
  receive(rowCount: number): boolean {
    this.#receivedRows += rowCount
    return this.#receivedRows <= this.#rows
  }

  /** Counts rows that need no memory any more; the new `rows` when the sender should be told, else null. */
  consume(rowCount: number): number | null {
    this.#consumedRows += rowCount
    if (this.#consumedRows + WINDOW_ROWS - this.#rows < WINDOW_STEP_ROWS) return null
    this.#rows = this.#consumedRows + WINDOW_ROWS
    return this.#rows
  }
}
