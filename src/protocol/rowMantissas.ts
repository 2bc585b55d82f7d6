/** What rows of f16e and of i8b have in common: one power-of-two exponent a row, and f16 mantissas under it. Layouts: rows.ts. */

import { TabswarmError } from '../shared/index.ts'
import { fromHalfBits, toHalfBits } from './half.ts'

/** Exponents that f32 rows can have: of its smallest subnormal (2^-149) and of its largest number (just below 2^128). */
const EXPONENT_MIN = -164
const EXPONENT_MAX = 113

/** No mantissa is larger in magnitude; its f16 bits. */
const MANTISSA_MAX = 2 ** 15
export const MANTISSA_BITS_MAX = 0x7800

/** The least e for which no |value| exceeds 2^15 × 2^e; 0 for a row of zeros. Throws TabswarmError `not-finite` on NaN and infinity. */
export function rowExponent(values: Float32Array, row: number): number {
  let largest = 0
  for (const value of values) {
    const magnitude = Math.abs(value)
    if (!(magnitude < Number.POSITIVE_INFINITY)) throw notFinite(row, value, 'the span that computed it is broken')
    if (magnitude > largest) largest = magnitude
  }
  if (largest === 0) return 0
  // log2 may be off by one where it rounds to an integer: set right below. Powers of two and quotients by them are exact.
  let exponent = Math.ceil(Math.log2(largest)) - 15
  while (largest > MANTISSA_MAX * 2 ** exponent) exponent++
  while (largest <= MANTISSA_MAX * 2 ** (exponent - 1)) exponent--
  return exponent
}

/** Bits of the f16 nearest to each value × 2^-exponent. Throws TabswarmError `not-finite` where one rounds to 2^128. */
export function rowMantissas(values: Float32Array, exponent: number, row: number): Uint16Array {
  const scale = 2 ** -exponent
  const mantissas = new Uint16Array(values.length)
  for (let column = 0; column < values.length; column++) {
    const value = values[column] ?? 0
    const bits = toHalfBits(value * scale)
    if (exponent === EXPONENT_MAX && (bits & 0x7fff) === MANTISSA_BITS_MAX) throw notFinite(row, value, 'only f32 rows can carry it')
    mantissas[column] = bits
  }
  return mantissas
}

/** Throws TabswarmError `bad-rows` on an exponent that no row of f32 has. */
export function readExponent(view: DataView, at: number, row: number): number {
  const exponent = view.getInt32(at, true)
  if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX) throw badRows(`row ${row} has exponent ${exponent}`)
  return exponent
}

/** The value of mantissa `bits`. Throws TabswarmError `bad-rows` on more than 2^15, and on what is no number. */
export function readMantissa(bits: number, row: number): number {
  const mantissa = fromHalfBits(bits)
  if (!(Math.abs(mantissa) <= MANTISSA_MAX)) throw badRows(`row ${row} has mantissa ${mantissa}`)
  return mantissa
}

export function badRows(message: string): TabswarmError {
  return new TabswarmError('bad-rows', `${message}; the sending peer is broken or lies`)
}

function notFinite(row: number, value: number, why: string): TabswarmError {
  return new TabswarmError('not-finite', `row ${row} holds ${value}; ${why}`)
}
