/** Rotary positions of the CPU twin: each layer's angles, and the rotation of a row's queries or keys. */

import { architectureTraits, type LayerRope, type ModelConfig } from '../../model/index.ts'

export interface CpuRope {
  readonly pairs: 'adjacent' | 'halves'
  /** Angle of one position for each rotated pair, radians. */
  readonly frequencies: Float64Array
  /** Cosines and sines are multiplied by it. */
  readonly magnitude: number
}

/** Pair i turns by positionScale · base^(−2i/dimensions) / divisors[i] a position. */
export function createRope(config: ModelConfig, rope: LayerRope, divisors: Float32Array | null): CpuRope {
  const { ropeDimensions } = config
  const used = rope.divisors ? divisors : null
  const frequencies = Float64Array.from(
    { length: ropeDimensions / 2 },
    (_, pair) => (rope.positionScale * rope.base ** ((-2 * pair) / ropeDimensions)) / (used?.[pair] ?? 1),
  )
  return { pairs: architectureTraits(config.architecture).ropePairs, frequencies, magnitude: config.ropeMagnitude }
}

/** Turns the leading dimensions of each of `heads` heads of row `row` to `position`. `vectors` is [rows, heads, headSize]. */
export function rotate(vectors: Float32Array, row: number, heads: number, headSize: number, position: number, rope: CpuRope): void {
  const { frequencies, magnitude } = rope
  const [stride, apart] = rope.pairs === 'adjacent' ? [2, 1] : [1, frequencies.length]
  for (let pair = 0; pair < frequencies.length; pair++) {
    const angle = position * (frequencies[pair] ?? 0)
    const cosine = magnitude * Math.cos(angle)
    const sine = magnitude * Math.sin(angle)
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * headSize + stride * pair
      const a = vectors[at] ?? 0
      const b = vectors[at + apart] ?? 0
      vectors[at] = a * cosine - b * sine
      vectors[at + apart] = a * sine + b * cosine
    }
  }
}
