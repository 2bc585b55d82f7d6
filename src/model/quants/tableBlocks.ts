/**
 * Formats whose four bits are an index into a table of 16 values: x = scale · table[q]. Products have at most 24 significant
 * bits and are exact in f32. Nibbles as in plainBlocks.ts: low ones first. Source of the tables: ggml-common.h.
 */

import { blockFormat, half, u16 } from './block.ts'

const nonLinear: readonly number[] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

/** Twice the values of a 4-bit float with 2 bits of exponent and 1 of fraction; the block's scale is halved instead. */
const doubledE2M1: readonly number[] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

/** d: f16, 16 bytes. */
export const IQ4_NL = blockFormat(32, 18, (bytes, from, into, at) => {
  lookUp(nonLinear, half(bytes, from), bytes, from + 2, into, at)
})

/** d: f16, eight scales of 6 bits (upper two in a u16, lower four in 4 bytes; s + 32), 128 bytes: a group of 32 in each 16. */
export const IQ4_XS = blockFormat(256, 136, (bytes, from, into, at) => {
  const scale = half(bytes, from)
  const highs = u16(bytes, from + 2)
  for (let group = 0; group < 8; group++) {
    const low = ((bytes[from + 4 + (group >> 1)] ?? 0) >> (4 * (group % 2))) & 15
    const groupScale = scale * ((low | (((highs >> (2 * group)) & 3) << 4)) - 32)
    lookUp(nonLinear, groupScale, bytes, from + 8 + 16 * group, into, at + 32 * group)
  }
})

/** One byte e, the exponent of the scale 2^(e − 127); 16 bytes. */
export const MXFP4 = blockFormat(32, 17, (bytes, from, into, at) => {
  lookUp(doubledE2M1, 2 ** ((bytes[from] ?? 0) - 128), bytes, from + 1, into, at)
})

/** 32 columns out of 16 bytes. */
function lookUp(table: readonly number[], scale: number, bytes: Uint8Array, from: number, into: Float32Array, at: number): void {
  for (let column = 0; column < 16; column++) {
    const pair = bytes[from + column] ?? 0
    into[at + column] = (table[pair & 15] ?? 0) * scale
    into[at + 16 + column] = (table[pair >> 4] ?? 0) * scale
  }
}
