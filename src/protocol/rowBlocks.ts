/**
 * i8b: a row as int8 in blocks of 32 columns with an f16 scale each, its largest values apart as f16. Half the bytes of f16e. A row's
 * error is that of its blocks: one large value would spoil the 31 beside it, so those travel apart. Layout: rows.ts, rule F16.
 *
 * Everything is computed in whole numbers from the row's f16 mantissas: integer division is exact everywhere, a GPU's division
 * of floats is not, and the bytes must be the same on all. docs/benchmarks/wire-5.md says what it costs in accuracy.
 */

import { badRows, MANTISSA_BITS_MAX, readExponent, readMantissa, rowExponent, rowMantissas } from './rowMantissas.ts'

const BLOCK_COLUMNS = 32

/** Apart from the blocks: measured, see docs/benchmarks/wire-5.md. */
const OUTLIERS_MAX = 8

const QUANT_MAX = 127

/** Where the parts of a row of `width` begin, in bytes from its exponent; all on whole words. */
interface BlockRowLayout {
  readonly outlierCount: number
  readonly outliersAt: number
  readonly scalesAt: number
  readonly quantsAt: number
  readonly byteLength: number
}

function layoutOf(width: number): BlockRowLayout {
  const outlierCount = Math.min(OUTLIERS_MAX, width)
  const scalesAt = 4 + 4 * outlierCount
  const quantsAt = scalesAt + wholeWords(2 * Math.ceil(width / BLOCK_COLUMNS))
  return { outlierCount, outliersAt: 4, scalesAt, quantsAt, byteLength: quantsAt + wholeWords(width) }
}

export function blockRowBytes(width: number): number {
  return layoutOf(width).byteLength
}

/** Throws TabswarmError `not-finite` as `encodeRows` says. The bytes at `at` must be zeros. */
export function writeBlockRow(view: DataView, at: number, values: Float32Array, row: number): void {
  const { outlierCount, outliersAt, scalesAt, quantsAt } = layoutOf(values.length)
  const exponent = rowExponent(values, row)
  const mantissas = rowMantissas(values, exponent, row)
  view.setInt32(at, exponent, true)
  for (const [rank, column] of largestColumns(mantissas, outlierCount).entries()) {
    view.setUint16(at + outliersAt + 4 * rank, column, true)
    view.setUint16(at + outliersAt + 4 * rank + 2, mantissas[column] ?? 0, true)
    mantissas[column] = 0
  }
  for (let first = 0, block = 0; first < values.length; first += BLOCK_COLUMNS, block++) {
    const blockMantissas = mantissas.subarray(first, first + BLOCK_COLUMNS)
    const scale = scaleBits(blockMantissas.reduce((largest, bits) => Math.max(largest, bits & 0x7fff), 0))
    view.setUint16(at + scalesAt + 2 * block, scale, true)
    blockMantissas.forEach((bits, column) => {
      view.setInt8(at + quantsAt + first + column, quantOf(bits, scale))
    })
  }
}

/** Into `values` [width]. Throws TabswarmError `bad-rows` on what `writeBlockRow` never writes, as far as rule F17 says. */
export function readBlockRow(view: DataView, at: number, values: Float32Array, row: number): void {
  const { outlierCount, outliersAt, scalesAt, quantsAt } = layoutOf(values.length)
  const exponentScale = 2 ** readExponent(view, at, row)
  for (let first = 0, block = 0; first < values.length; first += BLOCK_COLUMNS, block++) {
    const bits = view.getUint16(at + scalesAt + 2 * block, true)
    if (bits > SCALE_BITS_MAX) throw badRows(`row ${row}, block ${block} has a scale of bits ${bits}`)
    const scale = readMantissa(bits, row) * exponentScale
    for (let column = first; column < Math.min(values.length, first + BLOCK_COLUMNS); column++) {
      const quant = view.getInt8(at + quantsAt + column)
      if (quant < -QUANT_MAX) throw badRows(`row ${row} has quant ${quant}`)
      values[column] = quant * scale
    }
  }
  const seen = new Set<number>()
  let before = Number.POSITIVE_INFINITY
  for (let rank = 0; rank < outlierCount; rank++) {
    const column = view.getUint16(at + outliersAt + 4 * rank, true)
    const bits = view.getUint16(at + outliersAt + 4 * rank + 2, true)
    const key = outlierKey(bits, column)
    if (column >= values.length || seen.has(column) || key >= before)
      throw badRows(`row ${row} of ${values.length} columns has column ${column} as outlier ${rank}, which no order of magnitudes gives`)
    if (view.getInt8(at + quantsAt + column) !== 0) throw badRows(`row ${row} has outlier ${rank} in its block too`)
    seen.add(column)
    before = key
    values[column] = readMantissa(bits, row) * exponentScale
  }
}

/** Columns of the `count` largest magnitudes, largest first, ties to the lowest column. */
function largestColumns(mantissas: Uint16Array, count: number): number[] {
  const keys: number[] = []
  mantissas.forEach((bits, column) => {
    const key = outlierKey(bits, column)
    if (keys.length === count && key < (keys.at(-1) ?? 0)) return
    const rank = keys.findIndex((other) => other < key)
    keys.splice(rank < 0 ? keys.length : rank, 0, key)
    keys.length = Math.min(keys.length, count)
  })
  return keys.map((key) => 0xffff - (key & 0xffff))
}

/** Orders outliers: f16 magnitudes compare as their bits do. No two columns have the same. */
function outlierKey(bits: number, column: number): number {
  return ((bits & 0x7fff) << 16) | (0xffff - column)
}

/** Bits of the least f16 s with 127 s ≥ the magnitude of bits `largest`. */
function scaleBits(largest: number): number {
  const { significand, exponent } = unpackHalf(largest)
  // Subnormal scales, and the first normal ones, are multiples of 2^-24, and their bits count them.
  if (exponent < 8) return Math.ceil((significand << (exponent - 1)) / QUANT_MAX)
  const scaled = Math.ceil((significand << 7) / QUANT_MAX)
  return scaled < 2048
    ? ((exponent - 7) << 10) | (scaled - 1024)
    : ((exponent - 6) << 10) | (Math.ceil((significand << 6) / QUANT_MAX) - 1024)
}

const SCALE_BITS_MAX = scaleBits(MANTISSA_BITS_MAX)

/** Mantissa ÷ scale to nearest, halves away from zero; −127 … 127, as the scale is no less than its block's largest ÷ 127. */
function quantOf(bits: number, scale: number): number {
  if (scale === 0) return 0
  const mantissa = unpackHalf(bits & 0x7fff)
  const divisor = unpackHalf(scale)
  // Of less than a quarter of the scale nothing is left.
  const shift = mantissa.exponent - divisor.exponent + 1
  if (shift < 0) return 0
  const magnitude = Math.floor(((mantissa.significand << shift) + divisor.significand) / (2 * divisor.significand))
  return bits & 0x8000 ? -magnitude : magnitude
}

/** Of a magnitude: significand × 2^(exponent − 25), significand below 2048, exponent at least 1. */
function unpackHalf(bits: number): { readonly significand: number; readonly exponent: number } {
  const exponent = bits >>> 10
  return exponent === 0 ? { significand: bits, exponent: 1 } : { significand: 1024 | (bits & 1023), exponent }
}

function wholeWords(bytes: number): number {
  return 4 * Math.ceil(bytes / 4)
}
