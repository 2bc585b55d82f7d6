/** The truth of ropeKv and attention: one row at a time, in f64, over plain [position, KV head, dimension] caches. */

/** Rotates the first 2·frequencies.length dimensions of `vector`, pairs (2i, 2i+1), by position · frequency. */
export function ropeReference(vector: ArrayLike<number>, position: number, frequencies: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(vector)
  for (let i = 0; i < frequencies.length; i++) {
    const angle = position * (frequencies[i] ?? 0)
    const [x, y] = [out[2 * i] ?? 0, out[2 * i + 1] ?? 0]
    out[2 * i] = x * Math.cos(angle) - y * Math.sin(angle)
    out[2 * i + 1] = x * Math.sin(angle) + y * Math.cos(angle)
  }
  return out
}

export interface AttentionReference {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  /** [heads, headSize], rotated. */
  readonly query: ArrayLike<number>
  /** [positions, kvHeads, headSize]; the row sees all of them. */
  readonly keys: ArrayLike<number>
  readonly values: ArrayLike<number>
  readonly positions: number
}

/** [heads, headSize]. */
export function attentionReference(request: AttentionReference): Float64Array {
  const { heads, kvHeads, headSize, query, keys, values, positions } = request
  const out = new Float64Array(heads * headSize)
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads))
    const at = (position: number, d: number) => (position * kvHeads + kvHead) * headSize + d
    const scores = Float64Array.from({ length: positions }, (_, position) => {
      let sum = 0
      for (let d = 0; d < headSize; d++) sum += (query[head * headSize + d] ?? 0) * (keys[at(position, d)] ?? 0)
      return sum / Math.sqrt(headSize)
    })
    const best = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    const weights = scores.map((score) => Math.exp(score - best))
    const total = weights.reduce((a, b) => a + b, 0)
    for (let d = 0; d < headSize; d++) {
      let sum = 0
      for (let position = 0; position < positions; position++) sum += (weights[position] ?? 0) * (values[at(position, d)] ?? 0)
      out[head * headSize + d] = sum / total
    }
  }
  return out
}
