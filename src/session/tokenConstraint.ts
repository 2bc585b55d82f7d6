/** TokenConstraint: what may come next in an answer of which more is asked than that it is likely: a grammar's state. */

export interface TokenConstraint {
  /** The tokens that may come next, end tokens among them where the answer may end: bit id % 32 of word id >> 5. At least one. Valid until `take`. */
  allowed(): Uint32Array
  /** One of those has come. */
  take(id: number): void
  /** The answer has ended. */
  close(): void
}

export function isAllowed(allowed: Uint32Array, id: number): boolean {
  return (((allowed[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1
}

/** How many there are. */
export function allowedCount(allowed: Uint32Array): number {
  let count = 0
  for (const word of allowed) {
    let bits = word - ((word >>> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
    count += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
  }
  return count
}
