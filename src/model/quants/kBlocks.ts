/**
 * The K formats: 256 columns in groups of 16 or 32, each group with its own small scale (and minimum) under the block's
 * d (and dmin): x = d·s·q, or x = d·s·q − dmin·m. Every product has at most 24 significant bits and is exact in f32; only the
 * difference rounds. Source of the layouts: dequantize_row_q*_K in ggml-quants.c.
 */

import { groupedFormat, half, i8, integersFrom } from './block.ts'

/** 16 bytes (scale in the low nibble, minimum in the high one, a group of 16 each), 64 bytes of 2 bits, d, dmin. */
export const Q2_K = groupedFormat(256, 84, {
  groupSize: 16,
  hasMinimums: true,
  levels: integersFrom(0, 4),
  readBlock(bytes, from, { quants, scales, minimums }, at, first) {
    const scale = half(bytes, from + 80)
    const minimum = half(bytes, from + 82)
    for (let group = 0; group < 16; group++) {
      const both = bytes[from + group] ?? 0
      scales[first + group] = scale * (both & 15)
      minimums[first + group] = -minimum * (both >> 4)
      const bitsFrom = from + 16 + twoBitsAt(group)
      const shift = twoBitsShift(group)
      for (let column = 0; column < 16; column++) quants[at + 16 * group + column] = ((bytes[bitsFrom + column] ?? 0) >> shift) & 3
    }
  },
})

/** 32 bytes of third bits, 64 bytes of the lower two, 12 bytes with 16 scales of 6 bits, d. A third bit of 0 subtracts 4. */
export const Q3_K = groupedFormat(256, 110, {
  groupSize: 16,
  hasMinimums: false,
  levels: integersFrom(-4, 8),
  readBlock(bytes, from, { quants, scales }, at, first) {
    const scale = half(bytes, from + 108)
    for (let group = 0; group < 16; group++) {
      scales[first + group] = scale * (sixBitScale(bytes, from + 96, group) - 32)
      const bitsFrom = from + 32 + twoBitsAt(group)
      const shift = twoBitsShift(group)
      const highs = from + 16 * (group % 2)
      const highBit = group >> 1
      for (let column = 0; column < 16; column++) {
        const low = ((bytes[bitsFrom + column] ?? 0) >> shift) & 3
        const high = ((bytes[highs + column] ?? 0) >> highBit) & 1
        quants[at + 16 * group + column] = low + 4 * high - 4
      }
    }
  },
})

/** Two bits of column c: half c/128, byte c mod 32 of it, bits 2·((c mod 128)/32). By groups of 16 columns. */
function twoBitsAt(group: number): number {
  return 32 * (group >> 3) + 16 * (group % 2)
}

function twoBitsShift(group: number): number {
  return 2 * ((group >> 1) & 3)
}

/** Q3_K's scales: 8 bytes hold the lower four bits of two scales each, 4 bytes the upper two of four each. */
function sixBitScale(bytes: Uint8Array, from: number, group: number): number {
  const low = ((bytes[from + (group & 7)] ?? 0) >> (group < 8 ? 0 : 4)) & 15
  const high = ((bytes[from + 8 + (group & 3)] ?? 0) >> (2 * (group >> 2))) & 3
  return low | (high << 4)
}

/** d, dmin, 12 bytes of scales, 128 bytes of nibbles: 32 low ones, then 32 high ones of the same bytes. */
export const Q4_K = groupedFormat(256, 144, {
  groupSize: 32,
  hasMinimums: true,
  levels: integersFrom(0, 16),
  readBlock(bytes, from, { quants, scales, minimums }, at, first) {
    readScales(bytes, from, scales, minimums, first)
    for (let group = 0; group < 8; group++) {
      const bitsFrom = from + 16 + 32 * (group >> 1)
      const shift = 4 * (group % 2)
      for (let column = 0; column < 32; column++) quants[at + 32 * group + column] = ((bytes[bitsFrom + column] ?? 0) >> shift) & 15
    }
  },
})

/** As Q4_K, with 32 bytes of fifth bits before the nibbles: bit g of byte c for column c of group g. */
export const Q5_K = groupedFormat(256, 176, {
  groupSize: 32,
  hasMinimums: true,
  levels: null,
  readBlock(bytes, from, { quants, scales, minimums }, at, first) {
    readScales(bytes, from, scales, minimums, first)
    for (let group = 0; group < 8; group++) {
      const bitsFrom = from + 48 + 32 * (group >> 1)
      const shift = 4 * (group % 2)
      for (let column = 0; column < 32; column++) {
        const low = ((bytes[bitsFrom + column] ?? 0) >> shift) & 15
        const high = ((bytes[from + 16 + column] ?? 0) >> group) & 1
        quants[at + 32 * group + column] = low | (high << 4)
      }
    }
  },
})

/** d, dmin, then a scale and a minimum of six bits for each of eight groups. */
function readScales(bytes: Uint8Array, from: number, scales: Float32Array, minimums: Float32Array, first: number): void {
  const scale = half(bytes, from)
  const minimum = half(bytes, from + 2)
  for (let group = 0; group < 8; group++) {
    scales[first + group] = scale * scaleOf(bytes, from + 4, group)
    minimums[first + group] = -minimum * minimumOf(bytes, from + 4, group)
  }
}

/** Six bits of group 0–3 lie whole in bytes 0–3; of 4–7 the lower four in bytes 8–11, the upper two on top of bytes 0–3. */
function scaleOf(bytes: Uint8Array, from: number, group: number): number {
  if (group < 4) return (bytes[from + group] ?? 0) & 63
  return ((bytes[from + group + 4] ?? 0) & 15) | (((bytes[from + group - 4] ?? 0) >> 6) << 4)
}

/** The same with bytes 4–7 and the upper nibbles. */
function minimumOf(bytes: Uint8Array, from: number, group: number): number {
  if (group < 4) return (bytes[from + group + 4] ?? 0) & 63
  return ((bytes[from + group + 4] ?? 0) >> 4) | (((bytes[from + group] ?? 0) >> 6) << 4)
}

/** 128 bytes of lower nibbles, 64 of upper two bits, 16 signed scales for groups of 16, d; q + 32. */
export const Q6_K = groupedFormat(256, 210, {
  groupSize: 16,
  hasMinimums: false,
  levels: null,
  readBlock(bytes, from, { quants, scales }, at, first) {
    const scale = half(bytes, from + 208)
    for (let group = 0; group < 16; group++) {
      scales[first + group] = scale * i8(bytes, from + 192 + group)
      // Columns of a half of 128 come in four quarters of 32: nibbles low, low of the next 32 bytes, high, high.
      const quarter = (group >> 1) & 3
      const offset = 16 * (group % 2)
      const lows = from + 64 * (group >> 3) + 32 * (quarter & 1) + offset
      const highs = from + 128 + 32 * (group >> 3) + offset
      for (let column = 0; column < 16; column++) {
        const low = ((bytes[lows + column] ?? 0) >> (quarter < 2 ? 0 : 4)) & 15
        const high = ((bytes[highs + column] ?? 0) >> (2 * quarter)) & 3
        quants[at + 16 * group + column] = (low | (high << 4)) - 32
      }
    }
  },
})
