import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomBits, randomBlocks } from '../../../test/support/randomBlocks.ts'
import { dequantize, groupedFormat, tensorTypes } from '../../model/index.ts'
import { openSimdHost } from '../../node/index.ts'
import { FileMatrix } from '../cpu/matrix.ts'
import { machineBytes, type SimdHost, SimdMachine } from './machine.ts'
import { allocateRoundedRows, createSimdMatrix, type MatrixShape, simdMatrixBytes } from './matrices.ts'

const ROWS_OF_X = 9
/** Odd numbers of outputs: threads take them two by two. */
const SIZES = [
  { columns: 256, outputs: 1 },
  { columns: 768, outputs: 43 },
]
let hosts: { readonly alone: SimdHost; readonly many: SimdHost }

beforeAll(async () => {
  hosts = { alone: await openSimdHost(1), many: await openSimdHost(4) }
})

afterAll(() => {
  for (const helper of hosts.many.helpers) helper.terminate()
})

/** y of rows [from, end) of x, computed in one call. */
function multiply(host: SimdHost, shape: MatrixShape, bytes: Uint8Array, x: Float32Array, from: number, end: number): Float32Array {
  const [columns = 0, outputs = 0] = shape.shape
  const machine = new SimdMachine(host, machineBytes(simdMatrixBytes(shape) + 4 * ROWS_OF_X * (3 * columns + outputs), 9))
  const matrix = createSimdMatrix(machine, allocateRoundedRows(machine, ROWS_OF_X, columns), shape, bytes)
  const ownX = machine.floats(x.length)
  ownX.set(x.subarray(from * columns, end * columns))
  const y = machine.floats((end - from) * outputs)
  matrix.multiply(ownX, end - from, y)
  machine.release()
  return Float32Array.from(y)
}

/** What rounding x of at most 3 to 16 bits can change at output `output`; types of floats round nothing. */
function roundingBound({ type, shape: [columns = 0] }: MatrixShape, bytes: Uint8Array, output: number): number {
  if (groupedFormat(type) === null) return 0
  const weights = dequantize(type, bytes).subarray(output * columns, (output + 1) * columns)
  return (3 / 32_767 / 2) * weights.reduce((sum, weight) => sum + Math.abs(weight), 0)
}

describe.each(tensorTypes)('a matrix of %s', (type) => {
  it.each(SIZES)('of $outputs × $columns equals the twin’s, and each row has the same bits in any company', ({ columns, outputs }) => {
    const bytes = randomBlocks(type, columns * outputs, 0.1, randomBits(7))
    const shape: MatrixShape = { type, shape: [columns, outputs] }
    const x = Float32Array.from({ length: ROWS_OF_X * columns }, (_, i) => Math.sin(12.9898 * i) * 3)
    const expected = new Float32Array(ROWS_OF_X * outputs)
    new FileMatrix(type, columns, outputs, bytes).multiply(x, ROWS_OF_X, expected)
    const whole = multiply(hosts.alone, shape, bytes, x, 0, ROWS_OF_X)
    const scale = Math.max(...expected.map(Math.abs))
    whole.forEach((value, i) => {
      expect(Math.abs(value - (expected[i] ?? Number.NaN))).toBeLessThan(2e-6 * scale + roundingBound(shape, bytes, i % outputs))
    })
    for (const [from, end] of [
      [0, 1],
      [3, 5],
      [2, 6],
      [1, 4],
      [2, 9],
      [8, 9],
    ] as const)
      expect(multiply(hosts.alone, shape, bytes, x, from, end)).toEqual(whole.slice(from * outputs, end * outputs))
    expect(multiply(hosts.many, shape, bytes, x, 0, ROWS_OF_X)).toEqual(whole)
  })

  it('gives its rows back exactly, and parts of it', () => {
    const [columns, outputs] = [256, 5]
    const bytes = randomBlocks(type, columns * outputs, 0.1, randomBits(8))
    const shape: MatrixShape = { type, shape: [columns, outputs] }
    const machine = new SimdMachine(hosts.alone, machineBytes(simdMatrixBytes(shape) + 4 * columns, 8))
    const part = createSimdMatrix(machine, allocateRoundedRows(machine, 1, columns), shape, bytes).slice(1, 3)
    const own = new Float32Array(columns + 1)
    part.readRow(2, own, 1)
    expect(own.subarray(1)).toEqual(dequantize(type, bytes).subarray(3 * columns, 4 * columns))
    expect([part.rows, part.columns]).toEqual([3, columns])
    expect(() => part.readRow(3, own, 0)).toThrow(/rows 3 to 4 of 3/)
  })
})
