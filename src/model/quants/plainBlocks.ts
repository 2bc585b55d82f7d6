/**
 * Blocks of 32 columns with one scale d, and a minimum m in the `_1` forms: x = q·d or x = q·d + m. Four-bit parts lie in 16
 * bytes: low nibbles are columns 0–15, high nibbles 16–31. A product of q and d is exact in f32 (at most 8 and 11 bits), so
 * that only the sum with m rounds: as in C, fused or not.
 */

import { blockFormat, half, u16 } from './block.ts'

const HALF = 16

/** d: f16, 16 bytes of q + 8. */
export const Q4_0 = blockFormat(32, 18, (bytes, from, into, at) => {
  const scale = half(bytes, from)
  for (let column = 0; column < HALF; column++) {
    const pair = bytes[from + 2 + column] ?? 0
    into[at + column] = ((pair & 15) - 8) * scale
    into[at + HALF + column] = ((pair >> 4) - 8) * scale
  }
})

/** d, m: f16, 16 bytes of q. */
export const Q4_1 = blockFormat(32, 20, (bytes, from, into, at) => {
  const scale = half(bytes, from)
  const minimum = half(bytes, from + 2)
  for (let column = 0; column < HALF; column++) {
    const pair = bytes[from + 4 + column] ?? 0
    into[at + column] = (pair & 15) * scale + minimum
    into[at + HALF + column] = (pair >> 4) * scale + minimum
  }
})

/** d: f16, 32 fifth bits (column c in bit c), 16 bytes of the lower four; q + 16. */
export const Q5_0 = blockFormat(32, 22, (bytes, from, into, at) => {
  const scale = half(bytes, from)
  const highLow = u16(bytes, from + 2)
  const highHigh = u16(bytes, from + 4)
  for (let column = 0; column < HALF; column++) {
    const pair = bytes[from + 6 + column] ?? 0
    into[at + column] = (((pair & 15) | (((highLow >> column) & 1) << 4)) - 16) * scale
    into[at + HALF + column] = (((pair >> 4) | (((highHigh >> column) & 1) << 4)) - 16) * scale
  }
})

/** d, m: f16, 32 fifth bits, 16 bytes of the lower four. */
export const Q5_1 = blockFormat(32, 24, (bytes, from, into, at) => {
  const scale = half(bytes, from)
  const minimum = half(bytes, from + 2)
  const highLow = u16(bytes, from + 4)
  const highHigh = u16(bytes, from + 6)
  for (let column = 0; column < HALF; column++) {
    const pair = bytes[from + 8 + column] ?? 0
    into[at + column] = ((pair & 15) | (((highLow >> column) & 1) << 4)) * scale + minimum
    into[at + HALF + column] = ((pair >> 4) | (((highHigh >> column) & 1) << 4)) * scale + minimum
  }
})

/** d: f16, 32 signed bytes. */
export const Q8_0 = blockFormat(32, 34, (bytes, from, into, at) => {
  const scale = half(bytes, from)
  for (let column = 0; column < 32; column++) into[at + column] = (((bytes[from + 2 + column] ?? 0) << 24) >> 24) * scale
})
