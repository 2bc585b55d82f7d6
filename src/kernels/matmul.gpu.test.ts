/** matmul against f64 sums over the exactly dequantized weights: every type, both forms, odd sizes, both sides of each tile. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KernelHarness, nmse, seededBlocks, seededValues } from '../../test/support/kernelHarness.ts'
import { proofs } from '../../test/support/proofs.ts'
import { dequantize, type TensorType, tensorTypes } from '../model/index.ts'
import type { KernelDevice } from './kernel.ts'
import { matmulReference } from './matmul.reference.ts'
import {
  type BoundMatmul,
  bindMatmul,
  type MatmulBuffers,
  type MatmulForm,
  type MatmulShape,
  matmulRowsPadded,
  matmulTile,
} from './matmul.ts'
import { toPanels } from './weightLayout.ts'

const forms: readonly MatmulForm[] = ['tile', 'broadcast']
let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

interface Case {
  readonly type: TensorType
  readonly columns: number
  readonly outputs: number
  readonly form: MatmulForm
  readonly accumulate?: boolean
}

/** y has 4 columns before and some behind the outputs, and starts as 7. */
const yOffset = 4

type Bind = (kernels: KernelDevice, shape: MatmulShape, buffers: MatmulBuffers) => Promise<BoundMatmul>

/** Every row of y, and of the padding; `x`: [rows, columns]. `bind`: as engines do. */
async function run({ type, columns, outputs, form, accumulate = false }: Case, x: Float32Array, bind: Bind = bindAs(form)) {
  const rows = x.length / columns
  const padded = new Float32Array(matmulRowsPadded(rows) * columns).fill(Number.NaN)
  padded.set(x)
  const yStride = 4 * Math.ceil(outputs / 4) + 12
  const shape: MatmulShape = { type, columns, outputs, yStride, yOffset, accumulate }
  const bytes = seededBlocks(type, 11, outputs * columns)
  const y = new Float32Array(matmulRowsPadded(rows) * yStride).fill(7)
  const buffers = { weights: toPanels(type, bytes, columns, 0, outputs), x: padded, y }
  const written = await harness.runMany(buffers, ['y'], async (kernels, bound) => {
    const multiply = await bind(kernels, shape, { weights: bound('weights'), x: bound('x'), y: bound('y') })
    return (pass) => multiply(pass, rows)
  })
  return { ...pick(written.y, rows, outputs, yStride), weights: dequantize(type, bytes) }
}

function bindAs(form: MatmulForm): Bind {
  return (kernels, shape, buffers) => bindMatmul(kernels, form, shape, buffers)
}

/** Tiles of so many rows, however many there are. */
function bindTiles(tileRows: number): Bind {
  return async (kernels, shape, { weights, x, y }) => {
    const multiply = await kernels.prepare(matmulTile, { type: shape.type, rows: tileRows }, shape, [weights, weights, x, y])
    return (pass, rows) => multiply(pass, { rows, tileRows }, null)
  }
}

/** The outputs of the real rows, and whether every other column is untouched (the last vec4's surplus excepted). */
function pick(y: Float32Array, rows: number, outputs: number, yStride: number) {
  const outputsEnd = yOffset + 4 * Math.ceil(outputs / 4)
  const result = new Float32Array(rows * outputs)
  let untouched = true
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < yStride; column++) {
      const value = y[row * yStride + column] ?? 0
      if (column >= yOffset && column < yOffset + outputs) result[row * outputs + column - yOffset] = value
      else if (column < yOffset || column >= outputsEnd) untouched &&= value === 7
    }
  }
  return { result, untouched }
}

/** Rows that are one-hot: their products are the weights themselves. */
function identity(columns: number): Float32Array {
  const rows = new Float32Array(columns * columns)
  for (let column = 0; column < columns; column++) rows[column * (columns + 1)] = 1
  return rows
}

