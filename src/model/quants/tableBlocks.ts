/**
 * Formats whose four bits are an index into a table of 16 values: x = scale · table[q]. Nibbles as in plainBlocks.ts: low ones
 * first. Source of the tables: ggml-common.h.
 */

import { groupedFormat, half, u16 } from './block.ts'

const nonLinear: readonly number[] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

/** Twice the values of a 4-bit float with 2 bits of exponent and 1 of fraction; the block's scale is halved instead. */
const doubledE2M1: readonly number[] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

/** d: f16, 16 bytes. */
export const IQ4_NL = groupedFormat(32, 18, {
  groupSize: 32,
  hasMinimums: false,
  levels: nonLinear,
  readBlock(bytes, from, { quants, scales }, at, group) {
    scales[group] = half(bytes, from)
    lookUp(nonLinear, bytes, from + 2, quants, at)
  },
})

/** d: f16, eight scales of 6 bits (upper two in a u16, lower four in 4 bytes; s + 32), 128 bytes: a group of 32 in each 16. */
export const IQ4_XS = groupedFormat(256, 136, {
  groupSize: 32,
  hasMinimums: false,
  levels: nonLinear,
  readBlock(bytes, from, { quants, scales }, at, group) {
    const scale = half(bytes, from)
    const highs = u16(bytes, from + 2)
    for (let index = 0; index < 8; index++) {
      const low = ((bytes[from + 4 + (index >> 1)] ?? 0) >> (4 * (index % 2))) & 15
      scales[group + index] = scale * ((low | (((highs >> (2 * index)) & 3) << 4)) - 32)
      lookUp(nonLinear, bytes, from + 8 + 16 * index, quants, at + 32 * index)
    }
  },
})

/** One byte e, the exponent of the scale 2^(e − 127); 16 bytes. */
export const MXFP4 = groupedFormat(32, 17, {
  groupSize: 32,
  hasMinimums: false,
  levels: doubledE2M1,
  readBlock(bytes, from, { quants, scales }, at, group) {
    scales[group] = 2 ** ((bytes[from] ?? 0) - 128)
    lookUp(doubledE2M1, bytes, from + 1, quants, at)
  },
})

/** 32 columns out of 16 bytes. */
function lookUp(table: readonly number[], bytes: Uint8Array, from: number, quants: Int8Array, at: number): void {
  for (let column = 0; column < 16; column++) {
    const pair = bytes[from + column] ?? 0
    quants[at + column] = table[pair & 15] ?? 0
    quants[at + 16 + column] = table[pair >> 4] ?? 0
  }
}
