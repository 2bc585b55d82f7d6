/**
 * Matrices for the kernels. Quantized types are taken apart once, into an i8 for each weight and f32 scales (and minimums) for
 * groups of 16 or 32: exact, a fourth of f32's bytes, and one form for all formats. Types of floats become f32.
 */

import { dequantizeInto, groupedFormat, type ManifestTensor, readGroups, type TensorType, unpackedBytes } from '../../model/index.ts'
import { assert } from '../../shared/index.ts'
import type { Matrix } from '../cpu/processor.ts'
import type { SimdMachine } from './machine.ts'
import { CHUNK_WORK, OPERATIONS } from './operations.ts'

/** Allocations of one matrix at most. */
export const MATRIX_ALLOCATIONS = 3
/** Columns of the smallest group. */
export const GROUP_COLUMNS_MIN = 16

/** Columns first. */
export type MatrixShape = Pick<ManifestTensor, 'type' | 'shape'>

export function simdMatrixBytes({ type, shape }: MatrixShape): number {
  return unpackedBytes(
    type,
    shape.reduce((product, size) => product * size, 1),
  )
}

/** `sums`: a pointer to room for the sums of a pass's rows by groups. */
export function createSimdMatrix(machine: SimdMachine, sums: number, { type, shape }: MatrixShape, bytes: Uint8Array): Matrix {
  const [columns = 0, ...others] = shape
  const rows = others.reduce((product, size) => product * size, 1)
  const grouped = groupedFormat(type)
  if (grouped === null) return FloatMatrix.load(machine, type, rows, columns, bytes)
  const { groupSize, hasMinimums } = grouped
  const values = rows * columns
  const matrix = {
    quants: new Int8Array(machine.memory.buffer, machine.allocate(values), values),
    scales: machine.floats(values / groupSize),
    minimums: hasMinimums ? machine.floats(values / groupSize) : new Float32Array(),
  }
  readGroups(type, bytes, 0, matrix, 0, values)
  return new GroupMatrix(machine, sums, { rows, columns, groupSize, ...matrix })
}

interface Grouped {
  readonly rows: number
  readonly columns: number
  readonly groupSize: number
  /** [rows, columns] */
  readonly quants: Int8Array
  /** [rows, columns / groupSize]; minimums are empty in formats without. */
  readonly scales: Float32Array
  readonly minimums: Float32Array
}

class GroupMatrix implements Matrix {
  readonly rows: number
  readonly columns: number
  readonly #machine: SimdMachine
  readonly #sums: number
  readonly #grouped: Grouped

  constructor(machine: SimdMachine, sums: number, grouped: Grouped) {
    this.rows = grouped.rows
    this.columns = grouped.columns
    this.#machine = machine
    this.#sums = sums
    this.#grouped = grouped
  }

  slice(firstRow: number, count: number): GroupMatrix {
    assertRows(this, firstRow, count)
    const { groupSize, quants, scales, minimums } = this.#grouped
    const groups = this.columns / groupSize
    const part = <Values extends Int8Array | Float32Array>(values: Values, rowLength: number) =>
      values.subarray(firstRow * rowLength, (firstRow + count) * rowLength) as Values
    return new GroupMatrix(this.#machine, this.#sums, {
      ...this.#grouped,
      rows: count,
      quants: part(quants, this.columns),
      scales: part(scales, groups),
      minimums: minimums.length === 0 ? minimums : part(minimums, groups),
    })
  }

  readRow(row: number, into: Float32Array, at: number): void {
    assertRows(this, row, 1)
    const { groupSize, quants, scales, minimums } = this.#grouped
    const from = row * this.columns
    for (let column = 0; column < this.columns; column++) {
      const group = Math.floor((from + column) / groupSize)
      const value = (quants[from + column] ?? 0) * (scales[group] ?? 0)
      into[at + column] = minimums.length === 0 ? value : value + (minimums[group] ?? 0)
    }
  }

  multiply(x: Float32Array, count: number, y: Float32Array): void {
    const { groupSize, quants, scales, minimums } = this.#grouped
    const machine = this.#machine
    const hasMinimums = minimums.length > 0
    machine.setIntegers(
      0,
      quants.byteOffset,
      scales.byteOffset,
      hasMinimums ? minimums.byteOffset : 0,
      machine.pointerTo(x),
      this.#sums,
      machine.pointerTo(y),
      this.columns,
      Math.log2(groupSize),
      this.rows,
      count,
    )
    if (hasMinimums) machine.run(OPERATIONS.sumGroups, count, CHUNK_WORK / this.columns)
    machine.run(OPERATIONS.multiplyGroups, this.rows, outputsAtOnce(this.columns, count))
  }
}

class FloatMatrix implements Matrix {
  readonly rows: number
  readonly columns: number
  readonly #machine: SimdMachine
  readonly #values: Float32Array

  private constructor(machine: SimdMachine, rows: number, columns: number, values: Float32Array) {
    this.rows = rows
    this.columns = columns
    this.#machine = machine
    this.#values = values
  }

  static load(machine: SimdMachine, type: TensorType, rows: number, columns: number, bytes: Uint8Array): FloatMatrix {
    const values = machine.floats(rows * columns)
    dequantizeInto(type, bytes, 0, values, 0, rows * columns)
    return new FloatMatrix(machine, rows, columns, values)
  }

  slice(firstRow: number, count: number): FloatMatrix {
    assertRows(this, firstRow, count)
    const values = this.#values.subarray(firstRow * this.columns, (firstRow + count) * this.columns)
    return new FloatMatrix(this.#machine, count, this.columns, values)
  }

  readRow(row: number, into: Float32Array, at: number): void {
    assertRows(this, row, 1)
    into.set(this.#values.subarray(row * this.columns, (row + 1) * this.columns), at)
  }

  multiply(x: Float32Array, count: number, y: Float32Array): void {
    const machine = this.#machine
    machine.setIntegers(0, machine.pointerTo(this.#values), machine.pointerTo(x), machine.pointerTo(y), this.columns, this.rows, count)
    machine.run(OPERATIONS.multiplyFloats, this.rows, outputsAtOnce(this.columns, count))
  }
}

/** An even number: a single row of x takes two outputs at a time. */
function outputsAtOnce(columns: number, count: number): number {
  return 2 * Math.max(1, Math.floor(CHUNK_WORK / (2 * columns * count)))
}

function assertRows({ rows }: Matrix, first: number, count: number): void {
  assert(first >= 0 && first + count <= rows, `rows ${first} to ${first + count} of ${rows}`)
}
