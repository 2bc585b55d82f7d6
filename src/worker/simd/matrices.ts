/**
 * Matrices for the kernels. Quantized types are taken apart once, into 4 or 8 bits for each weight and f32 scales (and minimums) for
 * groups of 16 or 32: exact, about the file's bytes and half as much again, and two forms for all formats. Types of floats become f32.
 */

import { dequantizeInto, groupedFormat, type ManifestTensor, readGroups, type TensorType, unpackedBytes } from '../../model/index.ts'
import { assert, required } from '../../shared/index.ts'
import type { Matrix } from '../cpu/processor.ts'
import type { SimdMachine } from './machine.ts'
import { CHUNK_WORK, OPERATIONS } from './operations.ts'

/** Allocations of one matrix at most: weights, scales, minimums, levels. */
export const MATRIX_ALLOCATIONS = 4
/** Columns that the kernels take at a time. */
const BLOCK_COLUMNS = 32
/** Columns of the smallest group. */
const GROUP_COLUMNS_MIN = 16
/** Of four bits. */
const LEVELS = 16

/** Columns first. */
export type MatrixShape = Pick<ManifestTensor, 'type' | 'shape'>

export function simdMatrixBytes({ type, shape }: MatrixShape): number {
  return unpackedBytes(
    type,
    shape.reduce((product, size) => product * size, 1),
  )
}

/** Where rows of x lie rounded, for one multiplication after the other; all pointers. */
export interface RoundedRows {
  /** i16, [rows, columns] */
  readonly integers: number
  /** f32, [rows, columns / 32] */
  readonly scales: number
  /** f32, [rows, groups] */
  readonly sums: number
}

/** Room for `rows` rows of at most `columns` columns: three allocations. */
export function allocateRoundedRows(machine: SimdMachine, rows: number, columns: number): RoundedRows {
  const [integers = 0, scales = 0, sums = 0] = roundedRowsBytes(rows, columns).map((bytes) => machine.allocate(bytes))
  return { integers, scales, sums }
}

/** Bytes of the allocations. */
export function roundedRowsBytes(rows: number, columns: number): number[] {
  return [2 * rows * columns, (4 * rows * columns) / BLOCK_COLUMNS, (4 * rows * columns) / GROUP_COLUMNS_MIN]
}

export function createSimdMatrix(machine: SimdMachine, rounded: RoundedRows, { type, shape }: MatrixShape, bytes: Uint8Array): Matrix {
  const [columns = 0, ...others] = shape
  const rows = others.reduce((product, size) => product * size, 1)
  return groupedFormat(type) === null
    ? FloatMatrix.load(machine, type, rows, columns, bytes)
    : GroupMatrix.load(machine, rounded, type, rows, columns, bytes)
}

interface Grouped {
  readonly rows: number
  readonly columns: number
  readonly groupSize: number
  /** What four bits mean, and a pointer to it; null: weights are i8. */
  readonly levels: { readonly values: Int8Array; readonly at: number } | null
  /** [rows, columns], or of two weights a byte [rows, columns / 2]: of each 32 columns the first 16 in the lower halves of 16 bytes. */
  readonly weights: Int8Array
  /** [rows, columns / groupSize]; minimums are empty in formats without. */
  readonly scales: Float32Array
  readonly minimums: Float32Array
}

class GroupMatrix implements Matrix {
  readonly rows: number
  readonly columns: number
  readonly #machine: SimdMachine
  readonly #rounded: RoundedRows
  readonly #grouped: Grouped

  private constructor(machine: SimdMachine, rounded: RoundedRows, grouped: Grouped) {
    this.rows = grouped.rows
    this.columns = grouped.columns
    this.#machine = machine
    this.#rounded = rounded
    this.#grouped = grouped
  }

