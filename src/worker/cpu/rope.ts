/** Rotary positions: each layer's angles, and the CPU twin's rotation of a row's queries or keys. */

import { architectureTraits, type LayerRope, type ModelConfig } from '../../model/index.ts'

/** Angle of one position for each rotated pair, radians: positionScale · base^(−2i/dimensions) / divisors[i]. */
export function ropeFrequencies(config: ModelConfig, rope: LayerRope, divisors: Float32Array | null): Float64Array {
  const { ropeDimensions } = config
  const used = rope.divisors ? divisors : null
  return Float64Array.from(
    { length: ropeDimensions / 2 },
    (_, pair) => (rope.positionScale * rope.base ** ((-2 * pair) / ropeDimensions)) / (used?.[pair] ?? 1),
  )
}

/** Writes (cos, sin) of each pair, times the model's magnitude, for row `row` of `angles` [rows, pairs, 2]. */
export function writeAngles(config: ModelConfig, frequencies: Float64Array, position: number, angles: Float32Array, row: number): void {
  let at = 2 * row * frequencies.length
  for (const frequency of frequencies) {
    const angle = position * frequency
    angles[at] = config.ropeMagnitude * Math.cos(angle)
    angles[at + 1] = config.ropeMagnitude * Math.sin(angle)
    at += 2
  }
}

/** Where the elements of a pair lie: their distance, and that of one pair to the next. */
export function pairSteps(config: ModelConfig): { readonly apart: number; readonly stride: number } {
  const halves = architectureTraits(config.architecture).ropePairs === 'halves'
  return halves ? { apart: config.ropeDimensions / 2, stride: 1 } : { apart: 1, stride: 2 }
}

/** Turns the leading dimensions of each head of row `row`; `vectors` is [rows, heads, headSize]. */
export function rotateRow(config: ModelConfig, vectors: Float32Array, row: number, heads: number, angles: Float32Array): void {
  const { apart, stride } = pairSteps(config)
  const pairs = config.ropeDimensions / 2
  for (let pair = 0; pair < pairs; pair++) {
    const cosine = angles[2 * (row * pairs + pair)] ?? 0
    const sine = angles[2 * (row * pairs + pair) + 1] ?? 0
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * config.headSize + stride * pair
      const a = vectors[at] ?? 0
      const b = vectors[at + apart] ?? 0
      vectors[at] = a * cosine - b * sine
      vectors[at + apart] = a * sine + b * cosine
    }
  }
}
