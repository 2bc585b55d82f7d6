/**
 * RowHashes: the chained hash of the rows that passed one end of a link, position by position, independent of batches and frames. Rule V7 of
 * protocol/SPEC.md has the formula. A hash is computed when somebody asks for one, or when there is no room to keep rows until then: never in
 * the way of a pass or a frame.
 */

import { type RowKind, rowHashInput } from '../protocol/index.ts'
import { assert, type Sha256 } from '../shared/index.ts'
import { PackedItems } from './packedItems.ts'
import type { RowBudget } from './rowBudget.ts'

const HASH_BYTES = 32
/** Before the first position. */
const NO_HASH = new Uint8Array(HASH_BYTES)

export interface HashedRow {
  readonly kind: RowKind
  /** As they travel; they must not change. */
  readonly bytes: Uint8Array
}

interface Unhashed extends HashedRow {
  /** Borrowed for it. */
  readonly bytesTaken: number
}

interface Asked {
  readonly endPosition: number
  readonly resolve: (hash: Uint8Array | null) => void
  readonly reject: (error: unknown) => void
}

export class RowHashes {
  readonly #sha256: Sha256
  readonly #budget: RowBudget
  readonly #hashes: PackedItems
  #firstPosition: number
  /** Behind the last position that is hashed. */
  #hashedEnd: number
  /** Rows of the positions from there on. */
  readonly #unhashed: Unhashed[] = []
  #asked: Asked[] = []
  #isHashing = false

  constructor(firstPosition: number, sha256: Sha256, budget: RowBudget) {
    this.#sha256 = sha256
    this.#budget = budget
    this.#hashes = new PackedItems(HASH_BYTES, budget)
    this.#firstPosition = firstPosition
    this.#hashedEnd = firstPosition
  }

  /** The row of the next position. `isKept`: somebody else keeps its bytes, and accounts for them. */
  add({ kind, bytes }: HashedRow, isKept: boolean): void {
    const hasRoom = isKept || this.#budget.borrow(bytes.byteLength)
    this.#unhashed.push({ kind, bytes, bytesTaken: isKept || !hasRoom ? 0 : bytes.byteLength })
    if (!hasRoom) void this.#hash()
  }

  /** Forgets positions ≥ `length`; who asked for a hash behind them gets none. */
  truncate(length: number): void {
    for (const { bytesTaken } of this.#unhashed.splice(Math.max(0, length - this.#hashedEnd))) this.#budget.give(bytesTaken)
    this.#hashedEnd = Math.min(this.#hashedEnd, length)
    this.#firstPosition = Math.min(this.#firstPosition, length)
    const lost = this.#asked.filter(({ endPosition }) => endPosition > length)
    this.#asked = this.#asked.filter(({ endPosition }) => endPosition <= length)
    for (const { resolve } of lost) resolve(null)
  }

  /** h(endPosition − 1), 32 zero bytes of nothing; null if that is truncated before it is computed. Rejects if hashing fails. */
  hashAt(endPosition: number): Promise<Uint8Array | null> {
    assert(
      this.#firstPosition <= endPosition && endPosition <= this.#hashedEnd + this.#unhashed.length,
      `the hash at ${endPosition} of positions ${this.#firstPosition} … ${this.#hashedEnd + this.#unhashed.length}`,
    )
    if (endPosition <= this.#hashedEnd) return Promise.resolve(this.#before(endPosition).slice())
    const hash = new Promise<Uint8Array | null>((resolve, reject) => this.#asked.push({ endPosition, resolve, reject }))
    void this.#hash()
    return hash
  }

  /** Gives the memory back: nothing is added any more. */
  drop(): void {
    this.truncate(0)
    this.#hashes.drop()
  }

  /** In order, up to the last row. */
  async #hash(): Promise<void> {
    if (this.#isHashing) return
    this.#isHashing = true
    try {
      for (let row = this.#unhashed[0]; row !== undefined; row = this.#unhashed[0]) {
        const input = rowHashInput(this.#before(this.#hashedEnd), this.#hashedEnd, row.kind, row.bytes)
        const hash = await this.#sha256(input)
        // Else it was truncated meanwhile.
        if (this.#unhashed[0] === row) this.#keep(hash)
      }
    } catch (error) {
      const asked = this.#asked
      this.#asked = []
      for (const { reject } of asked) reject(error)
    } finally {
      this.#isHashing = false
    }
  }

  #keep(hash: Uint8Array): void {
    this.#budget.give(this.#unhashed.shift()?.bytesTaken ?? 0)
    this.#hashes.set(this.#hashedEnd - this.#firstPosition, hash)
    this.#hashedEnd++
    const ready = this.#asked.filter(({ endPosition }) => endPosition <= this.#hashedEnd)
    this.#asked = this.#asked.filter(({ endPosition }) => endPosition > this.#hashedEnd)
    for (const { endPosition, resolve } of ready) resolve(this.#before(endPosition).slice())
  }

  /** The hash before `position`. */
  #before(position: number): Uint8Array {
    return position === this.#firstPosition ? NO_HASH : this.#hashes.at(position - 1 - this.#firstPosition)
  }
}