  static load(machine: SimdMachine, rounded: RoundedRows, type: TensorType, rows: number, columns: number, bytes: Uint8Array): GroupMatrix {
    const { groupSize, hasMinimums, levels } = required(groupedFormat(type), type)
    const groups = columns / groupSize
    const rowBytes = columns / (levels === null ? 1 : 2)
    const matrix: Grouped = {
      rows,
      columns,
      groupSize,
      levels: levels === null ? null : keepLevels(machine, levels),
      weights: new Int8Array(machine.memory.buffer, machine.allocate(rows * rowBytes), rows * rowBytes),
      scales: machine.floats(rows * groups),
      minimums: hasMinimums ? machine.floats(rows * groups) : new Float32Array(),
    }
    const pack = levels === null ? null : packer(levels)
    const fileRowBytes = bytes.byteLength / rows
    const quants = new Int8Array(columns)
    for (let row = 0; row < rows; row++) {
      const own = {
        quants: pack === null ? matrix.weights.subarray(row * rowBytes, (row + 1) * rowBytes) : quants,
        scales: matrix.scales.subarray(row * groups, (row + 1) * groups),
        minimums: matrix.minimums.subarray(row * groups, (row + 1) * groups),
      }
      readGroups(type, bytes, row * fileRowBytes, own, 0, columns)
      pack?.(quants, matrix.weights, row * rowBytes)
    }
    return new GroupMatrix(machine, rounded, matrix)
  }

  slice(firstRow: number, count: number): GroupMatrix {
    assertRows(this, firstRow, count)
    const part = <Values extends Int8Array | Float32Array>(values: Values) => {
      const rowLength = values.length / this.rows
      return values.subarray(firstRow * rowLength, (firstRow + count) * rowLength) as Values
    }
    const { weights, scales, minimums } = this.#grouped
    return new GroupMatrix(this.#machine, this.#rounded, {
      ...this.#grouped,
      rows: count,
      weights: part(weights),
      scales: part(scales),
      minimums: part(minimums),
    })
  }

  readRow(row: number, into: Float32Array, at: number): void {
    assertRows(this, row, 1)
    const { groupSize, scales, minimums } = this.#grouped
    for (let column = 0; column < this.columns; column++) {
      const group = (row * this.columns + column - (column % groupSize)) / groupSize
      const value = this.#quant(row, column) * (scales[group] ?? 0)
      into[at + column] = minimums.length === 0 ? value : value + (minimums[group] ?? 0)
    }
  }

  #quant(row: number, column: number): number {
    const { levels, weights } = this.#grouped
    if (levels === null) return weights[row * this.columns + column] ?? 0
    const inBlock = column % BLOCK_COLUMNS
    const byte = weights[(row * this.columns + column - inBlock) / 2 + (inBlock % 16)] ?? 0
    return levels.values[inBlock < 16 ? byte & 15 : (byte >> 4) & 15] ?? 0
  }

  multiply(x: Float32Array, count: number, y: Float32Array): void {
    const { groupSize, weights, scales, minimums, levels } = this.#grouped
    const machine = this.#machine
    const { integers, scales: xScales, sums } = this.#rounded
    const shift = Math.log2(groupSize)
    machine.setIntegers(0, machine.pointerTo(x), integers, xScales, sums, this.columns, shift)
    machine.run(OPERATIONS.roundRows, count, CHUNK_WORK / this.columns)
    const minimumsAt = minimums.length === 0 ? 0 : minimums.byteOffset
    machine.setIntegers(0, weights.byteOffset, scales.byteOffset, minimumsAt, integers, xScales, sums, machine.pointerTo(y))
    machine.setIntegers(7, this.columns, shift, this.rows, count, levels?.at ?? 0)
    machine.run(OPERATIONS.multiplyGroups, this.rows, outputsAtOnce(this.columns, count))
  }
}

/** Sixteen i8 for the kernels to look up. */
function keepLevels(machine: SimdMachine, levels: readonly number[]): NonNullable<Grouped['levels']> {
  const at = machine.allocate(LEVELS)
  const values = new Int8Array(machine.memory.buffer, at, LEVELS)
  values.set(levels)
  return { values, at }
}

/** Puts a row of quants as four bits each. */
function packer(levels: readonly number[]): (quants: Int8Array, into: Int8Array, at: number) => void {
  const names = new Uint8Array(256)
  for (const [name, level] of levels.entries()) names[level & 255] = name
  return (quants, into, at) => {
    for (let block = 0; block < quants.length; block += BLOCK_COLUMNS) {
      for (let column = 0; column < BLOCK_COLUMNS / 2; column++) {
        const low = names[(quants[block + column] ?? 0) & 255] ?? 0
        const high = names[(quants[block + column + 16] ?? 0) & 255] ?? 0
        into[at + block / 2 + column] = low | (high << 4)
      }
    }
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
