/** Rows of activations on the wire: their kinds and encodings. The GPU packs the same bytes; this codec is its plain twin. */

import { assert, TabswarmError } from '../shared/index.ts'
import { fromHalfBits, toHalfBits } from './half.ts'
import { WIDTH_MAX } from './limits.ts'

/** Which numeric path computes a row; drafts are decode. The log remembers it, replay repeats it. */
export type RowKind = 'prompt' | 'decode'

/**
 * How a row of f32 [width] (width even) lies on the wire, little-endian.
 * - `f32`: width × f32.
 * - `f16e`: i32 exponent e, then width × f16 mantissas m; value = m × 2^e. e is the least for which no |m| exceeds 2^15;
 *   a row of zeros has e = 0. So nothing overflows, whatever the residual's magnitude.
 */
export type RowEncoding = 'f32' | 'f16e'

/** Exponents that f32 rows can have: of its smallest subnormal (2^-149) and of its largest number (just below 2^128). */
const EXPONENT_MIN = -164
const EXPONENT_MAX = 113
const MANTISSA_MAX = 2 ** 15

/** Bytes of one row. */
export function rowBytes(encoding: RowEncoding, width: number): number {
  return encoding === 'f32' ? 4 * width : 4 + 2 * width
}

/** The width of rows of `bytesPerRow`, or null where no legal width has that many. */
export function rowWidth(encoding: RowEncoding, bytesPerRow: number): number | null {
  const width = encoding === 'f32' ? bytesPerRow / 4 : (bytesPerRow - 4) / 2
  return Number.isInteger(width) && width > 0 && width % 2 === 0 && width <= WIDTH_MAX ? width : null
}

/** `values`: [rows, width]. Throws TabswarmError `not-finite` on NaN, infinity, or (f16e) magnitudes that round to 2^128. */
export function encodeRows(encoding: RowEncoding, values: Float32Array, width: number): Uint8Array<ArrayBuffer> {
  assertWidth(width)
  assert(values.length % width === 0, `${values.length} values are no whole rows of ${width}`)
  const rowCount = values.length / width
  const bytes = new Uint8Array(rowCount * rowBytes(encoding, width))
  const view = new DataView(bytes.buffer)
  for (let row = 0; row < rowCount; row++) {
    const rowValues = values.subarray(row * width, (row + 1) * width)
    const exponent = rowExponent(rowValues, row)
    const at = row * rowBytes(encoding, width)
    if (encoding === 'f32') writeFloatRow(view, at, rowValues)
    else writeHalfRow(view, at, rowValues, exponent, row)
  }
  return bytes
}

/** The values of `bytes`, [rows, width]. Throws TabswarmError `bad-rows` on bytes that no encoder writes. */
export function decodeRows(encoding: RowEncoding, bytes: Uint8Array, width: number): Float32Array<ArrayBuffer> {
  assertWidth(width)
  const stride = rowBytes(encoding, width)
  if (bytes.byteLength % stride !== 0) throw badRows(`${bytes.byteLength} bytes are no whole ${encoding} rows of ${stride} bytes`)
  const rowCount = bytes.byteLength / stride
  const values = new Float32Array(rowCount * width)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let row = 0; row < rowCount; row++) {
    const rowValues = values.subarray(row * width, (row + 1) * width)
    if (encoding === 'f32')
      for (let column = 0; column < width; column++) rowValues[column] = view.getFloat32(row * stride + 4 * column, true)
    else readHalfRow(view, row * stride, rowValues, row)
    if (!rowValues.every(Number.isFinite)) throw badRows(`row ${row} holds a value that is not finite`)
  }
  return values
}

function assertWidth(width: number): void {
  assert(width > 0 && width % 2 === 0 && width <= WIDTH_MAX, `row width ${width} is not even within 2 … ${WIDTH_MAX}`)
}

function badRows(message: string): TabswarmError {
  return new TabswarmError('bad-rows', `${message}; the sending peer is broken or lies`)
}

function rowExponent(values: Float32Array, row: number): number {
  let largest = 0
  for (const value of values) {
    const magnitude = Math.abs(value)
    if (!(magnitude < Number.POSITIVE_INFINITY))
      throw new TabswarmError('not-finite', `row ${row} holds ${value}; the span that computed it is broken`)
    if (magnitude > largest) largest = magnitude
  }
  if (largest === 0) return 0
  // log2 may be off by one where it rounds to an integer: set right below. Powers of two and quotients by them are exact.
  let exponent = Math.ceil(Math.log2(largest)) - 15
  while (largest > MANTISSA_MAX * 2 ** exponent) exponent++
  while (largest <= MANTISSA_MAX * 2 ** (exponent - 1)) exponent--
  return exponent
}

function writeFloatRow(view: DataView, at: number, values: Float32Array): void {
  for (const [column, value] of values.entries()) view.setFloat32(at + 4 * column, value, true)
}

function writeHalfRow(view: DataView, at: number, values: Float32Array, exponent: number, row: number): void {
  const scale = 2 ** -exponent
  view.setInt32(at, exponent, true)
  values.forEach((value, column) => {
    const bits = toHalfBits(value * scale)
    if (exponent === EXPONENT_MAX && (bits & 0x7fff) === toHalfBits(MANTISSA_MAX))
      throw new TabswarmError('not-finite', `row ${row} holds ${value}, which no f16e row can carry`)
    view.setUint16(at + 4 + 2 * column, bits, true)
  })
}

function readHalfRow(view: DataView, at: number, values: Float32Array, row: number): void {
  const exponent = view.getInt32(at, true)
  if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX) throw badRows(`row ${row} has exponent ${exponent}`)
  const scale = 2 ** exponent
  for (let column = 0; column < values.length; column++) {
    const mantissa = fromHalfBits(view.getUint16(at + 4 + 2 * column, true))
    if (!(Math.abs(mantissa) <= MANTISSA_MAX)) throw badRows(`row ${row} has mantissa ${mantissa}`)
    values[column] = mantissa * scale
  }
}
