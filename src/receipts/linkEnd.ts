/** LinkEnd: what passed one end of a link in one segment: counts, positions and hashes, at any cut. Rules V7 and V8 of protocol/SPEC.md. */

import { EMPTY_HASH, type LinkTally } from '../protocol/index.ts'
import { assert, required, type Sha256, toHex } from '../shared/index.ts'
import type { RowBudget } from './rowBudget.ts'
import { type HashedRow, RowHashes } from './rowHashes.ts'
import { type CountedRow, RowTally } from './rowTally.ts'

export interface PassingRow extends CountedRow, HashedRow {}

/** A link's tally up to some position; its hash follows, null if a truncation comes before it is computed. */
export interface Cut {
  readonly tally: Omit<LinkTally, 'hash'>
  readonly hash: Promise<string | null>
}

/** A link that has not begun. */
const NOTHING: Cut = {
  tally: { firstPosition: 0, endPosition: 0, prompt: 0, decode: 0, results: 0 },
  hash: Promise.resolve(EMPTY_HASH),
}

export class LinkEnd {
  readonly #sha256: Sha256
  readonly #budget: RowBudget
  #rows: { readonly tally: RowTally; readonly hashes: RowHashes } | null = null

  constructor(sha256: Sha256, budget: RowBudget) {
    this.#sha256 = sha256
    this.#budget = budget
  }

  /** Null before its receiver has said where it begins. */
  get endPosition(): number | null {
    return this.#rows?.tally.endPosition ?? null
  }

  /** Its receiver goes on at that position. One that says another than it was at, which breaks off without a repair, begins anew. */
  begin(firstPosition: number): void {
    if (this.endPosition === firstPosition) return
    this.drop()
    this.#rows = {
      tally: new RowTally(firstPosition, this.#budget),
      hashes: new RowHashes(firstPosition, this.#sha256, this.#budget),
    }
  }

  /**
   * Rows from `firstPosition` on pass, once more where it is below the end: then what stood there stands no more. `isKept`: somebody
   * else keeps the row's bytes, and accounts for them.
   */
  pass(firstPosition: number, rows: Iterable<PassingRow>, isKept: (position: number) => boolean): void {
    // A sender that does not wait for its answer.
    if (this.#rows === null) this.begin(firstPosition)
    const link = required(this.#rows, 'the link that has begun')
    assert(firstPosition <= link.tally.endPosition, `rows from ${firstPosition} pass a link that ends at ${link.tally.endPosition}`)
    if (firstPosition < link.tally.endPosition) this.truncate(firstPosition)
    for (const row of rows) {
      link.hashes.add(row, isKept(link.tally.endPosition))
      link.tally.pass(row)
    }
  }

  /** Positions ≥ `length` stand no more. */
  truncate(length: number): void {
    this.#rows?.tally.truncate(length)
    this.#rows?.hashes.truncate(length)
  }

  /** What had passed when `endPosition` was reached, as far as it was. */
  cutAt(endPosition: number): Cut {
    if (this.#rows === null) return NOTHING
    const { tally, hashes } = this.#rows
    const { firstPosition } = tally
    const end = Math.max(firstPosition, Math.min(endPosition, tally.endPosition))
    return {
      tally: { firstPosition, endPosition: end, ...tally.countsAt(end) },
      hash: hashes.hashAt(end).then((hash) => hash && toHex(hash)),
    }
  }

  /** Gives the memory back. */
  drop(): void {
    this.#rows?.tally.drop()
    this.#rows?.hashes.drop()
  }
}
