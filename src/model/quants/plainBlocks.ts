/**
 * Blocks of 32 columns with one scale d, and a minimum m in the `_1` forms: x = q·d or x = q·d + m. Four-bit parts lie in 16
 * bytes: low nibbles are columns 0–15, high nibbles 16–31.
 */

import { type BlockFormat, type Groups, groupedFormat, half, i8, integersFrom, u16 } from './block.ts'

const HALF = 16

/** 32 columns in `bytes` bytes: d, m in the forms that have one, then what `readQuants` reads. */
function plainBlock(
  bytesPerBlock: number,
  hasMinimums: boolean,
  levels: readonly number[] | null,
  readQuants: (bytes: Uint8Array, from: number, quants: Int8Array, at: number) => void,
): BlockFormat {
  const quantsFrom = hasMinimums ? 4 : 2
  return groupedFormat(32, bytesPerBlock, {
    groupSize: 32,
    hasMinimums,
    levels,
    readBlock(bytes, from, { quants, scales, minimums }: Groups, at, group) {
      scales[group] = half(bytes, from)
      if (hasMinimums) minimums[group] = half(bytes, from + 2)
      readQuants(bytes, from + quantsFrom, quants, at)
    },
  })
}

/** 16 bytes of nibbles; what they stand for is `offset` less. */
function readNibbles(offset: number) {
  return (bytes: Uint8Array, from: number, quants: Int8Array, at: number): void => {
    for (let column = 0; column < HALF; column++) {
      const pair = bytes[from + column] ?? 0
      quants[at + column] = (pair & 15) - offset
      quants[at + HALF + column] = (pair >> 4) - offset
    }
  }
}

/** 32 fifth bits (column c in bit c), 16 bytes of the lower four; what they stand for is `offset` less. */
function readFiveBits(offset: number) {
  return (bytes: Uint8Array, from: number, quants: Int8Array, at: number): void => {
    const highLow = u16(bytes, from)
    const highHigh = u16(bytes, from + 2)
    for (let column = 0; column < HALF; column++) {
      const pair = bytes[from + 4 + column] ?? 0
      quants[at + column] = ((pair & 15) | (((highLow >> column) & 1) << 4)) - offset
      quants[at + HALF + column] = ((pair >> 4) | (((highHigh >> column) & 1) << 4)) - offset
    }
  }
}

/** d: f16, 16 bytes of q + 8. */
export const Q4_0 = plainBlock(18, false, integersFrom(-8, 16), readNibbles(8))

/** d, m: f16, 16 bytes of q. */
export const Q4_1 = plainBlock(20, true, integersFrom(0, 16), readNibbles(0))

/** d: f16, 32 fifth bits, 16 bytes of the lower four; q + 16. */
export const Q5_0 = plainBlock(22, false, null, readFiveBits(16))

/** d, m: f16, 32 fifth bits, 16 bytes of the lower four. */
export const Q5_1 = plainBlock(24, true, null, readFiveBits(0))

/** d: f16, 32 signed bytes. */
export const Q8_0 = plainBlock(34, false, null, (bytes, from, quants, at) => {
  for (let column = 0; column < 32; column++) quants[at + column] = i8(bytes, from + column)
})
