/** The truth of attention: one row at a time, in f64, over plain [position, KV head, dimension] caches. */

export interface AttentionReference {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly scale: number
  readonly softCap: number | null
  readonly window: number | null
  /** [heads, headSize], rotated. */
  readonly query: ArrayLike<number>
  /** [positions, kvHeads, headSize]. */
  readonly keys: ArrayLike<number>
  readonly values: ArrayLike<number>
  /** The row's own is the last of them. */
  readonly positions: number
}

/** [heads, headSize]. */
export function attentionReference(request: AttentionReference): Float64Array {
  const { heads, kvHeads, headSize, scale, softCap, window, query, keys, values, positions } = request
  const out = new Float64Array(heads * headSize)
  const first = window === null ? 0 : Math.max(0, positions - window)
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads))
    const at = (position: number, d: number) => (position * kvHeads + kvHead) * headSize + d
    const scores = Float64Array.from({ length: positions - first }, (_, index) => {
      let sum = 0
      for (let d = 0; d < headSize; d++) sum += (query[head * headSize + d] ?? 0) * (keys[at(first + index, d)] ?? 0)
      return softCap === null ? sum * scale : softCap * Math.tanh((sum * scale) / softCap)
    })
    const best = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    const weights = scores.map((score) => Math.exp(score - best))
    const total = weights.reduce((a, b) => a + b, 0)
    for (let d = 0; d < headSize; d++) {
      let sum = 0
      for (const [index, weight] of weights.entries()) sum += weight * (values[at(first + index, d)] ?? 0)
      out[head * headSize + d] = sum / total
    }
  }
  return out
}
