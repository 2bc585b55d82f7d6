/** Rotary positions: where pairs lie, and the CPU twin's rotation of a row's queries or keys. */

import { architectureTraits, type ModelConfig } from '../../model/index.ts'

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
