/** The truth of ropeKv, in f64, one vector at a time. */

/** RMS-norms one head: x / sqrt(mean(x²) + ε) · weight. */
export function headNormReference(vector: ArrayLike<number>, weight: ArrayLike<number>, epsilon: number): Float64Array {
  let squares = 0
  for (let d = 0; d < vector.length; d++) squares += (vector[d] ?? 0) ** 2
  const scale = 1 / Math.sqrt(squares / vector.length + epsilon)
  return Float64Array.from({ length: vector.length }, (_, d) => (vector[d] ?? 0) * scale * (weight[d] ?? 0))
}

/** Rotates the first 2·frequencies.length dimensions by position · frequency and scales them by `magnitude`. */
export function ropeReference(
  vector: ArrayLike<number>,
  position: number,
  frequencies: ArrayLike<number>,
  pairs: 'adjacent' | 'halves' = 'adjacent',
  magnitude = 1,
): Float64Array {
  const out = Float64Array.from(vector)
  for (let i = 0; i < frequencies.length; i++) {
    const [a, b] = pairs === 'adjacent' ? [2 * i, 2 * i + 1] : [i, i + frequencies.length]
    const angle = position * (frequencies[i] ?? 0)
    const [x, y] = [out[a] ?? 0, out[b] ?? 0]
    out[a] = magnitude * (x * Math.cos(angle) - y * Math.sin(angle))
    out[b] = magnitude * (x * Math.sin(angle) + y * Math.cos(angle))
  }
  return out
}
