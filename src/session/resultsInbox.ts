/**
 * ResultsInbox: the results that the last stage sends the driver: its window, and what truncations and repairs let come once more. Whether
 * results are what they must be is the LapLedger's matter.
 */

import { type OpenedFrame, ReceiveWindow, type ResultsFrame } from '../protocol/index.ts'
import { err, ok, type Result } from '../shared/index.ts'
import type { LapResults } from './chain.ts'
import type { DriverReceipts } from './driverReceipts.ts'
import type { LapLedger } from './lapLedger.ts'

interface Received {
  /** Null: of an older epoch, or repeated. */
  readonly results: LapResults | null
  /** The rows that the last stage may send in all since it was answered, where it should be told; else null. */
  readonly windowRows: number | null
}

export class ResultsInbox {
  readonly #ledger: LapLedger
  readonly #receipts: DriverReceipts
  readonly #maxPositions: number
  #window = new ReceiveWindow()
  #keptLength: number
  /** The same when the present chain was opened. */
  #openedLength: number

  constructor(ledger: LapLedger, receipts: DriverReceipts, maxPositions: number) {
    this.#ledger = ledger
    this.#receipts = receipts
    this.#maxPositions = maxPositions
    this.#keptLength = maxPositions
    this.#openedLength = maxPositions
  }

  /** Positions that every stage may keep, whatever truncations it has missed since results last came. */
  get keptLength(): number {
    return this.#keptLength
  }

  /** The last stage opens the driver: it counts its rows from here on. Returns what it is answered. */
  open(): Pick<OpenedFrame, 'nextPosition' | 'windowRows'> {
    this.#window = new ReceiveWindow()
    this.#receipts.receivesFrom(this.#ledger.answered)
    return { nextPosition: this.#ledger.answered, windowRows: this.#window.rows }
  }

  /** Another chain over the same session is about to be opened. */
  reopen(): void {
    this.#openedLength = Math.min(this.#keptLength, this.#ledger.answered)
  }

  /** Positions ≥ `length` were taken back, from a chain that is open or one that is being opened. */
  truncate(length: number, isOpen: boolean): void {
    if (!isOpen) this.#ledger.expectRepeats(Math.min(this.#openedLength, length))
    this.#keptLength = Math.min(this.#keptLength, length)
  }

  /** Takes a frame of the last stage, or says which rule it breaks. */
  receive(frame: ResultsFrame): Result<Received, string> {
    if (!this.#window.receive(frame.rowCount)) return err('results beyond the window')
    const results = this.#ledger.accept(frame)
    if (!results.ok) return results
    if (frame.epoch === this.#ledger.epoch) this.#receipts.received(frame)
    if (results.value !== null) this.#keptLength = this.#maxPositions
    return ok({ results: results.value, windowRows: this.#window.consume(frame.rowCount) })
  }
}
