/**
 * DriverReceipts: what the driver signs of its session, segment by segment: token ids that it sent, results that it got. Each is for the
 * coordinator, and for the stages, which serve a driver only so far beyond its last one. Rules V8 … V10 of protocol/SPEC.md.
 */

import type { Grant, ResultsFrame, RowsFrame, SignedReceipt } from '../protocol/index.ts'
import type { Part, PassingRow, ReceiptBook } from '../receipts/index.ts'
import type { LapLedger } from './lapLedger.ts'

export interface DriverReceiptsPorts {
  /** Null: nothing is signed. */
  readonly book: ReceiptBook | null
  readonly ledger: LapLedger
  /** Tells the stages of the present chain. */
  readonly tellStages: (receipt: SignedReceipt) => void
}

const NO_BYTES = new Uint8Array(0)

export class DriverReceipts {
  readonly #ports: DriverReceiptsPorts
  /** Of the present grant: what is sent belongs to it. */
  #part: Part | null = null
  /** Results belong to it: to the one before until the last stage of the present chain has been told where to go on. */
  #receiving: Part | null = null
  /** Before it lie rows that were sent in an earlier segment already. */
  #sentBefore = 0
  /** Of this segment. */
  #sentEnd = 0

  constructor(ports: DriverReceiptsPorts) {
    this.#ports = ports
  }

  /** A segment begins under that grant; of the one before results may still come. */
  begin(grant: Grant): void {
    if (this.#part !== this.#receiving) this.#end(this.#part)
    this.#sentBefore = Math.max(this.#sentBefore, this.#sentEnd)
    this.#sentEnd = 0
    const { book, ledger, tellStages } = this.#ports
    const part = book?.begin({
      grant,
      epoch: ledger.epoch,
      party: (resent) => ({ kind: 'driver', resent }),
      onSigned: (receipt) => {
        if (this.#part === part) tellStages(receipt)
      },
    })
    this.#part = part ?? null
  }

  /** The driver takes no further part. */
  end(): void {
    for (const part of [this.#receiving, this.#part]) this.#end(part)
    this.#part = null
  }

  /** Stage 0 was answered to go on at that position. */
  sendsFrom(position: number): void {
    this.#part?.begin('sent', position)
  }

  /** The last stage was told to go on at that position. */
  receivesFrom(position: number): void {
    if (this.#receiving !== this.#part) this.#end(this.#receiving)
    this.#receiving = this.#part
    this.#part?.begin('received', position)
  }

  /** Every stage has answered: those that have to compute much again hear how far the results have come. */
  opened(): void {
    if (this.#ports.ledger.answered > 0) this.#part?.signNow()
  }

  sent({ firstPosition, rowCount, kind, resultCount, payload }: RowsFrame): void {
    if (this.#part === null) return
    const rows: PassingRow[] = []
    for (let row = 0; row < rowCount; row++) {
      const wanted = row >= rowCount - resultCount
      rows.push({ kind, wanted, bytes: payload.subarray(4 * row, 4 * (row + 1)) })
      if (firstPosition + row < this.#sentBefore) this.#part.workFrom(firstPosition).pass({ kind, wanted })
    }
    this.#sentEnd = Math.max(this.#sentEnd, firstPosition + rowCount)
    this.#part.pass('sent', firstPosition, rows)
  }

  /** Results of the present epoch, also such as came once more. */
  received({ firstPosition, rowCount, resultCount, payload }: ResultsFrame): void {
    if (this.#receiving === null) return
    const firstWanted = rowCount - resultCount
    const stride = payload.byteLength / Math.max(1, resultCount)
    const rows: PassingRow[] = []
    for (let row = 0; row < rowCount; row++) {
      const wanted = row >= firstWanted
      const bytes = wanted ? payload.subarray((row - firstWanted) * stride, (row - firstWanted + 1) * stride) : NO_BYTES
      rows.push({ kind: this.#ports.ledger.kindAt(firstPosition + row), wanted, bytes })
    }
    this.#receiving.pass('received', firstPosition, rows)
  }

  /** Positions ≥ `length` were taken back. */
  truncate(epoch: number, length: number): void {
    // The stages have ended the segment before in the epoch before.
    if (this.#receiving !== this.#part) this.#end(this.#receiving)
    this.#part?.truncate(epoch, length)
    this.#sentBefore = Math.min(this.#sentBefore, length)
    this.#sentEnd = Math.min(this.#sentEnd, length)
  }

  #end(part: Part | null): void {
    if (part !== null) this.#ports.book?.end(part)
  }
}
