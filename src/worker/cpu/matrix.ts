/**
 * Matrix: a weight tensor as its file's bytes, multiplied on the CPU. Each row is dequantized when it is needed, so that the twin's memory is
 * the model's own size. Sums are f64, in an order that depends on the number of columns alone; results are rounded to f32.
 */

import { blockBytes, blockSize, halfToFloat, type ManifestTensor, type TensorType } from '../../model/index.ts'
import { assert, unreachable } from '../../shared/index.ts'

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
    decode(this.type, this.#bytes, row * this.#rowBytes, into, at, this.columns)
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

let halves: Float32Array | undefined

/** Every f16 as f32, by its bits: 256 KiB that make reading a scale one load. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToFloat(bits))
  return halves
}

/** The same values as model/quants `dequantize`, without allocating. */
function decode(type: TensorType, bytes: Uint8Array, from: number, into: Float32Array, at: number, count: number): void {
  switch (type) {
    case 'F32':
      return decodeF32(bytes, from, into, at, count)
    case 'F16': {
      const half = halfTable()
      for (let i = 0; i < count; i++) into[at + i] = half[u16(bytes, from + 2 * i)] ?? 0
      return
    }
    case 'BF16': {
      const bits = new Uint32Array(into.buffer, into.byteOffset + 4 * at, count)
      for (let i = 0; i < count; i++) bits[i] = u16(bytes, from + 2 * i) << 16
      return
    }
    case 'Q4_1':
      return decodeQ4_1(bytes, from, into, at, count)
    case 'Q8_0':
      return decodeQ8_0(bytes, from, into, at, count)
    default:
      return unreachable(type)
  }
}

function decodeF32(bytes: Uint8Array, from: number, into: Float32Array, at: number, count: number): void {
  const target = new Uint8Array(into.buffer, into.byteOffset + 4 * at, 4 * count)
  target.set(bytes.subarray(from, from + 4 * count))
}

function decodeQ4_1(bytes: Uint8Array, from: number, into: Float32Array, at: number, count: number): void {
  const half = halfTable()
  for (let block = 0; block < count / 32; block++) {
    const head = from + 20 * block
    const scale = half[u16(bytes, head)] ?? 0
    const minimum = half[u16(bytes, head + 2)] ?? 0
    for (let i = 0; i < 16; i++) {
      const pair = bytes[head + 4 + i] ?? 0
      into[at + 32 * block + i] = (pair & 15) * scale + minimum
      into[at + 32 * block + 16 + i] = (pair >> 4) * scale + minimum
    }
  }
}

function decodeQ8_0(bytes: Uint8Array, from: number, into: Float32Array, at: number, count: number): void {
  const half = halfTable()
  for (let block = 0; block < count / 32; block++) {
    const head = from + 34 * block
    const scale = half[u16(bytes, head)] ?? 0
    for (let i = 0; i < 32; i++) into[at + 32 * block + i] = (((bytes[head + 2 + i] ?? 0) << 24) >> 24) * scale
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}
