/**
 * Truncations: what was forgotten when. Each one raises the session's epoch; rows of an older epoch that are still on their way count
 * up to the least length since, for what lies before it was never taken back.
 */

import { assert } from '../shared/index.ts'

export class Truncations {
  /** Rising in epoch and length: a longer one says nothing more once a shorter one has come. So there are never more than lengths, which are bounded. */
  readonly #known: { readonly epoch: number; readonly length: number }[] = []
  #epoch: number
  #length: number

  /** As the session's `open` says. It may know more than the upstream, whose rows are then of an older epoch. */
  constructor(epoch: number, length: number) {
    this.#epoch = epoch
    this.#length = length
    if (epoch > 0) this.#known.push({ epoch, length })
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Positions that somebody who may have missed any truncation since the last `open` may keep. */
  get length(): number {
    return this.#length
  }

  /** A new `open` tells of all that its receiver may have missed before. */
  reopen(length: number): void {
    this.#length = length
  }

  /** False when it is known. */
  add(epoch: number, length: number): boolean {
    if (epoch <= this.#epoch) return false
    this.#epoch = epoch
    this.#length = Math.min(this.#length, length)
    while ((this.#known.at(-1)?.length ?? -1) >= length) this.#known.pop()
    this.#known.push({ epoch, length })
    return true
  }

  /** Positions that rows of `epoch` may still bring. */
  lengthSince(epoch: number): number {
    assert(epoch <= this.#epoch, `epoch ${epoch} of ${this.#epoch}`)
    // From the end, where nearly every row finds its epoch at once.
    let length = Number.POSITIVE_INFINITY
    for (let at = this.#known.length - 1; at >= 0; at--) {
      const truncation = this.#known[at]
      if (truncation === undefined || truncation.epoch <= epoch) break
      length = truncation.length
    }
    return length
  }
}
