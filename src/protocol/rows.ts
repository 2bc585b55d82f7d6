/** Rows of activations on the wire: their kinds and encodings. The GPU packs the same bytes; this codec is its plain twin. */

import { assert } from '../shared/index.ts'
import { WIDTH_MAX } from './limits.ts'
import { blockRowBytes, readBlockRow, writeBlockRow } from './rowBlocks.ts'
import { badRows, readExponent, readMantissa, rowExponent, rowMantissas } from './rowMantissas.ts'

/** Which numeric path computes a row; drafts are decode. The log remembers it, replay repeats it. */
export type RowKind = 'prompt' | 'decode'

/**
 * How a row of f32 [width] (width even) lies on the wire, little-endian.
 * - `f32`: width × f32.
 * - `f16e`: i32 exponent e, then width × f16 mantissas m; value = m × 2^e. e is the least for which no |m| exceeds 2^15;
 *   a row of zeros has e = 0. So nothing overflows, whatever the residual's magnitude.
 * - `i8b`: i32 exponent e as in f16e; the outliers, the min(8, width) largest values, each as u16 column, f16 mantissa m; an f16
 *   scale s for each block of 32 columns; width × i8 quants q; value = m × 2^e of an outlier, q × s × 2^e of the others. Scales
 *   and quants are padded with zeros to whole words.
 */
export const ROW_ENCODINGS = ['f32', 'f16e', 'i8b'] as const
export type RowEncoding = (typeof ROW_ENCODINGS)[number]

/** Bytes of one row. */
export function rowBytes(encoding: RowEncoding, width: number): number {
  switch (encoding) {
    case 'f32':
      return 4 * width
    case 'f16e':
      return 4 + 2 * width
    case 'i8b':
      return blockRowBytes(width)
  }
}

/** The largest width whose rows have `bytesPerRow`, or null where no legal width has that many. */
export function rowWidth(encoding: RowEncoding, bytesPerRow: number): number | null {
  if (encoding !== 'i8b') {
    const width = encoding === 'f32' ? bytesPerRow / 4 : (bytesPerRow - 4) / 2
    return width > 0 && width % 2 === 0 && width <= WIDTH_MAX ? width : null
  }
  let [low, high] = [0, WIDTH_MAX / 2]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (rowBytes(encoding, 2 * middle) <= bytesPerRow) low = middle
    else high = middle - 1
  }
  return low > 0 && rowBytes(encoding, 2 * low) === bytesPerRow ? 2 * low : null
}

/** `values`: [rows, width]. Throws TabswarmError `not-finite` on NaN, infinity, or (but in f32) magnitudes that round to 2^128. */
export function encodeRows(encoding: RowEncoding, values: Float32Array, width: number): Uint8Array<ArrayBuffer> {
  assertWidth(width)
  assert(values.length % width === 0, `${values.length} values are no whole rows of ${width}`)
  const rowCount = values.length / width
  const stride = rowBytes(encoding, width)
  const bytes = new Uint8Array(rowCount * stride)
  const view = new DataView(bytes.buffer)
  const write = WRITERS[encoding]
  for (let row = 0; row < rowCount; row++) write(view, row * stride, values.subarray(row * width, (row + 1) * width), row)
  return bytes
}

/** The values of `bytes`, [rows, width]. Throws TabswarmError `bad-rows` on bytes that no encoder writes (rules F12, F17). */
export function decodeRows(encoding: RowEncoding, bytes: Uint8Array, width: number): Float32Array<ArrayBuffer> {
  assertWidth(width)
  const stride = rowBytes(encoding, width)
  if (bytes.byteLength % stride !== 0) throw badRows(`${bytes.byteLength} bytes are no whole ${encoding} rows of ${stride} bytes`)
  const rowCount = bytes.byteLength / stride
  const values = new Float32Array(rowCount * width)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read = READERS[encoding]
  for (let row = 0; row < rowCount; row++) {
    const rowValues = values.subarray(row * width, (row + 1) * width)
    read(view, row * stride, rowValues, row)
    for (const value of rowValues) if (!Number.isFinite(value)) throw badRows(`row ${row} holds a value that is not finite`)
  }
  return values
}

type RowStep = (view: DataView, at: number, values: Float32Array, row: number) => void

const WRITERS: Readonly<Record<RowEncoding, RowStep>> = { f32: writeFloatRow, f16e: writeHalfRow, i8b: writeBlockRow }
const READERS: Readonly<Record<RowEncoding, RowStep>> = { f32: readFloatRow, f16e: readHalfRow, i8b: readBlockRow }

function assertWidth(width: number): void {
  assert(width > 0 && width % 2 === 0 && width <= WIDTH_MAX, `row width ${width} is not even within 2 … ${WIDTH_MAX}`)
}

function writeFloatRow(view: DataView, at: number, values: Float32Array, row: number): void {
  // For its check alone: the bits travel as they are.
  rowExponent(values, row)
  for (const [column, value] of values.entries()) view.setFloat32(at + 4 * column, value, true)
}

function readFloatRow(view: DataView, at: number, values: Float32Array): void {
  for (let column = 0; column < values.length; column++) values[column] = view.getFloat32(at + 4 * column, true)
}

function writeHalfRow(view: DataView, at: number, values: Float32Array, row: number): void {
  const exponent = rowExponent(values, row)
  view.setInt32(at, exponent, true)
  const mantissas = rowMantissas(values, exponent, row)
  for (let column = 0; column < mantissas.length; column++) view.setUint16(at + 4 + 2 * column, mantissas[column] ?? 0, true)
}

function readHalfRow(view: DataView, at: number, values: Float32Array, row: number): void {
  const scale = 2 ** readExponent(view, at, row)
  for (let column = 0; column < values.length; column++)
    values[column] = readMantissa(view.getUint16(at + 4 + 2 * column, true), row) * scale
}
