/** matvec and matmul against f64 sums over the exactly dequantized weights: every type, odd sizes, both sides of each tile. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, nmse, seededBlocks, seededValues } from '../../test/support/kernelHarness.ts'
import { dequantize as dequantizeExactly, type TensorType, tensorTypes } from '../model/index.ts'
import { matmulReference } from './matmul.reference.ts'
import { dequantize, matmul } from './matmul.ts'
import { type GroupRows, groupRows, matvec } from './matvec.ts'
import { panelCount, toPanels } from './weightLayout.ts'

const columns = 96
let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

interface Case {
  readonly type: TensorType
  readonly rows: number
  readonly outputs: number
}

/** y has 3 columns before and 5 behind the outputs, and starts as 7. */
const yOffset = 4
const yStrideOf = (outputs: number) => 4 * Math.ceil(outputs / 4) + 12

async function runMatvec({ type, rows, outputs }: Case, lanes: number, accumulate: boolean, x: Float32Array) {
  const group: GroupRows = groupRows(rows)
  const weights = seededBlocks(type, 11, outputs * columns)
  const padded = new Float32Array(group * columns)
  padded.set(x)
  const yStride = yStrideOf(outputs)
  const y = new Float32Array(group * yStride).fill(7)
  const shape = { type, columns, outputs, yStride, yOffset, accumulate }
  const buffers = [toPanels(type, weights, columns, 0, outputs), padded, y]
  const [words] = await harness.run(matvec, { type, rows: group, lanes }, shape, undefined, buffers)
  return { y: asFloats(words), weights: dequantizeExactly(type, weights) }
}

async function runMatmul({ type, rows, outputs }: Case, tile: number, lanes: number, accumulate: boolean, x: Float32Array) {
  const weights = seededBlocks(type, 11, outputs * columns)
  const panels = panelCount(outputs)
  const empty = new Float32Array(panels * 64 * columns)
  const panelShape = { type, columns, panelFirst: 0, panels }
  const [values] = await harness.run(dequantize, { type }, panelShape, undefined, [toPanels(type, weights, columns, 0, outputs), empty])
  const rowsPadded = tile * lanes * Math.ceil(rows / (tile * lanes))
  const padded = new Float32Array(rowsPadded * columns)
  padded.set(x)
  const yStride = yStrideOf(outputs)
  const y = new Float32Array(rowsPadded * yStride).fill(7)
  const variant = { tile, lanes }
  const shape = { columns, outputs, panelFirst: 0, panels, yStride, yOffset, accumulate }
  const [words] = await harness.run(matmul, variant, shape, { rows, variant }, [asFloats(values), padded, y])
  return { y: asFloats(words), weights: dequantizeExactly(type, weights), values: asFloats(values) }
}

/** The outputs of the real rows, and whether every other column is untouched (the last vec4's surplus excepted). */
function pick(y: Float32Array, rows: number, outputs: number) {
  const yStride = yStrideOf(outputs)
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

describe('matvec', () => {
  for (const type of tensorTypes) {
    for (const [rows, outputs, lanes] of [
      [1, 64, 1],
      [1, 65, 4],
      [2, 63, 1],
      [3, 130, 1],
      [8, 70, 2],
    ] as const) {
      it(`${type}: ${rows} rows, ${outputs} outputs, ${lanes} lanes`, async () => {
        const x = seededValues(5, rows * columns)
        const { y, weights } = await runMatvec({ type, rows, outputs }, lanes, false, x)
        const { result, untouched } = pick(y, rows, outputs)
        expect(untouched).toBe(true)
        expect(nmse(result, matmulReference(weights, x, columns, outputs))).toBeLessThan(matvec.nmseMax)
      })
    }
  }

  it('adds to what is there when it accumulates', async () => {
    const x = seededValues(6, columns)
    const { y, weights } = await runMatvec({ type: 'Q8_0', rows: 1, outputs: 64 }, 1, true, x)
    const expected = matmulReference(weights, x, columns, 64).map((value) => value + 7)
    expect(nmse(pick(y, 1, 64).result, expected)).toBeLessThan(matvec.nmseMax)
  })

  it('gives a row the same bits alone and in a group of 2, 4 and 8', async () => {
    for (const type of ['Q4_1', 'Q8_0', 'F16'] as const) {
      const x = seededValues(8, 8 * columns)
      const whole = pick((await runMatvec({ type, rows: 8, outputs: 100 }, 1, false, x)).y, 8, 100).result
      for (const rows of [1, 2, 3]) {
        const part = pick((await runMatvec({ type, rows, outputs: 100 }, 1, false, x.subarray(0, rows * columns))).y, rows, 100).result
        expect(part).toEqual(whole.subarray(0, rows * 100))
      }
    }
  })

  it('refuses columns that are no whole blocks', () => {
    const shape = { type: 'Q4_1', columns: 48, outputs: 64, yStride: 64, yOffset: 0, accumulate: false } as const
    expect(() => matvec.uniform(shape)).toThrow('48 columns are not a multiple of 32')
  })
})

describe('dequantize and matmul', () => {
  for (const type of tensorTypes) {
    it(`${type}: dequantized panels are exact, surplus outputs zero`, async () => {
      const { values, weights } = await runMatmul({ type, rows: 1, outputs: 70 }, 8, 1, false, seededValues(5, columns))
      const panels = Float32Array.from({ length: 2 * 64 * columns }, (_, index) => {
        const output = Math.floor(index / (64 * columns)) * 64 + (index % 64)
        return output < 70 ? (weights[output * columns + (Math.floor(index / 64) % columns)] ?? 0) : 0
      })
      expect(nmse(values, panels)).toBeLessThan(dequantize.nmseMax)
    })
  }

  for (const [rows, outputs, tile, lanes] of [
    [1, 64, 8, 1],
    [8, 64, 8, 1],
    [9, 68, 8, 1],
    [33, 130, 8, 4],
    [17, 100, 16, 1],
  ] as const) {
    it(`${rows} rows, ${outputs} outputs, tiles of ${tile}, ${lanes} lanes`, async () => {
      const x = seededValues(5, rows * columns)
      const { y, weights } = await runMatmul({ type: 'Q4_1', rows, outputs }, tile, lanes, false, x)
      const { result, untouched } = pick(y, rows, outputs)
      expect(untouched).toBe(true)
      expect(nmse(result, matmulReference(weights, x, columns, outputs))).toBeLessThan(matmul.nmseMax)
    })
  }

  it('gives a row the same bits whatever the tile and its place in it; accumulates', async () => {
    const x = seededValues(9, 20 * columns)
    const of = async (rows: number, tile: number, lanes: number, from = 0) =>
      pick(
        (await runMatmul({ type: 'Q8_0', rows, outputs: 64 }, tile, lanes, true, x.subarray(from * columns, (from + rows) * columns))).y,
        rows,
        64,
      ).result
    const whole = await of(20, 8, 1)
    expect(await of(20, 8, 4)).toEqual(whole)
    expect(await of(3, 8, 1, 11)).toEqual(whole.subarray(11 * 64, 14 * 64))
    const weights = dequantizeExactly('Q8_0', seededBlocks('Q8_0', 11, 64 * columns))
    const expected = matmulReference(weights, x, columns, 64).map((value) => value + 7)
    expect(nmse(whole, expected)).toBeLessThan(matmul.nmseMax)
  })
})
