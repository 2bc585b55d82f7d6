/** Types without blocks: f32 as it is, f16 and bf16 widened exactly. */

import { type BlockFormat, half, u16 } from './block.ts'

export const F32: BlockFormat = {
  elements: 1,
  bytes: 4,
  decode: (bytes, from, into, at, count) => {
    new Uint8Array(into.buffer, into.byteOffset + 4 * at, 4 * count).set(bytes.subarray(from, from + 4 * count))
  },
}

export const F16: BlockFormat = {
  elements: 1,
  bytes: 2,
  decode: (bytes, from, into, at, count) => {
    for (let index = 0; index < count; index++) into[at + index] = half(bytes, from + 2 * index)
  },
}

/** The upper half of an f32. */
export const BF16: BlockFormat = {
  elements: 1,
  bytes: 2,
  decode: (bytes, from, into, at, count) => {
    const bits = new Uint32Array(into.buffer, into.byteOffset + 4 * at, count)
    for (let index = 0; index < count; index++) bits[index] = u16(bytes, from + 2 * index) << 16
  },
}
