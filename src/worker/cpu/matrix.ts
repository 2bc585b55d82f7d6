/**
 * A weight tensor as its file's bytes. Each row is dequantized when it is needed, so that the twin's memory is the model's own
 * size. Sums are f64, in an order that depends on the number of columns alone; results are rounded to f32.
 */

import { blockBytes, blockSize, dequantizeInto, type ManifestTensor, type TensorType } from '../../model/index.ts'
import { assert } from '../../shared/index.ts'
import type { Matrix } from './processor.ts'

export class FileMatrix implements Matrix {
  readonly type: TensorType
  readonly rows: number
  readonly columns: number
  readonly #bytes: Uint8Array
  readonly #rowBytes: number

  /** `bytes` are whole rows, as in the file. */
  constructor(type: TensorType, columns: number, rows: number, bytes: Uint8Array) {
    this.type = type
    this.rows = rows
    this.columns = columns
    this.#rowBytes = (columns / blockSize(type)) * blockBytes(type)
    assert(bytes.byteLength === rows * this.#rowBytes, `${bytes.byteLength} bytes for ${rows} rows of ${this.#rowBytes}`)
    this.#bytes = bytes
  }

  /** A whole tensor; of one with three axes (experts), the rows of all slices one after another. */
  static ofTensor({ type, shape }: ManifestTensor, bytes: Uint8Array): FileMatrix {
    const [columns = 0, ...others] = shape
    return new FileMatrix(
      type,
      columns,
      others.reduce((product, size) => product * size, 1),
      bytes,
    )
  }

  slice(firstRow: number, count: number): FileMatrix {
    assert(firstRow >= 0 && firstRow + count <= this.rows, `rows ${firstRow} to ${firstRow + count} of ${this.rows}`)
    const bytes = this.#bytes.subarray(firstRow * this.#rowBytes, (firstRow + count) * this.#rowBytes)
    return new FileMatrix(this.type, this.columns, count, bytes)
  }

  readRow(row: number, into: Float32Array, at: number): void {
    assert(row >= 0 && row < this.rows, `row ${row} of ${this.rows}`)
    dequantizeInto(this.type, this.#bytes, row * this.#rowBytes, into, at, this.columns)
  }

  multiply(x: Float32Array, count: number, y: Float32Array): void {
    const { columns, rows } = this
    const weights = new Float32Array(columns)
    for (let row = 0; row < rows; row++) {
      this.readRow(row, weights, 0)
      for (let index = 0; index < count; index++) y[index * rows + row] = dot(weights, x, index * columns, columns)
    }
  }
}

/** Four sums, so that additions need not wait for each other. */
function dot(w: Float32Array, x: Float32Array, at: number, count: number): number {
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  const whole = count - (count % 4)
  for (let i = 0; i < whole; i += 4) {
    a += (w[i] ?? 0) * (x[at + i] ?? 0)
    b += (w[i + 1] ?? 0) * (x[at + i + 1] ?? 0)
    c += (w[i + 2] ?? 0) * (x[at + i + 2] ?? 0)
    d += (w[i + 3] ?? 0) * (x[at + i + 3] ?? 0)
  }
  for (let i = whole; i < count; i++) a += (w[i] ?? 0) * (x[at + i] ?? 0)
  return a + b + (c + d)
}
