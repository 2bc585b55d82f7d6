/** TokenConstraint: what may come next in an answer of which more is asked than that it is likely: a grammar's state, wherever that is kept. */

/** Tokens: bit id % 32 of word id >> 5. */
export type TokenSet = Uint32Array

export interface TokenConstraint {
  /** The tokens that may come next, end tokens among them where the answer may end; at least one. Rejects with a TabswarmError. */
  allowed(): Promise<TokenSet>
  /** One of those has come; an end token is not told. */
  take(id: number): void
}

export function isAllowed(allowed: TokenSet, id: number): boolean {
  return (((allowed[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1
}

/** How many there are. */
export function allowedCount(allowed: TokenSet): number {
  let count = 0
  for (const word of allowed) {
    let bits = word - ((word >>> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
    count += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
  }
  return count
}
