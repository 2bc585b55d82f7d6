/**
 * Matrix: a weight tensor as its file's bytes, multiplied on the CPU. Each row is dequantized when it is needed, so that the twin's memory is
 * the model's own size. Sums are f64, in an order that depends on the number of columns alone; results are rounded to f32.
 */

import { blockBytes, blockSize, dequantizeInto, type ManifestTensor, type TensorType } from '../../model/index.ts'
import { assert } from '../../shared/index.ts'

export class Matrix {
  readonly type: TensorType
  /** Outputs. */
  readonly rows: number
  /** Inputs, contiguous. */
  readonly columns: number
  readonly #bytes: Uint8Array
  readonly #rowBytes: number
  readonly #row: Float32Array<ArrayBuffer>

  /** `bytes` are the tensor's, as in the file. */
  constructor(tensor: ManifestTensor, bytes: Uint8Array) {
    const [columns = 0, rows = 1] = tensor.shape
    this.type = tensor.type
    this.rows = rows
    this.columns = columns
    this.#rowBytes = (columns / blockSize(tensor.type)) * blockBytes(tensor.type)
    assert(bytes.byteLength === rows * this.#rowBytes, `${tensor.name}: ${bytes.byteLength} bytes for ${rows} rows of ${this.#rowBytes}`)
    this.#bytes = bytes
    this.#row = new Float32Array(columns)
  }

  get byteLength(): number {
    return this.#bytes.byteLength
  }

  /** Writes row `row` as `columns` f32 values to `into` from `at`. */
  readRow(row: number, into: Float32Array, at: number): void {
    assert(row >= 0 && row < this.rows, `row ${row} of ${this.rows}`)
    dequantizeInto(this.type, this.#bytes, row * this.#rowBytes, into, at, this.columns)
  }

  /** y = W·x for `count` rows of x [count, columns]; y is [count, rows]. */
  multiply(x: Float32Array, count: number, y: Float32Array): void {
    const { columns, rows } = this
    for (let row = 0; row < rows; row++) {
      this.readRow(row, this.#row, 0)
      for (let index = 0; index < count; index++) y[index * rows + row] = dot(this.#row, x, index * columns, columns)
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
