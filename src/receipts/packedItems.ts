/** PackedItems: a few bytes for each position, one behind the other; room is doubled, and accounted for. */

import type { RowBudget } from './rowBudget.ts'

/** Items that there is room for when the first one is kept. */
const ITEMS_LEAST = 16

export class PackedItems {
  readonly #itemBytes: number
  readonly #budget: RowBudget
  #bytes = new Uint8Array(0)

  constructor(itemBytes: number, budget: RowBudget) {
    this.#itemBytes = itemBytes
    this.#budget = budget
  }

  /** A view, good until the next `set`. */
  at(index: number): Uint8Array {
    return this.#bytes.subarray(this.#itemBytes * index, this.#itemBytes * (index + 1))
  }

  set(index: number, item: Uint8Array): void {
    const end = this.#itemBytes * (index + 1)
    if (end > this.#bytes.length) this.#resize(Math.max(end, ITEMS_LEAST * this.#itemBytes, 2 * this.#bytes.length))
    this.#bytes.set(item, end - this.#itemBytes)
  }

  /** Gives the memory back. */
  drop(): void {
    this.#resize(0)
  }

  #resize(bytes: number): void {
    const resized = new Uint8Array(bytes)
    resized.set(this.#bytes.subarray(0, bytes))
    this.#budget.resizePositions(this.#bytes.length, bytes)
    this.#bytes = resized
  }
}
