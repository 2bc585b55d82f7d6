/** Types without blocks: f32 as it is, f16 and bf16 widened exactly. */

import { type BlockFormat, halfTable } from './block.ts'

export const F32: BlockFormat = {
  elements: 1,
  bytes: 4,
  grouped: null,
  decode: (bytes, from, into, at, count) => {
    new Uint8Array(into.buffer, into.byteOffset + 4 * at, 4 * count).set(bytes.subarray(from, from + 4 * count))
  },
}

export const F16: BlockFormat = {
  elements: 1,
  bytes: 2,
  grouped: null,
  decode: (bytes, from, into, at, count) => {
    const halves = halfTable()
    for (let index = 0; index < count; index++) {
      const byte = from + 2 * index
      into[at + index] = halves[(bytes[byte] ?? 0) | ((bytes[byte + 1] ?? 0) << 8)] ?? 0
    }
  },
}

/** The upper half of an f32. */
export const BF16: BlockFormat = {
  elements: 1,
  bytes: 2,
  grouped: null,
  decode: (bytes, from, into, at, count) => {
    const target = new Uint32Array(into.buffer, into.byteOffset + 4 * at, count)
    for (let index = 0; index < count; index++) {
      const byte = from + 2 * index
      target[index] = ((bytes[byte] ?? 0) << 16) | ((bytes[byte + 1] ?? 0) << 24)
    }
  },
}