/**
 * Large tiles unpack as small ones do, and take SwiftShader twice as long to compile: lavapipe and the longer proofs unpack every type with those too. The
 * shapes below run them for a type of each kind everywhere.
 */
const unpacking: Readonly<Record<string, { readonly form: MatmulForm; readonly bind: Bind }>> = {
  broadcast: { form: 'broadcast', bind: bindAs('broadcast') },
  'small tiles': { form: 'tile', bind: bindTiles(16) },
  ...(proofs === 'all' && { 'large tiles': { form: 'tile', bind: bindTiles(64) } }),
}

describe('matmul', () => {
  for (const [name, { form, bind }] of Object.entries(unpacking)) {
    it.each(tensorTypes)(`${name}, %s: unpacks every weight as the type defines it`, async (type) => {
      const [columns, outputs] = [256, 70]
      const { result, weights } = await run({ type, columns, outputs, form }, identity(columns), bind)
      const expected = Float32Array.from(result, (_, index) => weights[(index % outputs) * columns + Math.floor(index / outputs)] ?? 0)
      // A value's scale times its number is rounded once more or once less than in the definition.
      expect(nmse(result, expected)).toBeLessThan(1e-14)
    })
  }

  for (const form of forms) {
    // Of few types, since both tiles of each are compiled: what a type is was shown above.
    for (const [rows, outputs, columns, type] of [
      [1, 64, 96, 'Q4_1'],
      [7, 63, 64, 'Q4_1'],
      [8, 65, 96, 'Q4_1'],
      [9, 68, 256, 'Q6_K'],
      [16, 4, 32, 'Q4_1'],
      [17, 130, 96, 'Q4_1'],
      [65, 61, 512, 'Q6_K'],
      // Columns that end within a step of 32.
      [5, 20, 40, 'F16'],
      [20, 20, 12, 'F32'],
    ] as const) {
      it(`${form}: ${rows} rows, [${outputs}, ${columns}] of ${type}`, async () => {
        const x = seededValues(5, rows * columns)
        const { result, untouched, weights } = await run({ type, columns, outputs, form }, x)
        expect(untouched).toBe(true)
        expect(nmse(result, matmulReference(weights, x, columns, outputs))).toBeLessThan(matmulTile.nmseMax)
      })
    }

    it(`${form}: adds to what is there when it accumulates`, async () => {
      const x = seededValues(6, 3 * 96)
      const { result, untouched, weights } = await run({ type: 'Q4_1', columns: 96, outputs: 66, form, accumulate: true }, x)
      expect(untouched).toBe(true)
      const expected = matmulReference(weights, x, 96, 66).map((value) => value + 7)
      expect(nmse(result, expected)).toBeLessThan(matmulTile.nmseMax)
    })
  }

  it('gives a row the same bits in either form, whatever its place and the number of rows', async () => {
    for (const type of ['Q4_1', 'Q6_K', 'F16'] as const) {
      const [columns, outputs] = [512, 70]
      const of = async (form: MatmulForm, first: number, end: number) =>
        (await run({ type, columns, outputs, form }, x.slice(first * columns, end * columns))).result
      const x = seededValues(9, 70 * columns)
      const whole = await of('tile', 0, 70)
      expect(await of('broadcast', 0, 70)).toEqual(whole)
      for (const form of forms) {
        expect(await of(form, 41, 42)).toEqual(whole.subarray(41 * outputs, 42 * outputs))
        expect(await of(form, 13, 29)).toEqual(whole.subarray(13 * outputs, 29 * outputs))
        expect(await of(form, 3, 20)).toEqual(whole.subarray(3 * outputs, 20 * outputs))
      }
    }
  })

  it('refuses columns that are no whole blocks', () => {
    const shape = { type: 'Q4_1', columns: 48, outputs: 64, yStride: 64, yOffset: 0, accumulate: false } as const
    expect(() => matmulTile.uniform(shape)).toThrow('48 columns are not a multiple of 32')
  })
})
