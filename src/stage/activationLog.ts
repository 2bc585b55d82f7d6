/**
 * ActivationLog: what a stage sent downstream in one session, position by position, with a chained hash: the material for
 * failover (replay), verification (commitments) and reuse. docs/ARCHITECTURE.md says what for.
 *
 *   h(p) = SHA-256(h(p−1) ‖ p as u32 little-endian ‖ kind (1 prompt, 2 decode) ‖ the row's bytes),  h(−1) = 32 zero bytes
 *
 * So it does not depend on batches, passes or frames. The last stage logs the bytes of each position's candidates, none where
 * none were asked for. A hash is computed when somebody asks for one, or when a row is not kept: never in the way of a pass.
 */

import { type RowKind, rowHashInput } from '../protocol/index.ts'
import { assert, type Sha256 } from '../shared/index.ts'

/** Rows that all sessions of one stage may keep together: 58,000 positions of a 576-wide model in f16. */
const LOG_BYTES_MAX = 64 * 1024 * 1024

const HASH_BYTES = 32
/** Hashes that a log has room for when it begins to keep some. */
const HASHES_LEAST = 16

/** What a stage's sessions keep together: rows, which are bounded here, and hashes, which the positions of its KV memory bound. */
export class LogBudget {
  /** Of rows. */
  readonly bytesMax: number
  #bytesUsed = 0
  #hashBytes = 0

  constructor(bytesMax: number = LOG_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  /** By rows. */
  get bytesUsed(): number {
    return this.#bytesUsed
  }

  /** By hashes: at most 64 a position. */
  get hashBytes(): number {
    return this.#hashBytes
  }

  /** False, and nothing taken, when it would pass the bound. */
  take(bytes: number): boolean {
    if (this.#bytesUsed + bytes > this.bytesMax) return false
    this.#bytesUsed += bytes
    return true
  }

  give(bytes: number): void {
    this.#bytesUsed -= bytes
  }

  resizeHashes(fromBytes: number, toBytes: number): void {
    this.#hashBytes += toBytes - fromBytes
  }
}

export interface LoggedRow {
  readonly kind: RowKind
  /** Whether the driver asked for its candidates. */
  readonly wanted: boolean
  readonly bytes: Uint8Array
}

export class ActivationLog {
  readonly #sha256: Sha256
  readonly #budget: LogBudget
  /** Index = position; null: the row came after the bound was reached and is not kept. */
  readonly #rows: (LoggedRow | null)[] = []
  /** Of the first positions, one behind the other; room is doubled. */
  #hashes = new Uint8Array(0)
  #hashed = 0
  /** Rows of the positions after those, also ones that are not kept. */
  readonly #unhashed: LoggedRow[] = []
  #hashing: Promise<void> | null = null
  #full = false

  constructor(sha256: Sha256, budget: LogBudget) {
    this.#sha256 = sha256
    this.#budget = budget
  }

  get length(): number {
    return this.#rows.length
  }

  /** Positions whose rows are kept: all, unless the bound was reached; such a log has hashes of all positions, rows only of the first. */
  get keptLength(): number {
    return this.#full ? this.#rows.indexOf(null) : this.#rows.length
  }

  /** Adds the row of position `length`; the bytes are copied where they are kept. */
  append(row: LoggedRow): void {
    // From the first row that found no room on none is kept, so that what is kept has no holes.
    this.#full ||= !this.#budget.take(row.bytes.byteLength)
    const logged = { kind: row.kind, wanted: row.wanted, bytes: row.bytes.slice() }
    this.#rows.push(this.#full ? null : logged)
    this.#unhashed.push(logged)
    // A failed hash is told to who asks for it.
    if (this.#full) this.#hash().catch(() => undefined)
  }

  /** Forgets positions ≥ `length`, with their hashes. */
  truncate(length: number): void {
    assert(length >= 0 && length <= this.#rows.length, `truncate a log of ${this.#rows.length} positions to ${length}`)
    for (const row of this.#rows.splice(length)) this.#budget.give(row?.bytes.byteLength ?? 0)
    if (this.#full && !this.#rows.includes(null)) this.#full = false
    this.#unhashed.splice(Math.max(0, length - this.#hashed))
    this.#hashed = Math.min(this.#hashed, length)
  }

  /** The rows of [first, end) as they were sent; all of them must be kept. */
  rows(first: number, end: number): LoggedRow[] {
    assert(first <= end && end <= this.keptLength, `rows ${first} … ${end} of ${this.keptLength} that are kept`)
    return this.#rows.slice(first, end).flatMap((row) => row ?? [])
  }

  /** The hash over positions 0 … `position`, once it is computed; null when the log is shorter. Rejects if hashing failed. */
  async hash(position: number): Promise<Uint8Array | null> {
    await this.#hash()
    return position < this.#hashed ? this.#hashAt(position).slice() : null
  }

  /** Gives the memory back. */
  drop(): void {
    this.truncate(0)
    this.#budget.resizeHashes(this.#hashes.length, 0)
    this.#hashes = new Uint8Array(0)
  }

  #hash(): Promise<void> {
    this.#hashing ??= this.#hashAll().finally(() => {
      this.#hashing = null
    })
    return this.#hashing
  }

  /** In order, up to the last row. */
  async #hashAll(): Promise<void> {
    for (;;) {
      const [row] = this.#unhashed
      if (row === undefined) return
      const position = this.#hashed
      const before = position === 0 ? new Uint8Array(HASH_BYTES) : this.#hashAt(position - 1)
      const hash = await this.#sha256(rowHashInput(before, position, row.kind, row.bytes))
      // Else it was truncated meanwhile.
      if (this.#unhashed[0] === row) {
        this.#unhashed.shift()
        this.#keepHash(hash)
      }
    }
  }

  #keepHash(hash: Uint8Array): void {
    const end = HASH_BYTES * (this.#hashed + 1)
    if (end > this.#hashes.length) {
      const larger = new Uint8Array(Math.max(HASH_BYTES * HASHES_LEAST, 2 * this.#hashes.length))
      larger.set(this.#hashes)
      this.#budget.resizeHashes(this.#hashes.length, larger.length)
      this.#hashes = larger
    }
    this.#hashes.set(hash, end - HASH_BYTES)
    this.#hashed++
  }

  #hashAt(position: number): Uint8Array {
    return this.#hashes.subarray(HASH_BYTES * position, HASH_BYTES * (position + 1))
  }
}
