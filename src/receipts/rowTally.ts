/**
 * RowTally: rows that passed somewhere, counted by kind; a row that a truncation dropped stays counted. It can tell the count up to any
 * position, as if what stands behind it had not passed yet. Rules V7 and V8 of protocol/SPEC.md.
 */

import type { RowCounts, RowKind } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'
import { PackedItems } from './packedItems.ts'
import type { RowBudget } from './rowBudget.ts'

export interface CountedRow {
  readonly kind: RowKind
  /** Whether the driver asked for its candidates. */
  readonly wanted: boolean
}

const DECODE = 1
const WANTED = 2

export class RowTally {
  /** Of the positions that stand, one byte each. */
  readonly #flags: PackedItems
  #counts: RowCounts = { prompt: 0, decode: 0, results: 0 }
  #firstPosition: number
  #endPosition: number

  constructor(firstPosition: number, budget: RowBudget) {
    this.#flags = new PackedItems(1, budget)
    this.#firstPosition = firstPosition
    this.#endPosition = firstPosition
  }

  /** Where it began; lower when a truncation went below. */
  get firstPosition(): number {
    return this.#firstPosition
  }

  /** Behind the last position that stands. */
  get endPosition(): number {
    return this.#endPosition
  }

  /** The row of position `endPosition`. */
  pass(row: CountedRow): void {
    this.count(row)
    const flags = (row.kind === 'decode' ? DECODE : 0) + (row.wanted ? WANTED : 0)
    this.#flags.set(this.#endPosition - this.#firstPosition, Uint8Array.of(flags))
    this.#endPosition++
  }

  /** One that stands nowhere: it was truncated before it could. */
  count({ kind, wanted }: CountedRow): void {
    this.#counts = add(this.#counts, kind, wanted, 1)
  }

  /** Positions ≥ `length` stand no more; below where it began it begins anew. */
  truncate(length: number): void {
    this.#endPosition = Math.min(this.#endPosition, length)
    this.#firstPosition = Math.min(this.#firstPosition, length)
  }

  /** Without those that stand from `endPosition` on. */
  countsAt(endPosition: number): RowCounts {
    let counts = this.#counts
    for (let position = Math.max(endPosition, this.#firstPosition); position < this.#endPosition; position++) {
      const flags = this.#flags.at(position - this.#firstPosition)[0]
      assert(flags !== undefined, `no row of position ${position}`)
      counts = add(counts, (flags & DECODE) === 0 ? 'prompt' : 'decode', (flags & WANTED) !== 0, -1)
    }
    return counts
  }

  /** Gives the memory back: nothing passes any more, and there are no cuts. */
  drop(): void {
    this.truncate(0)
    this.#flags.drop()
  }
}

function add(counts: RowCounts, kind: RowKind, wanted: boolean, sign: 1 | -1): RowCounts {
  const { prompt, decode, results } = counts
  return {
    prompt: prompt + (kind === 'prompt' ? sign : 0),
    decode: decode + (kind === 'decode' ? sign : 0),
    results: results + (wanted ? sign : 0),
  }
}
