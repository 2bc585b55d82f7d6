/**
 * ActivationLog: what a stage sent downstream in one session, position by position: the material for failover (replay), verification and
 * reuse. docs/ARCHITECTURE.md says what for. What its receipts commit to is hashed in receipts/. What came in is kept in another one, for
 * verification alone.
 *
 * The last stage logs the bytes of each position's candidates, none where none were asked for.
 */

import type { RowKind } from '../protocol/index.ts'
import type { RowBudget } from '../receipts/index.ts'
import { assert } from '../shared/index.ts'

export interface LoggedRow {
  readonly kind: RowKind
  /** Whether the driver asked for its candidates. */
  readonly wanted: boolean
  readonly bytes: Uint8Array
  /** What its frame says of named tokens: their ids, of the last stage their logits too. No receipt or audit is about it. Null: nothing. */
  readonly named: Uint8Array | null
}

export class ActivationLog {
  readonly #budget: Pick<RowBudget, 'take' | 'give'>
  /** Index = position; null: the row came after the bound was reached and is not kept. */
  readonly #rows: (LoggedRow | null)[] = []
  #full = false

  constructor(budget: Pick<RowBudget, 'take' | 'give'>) {
    this.#budget = budget
  }

  get length(): number {
    return this.#rows.length
  }

  /** Positions whose rows are kept: all, unless the bound was reached; such a log has rows only of the first. */
  get keptLength(): number {
    return this.#full ? this.#rows.indexOf(null) : this.#rows.length
  }

  /** Adds the row of position `length`, and returns it with bytes of its own. */
  append(row: LoggedRow): LoggedRow {
    // From the first row that found no room on none is kept, so that what is kept has no holes.
    this.#full ||= !this.#budget.take(bytesOf(row))
    const { kind, wanted, bytes, named } = row
    const logged = { kind, wanted, bytes: bytes.slice(), named: named === null ? null : named.slice() }
    this.#rows.push(this.#full ? null : logged)
    return logged
  }

  /** Forgets positions ≥ `length`. */
  truncate(length: number): void {
    assert(length >= 0 && length <= this.#rows.length, `truncate a log of ${this.#rows.length} positions to ${length}`)
    for (const row of this.#rows.splice(length)) this.#budget.give(row === null ? 0 : bytesOf(row))
    if (this.#full && !this.#rows.includes(null)) this.#full = false
  }

  /** The rows of [first, end) as they were sent; all of them must be kept. */
  rows(first: number, end: number): LoggedRow[] {
    assert(first <= end && end <= this.keptLength, `rows ${first} … ${end} of ${this.keptLength} that are kept`)
    return this.#rows.slice(first, end).flatMap((row) => row ?? [])
  }

  /** Gives the memory back. */
  drop(): void {
    this.truncate(0)
  }
}

function bytesOf({ bytes, named }: LoggedRow): number {
  return bytes.byteLength + (named?.byteLength ?? 0)
}
