/** embedding, rmsNorm, gatedActivation and softCap against the truth: odd sizes, every table type, rows picked out, extreme values. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, nmse, seededBlocks, seededValues } from '../../test/support/kernelHarness.ts'
import { blockSize, dequantize, tensorTypes } from '../model/index.ts'
import { gatedActivationReference, rmsNormReference, softCapReference } from './elementwise.reference.ts'
import { embedding } from './embedding.ts'
import { gatedActivation } from './gatedActivation.ts'
import { rmsNorm } from './rmsNorm.ts'
import { softCap } from './softCap.ts'
import { toPanels } from './weightLayout.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

describe('embedding', () => {
  for (const type of tensorTypes) {
    it(`${type}: the rows of the tokens; ids of another part are left alone`, async () => {
      const [width, ids] = [blockSize(type) > 32 ? 256 : 96, 70]
      const bytes = seededBlocks(type, 21, ids * width)
      const table = dequantize(type, bytes)
      const x = new Float32Array(5 * width).fill(7)
      // The part holds ids 100 … 169; row 0 is another piece's.
      const tokens = [100, 163, 164, 99, 170]
      const rows = [{}, ...tokens.map((token) => ({ token }))]
      const shape = { type, width, idFirst: 100, idCount: ids, scale: 3 }
      const input = { work: { rowBase: 1, rowFirst: 0, rowCount: 5 }, rows }
      const [words] = await harness.run(embedding, { type }, shape, { rows: 5 }, [toPanels(type, bytes, width, 0, ids), x], input)
      const expected = tokens.flatMap((token) =>
        token >= 100 && token < 170
          ? Array.from(table.subarray((token - 100) * width, (token - 99) * width), (value) => 3 * value)
          : new Array(width).fill(7),
      )
      expect(nmse(asFloats(words), expected)).toBeLessThan(embedding.nmseMax)
    })
  }
})

describe('rmsNorm', () => {
  for (const [rows, width] of [
    [1, 4],
    [3, 100],
    [9, 576],
  ] as const) {
    it(`${rows} rows of ${width}`, async () => {
      const x = seededValues(2, rows * width).map((value) => value * 300)
      const weight = seededValues(4, width)
      const out = new Float32Array(rows * width)
      const [words] = await harness.run(rmsNorm, { gather: false, add: false }, { width, epsilon: 1e-5 }, { rows }, [x, weight, out])
      expect(nmse(asFloats(words), rmsNormReference(x, weight, 1e-5))).toBeLessThan(rmsNorm.nmseMax)
    })
  }

  it('takes the rows that are wanted, in their order; epsilon decides a row of zeros', async () => {
    const width = 64
    const x = seededValues(2, 6 * width).fill(0, 0, width)
    const weight = seededValues(4, width)
    const selected = [5, 0, 2, 5, 3]
    const out = new Float32Array(selected.length * width)
    const extent = { rows: selected.length }
    const [words] = await harness.run(rmsNorm, { gather: true, add: false }, { width, epsilon: 1e-5 }, extent, [x, weight, out], {
      work: { selected },
    })
    const picked = Float32Array.from(selected.flatMap((row) => Array.from(x.subarray(row * width, (row + 1) * width))))
    expect(nmse(asFloats(words), rmsNormReference(picked, weight, 1e-5))).toBeLessThan(rmsNorm.nmseMax)
  })

  it('adds to what is there', async () => {
    const [rows, width] = [3, 100]
    const x = seededValues(2, rows * width)
    const weight = seededValues(4, width)
    const residual = seededValues(8, rows * width)
    const [words] = await harness.run(rmsNorm, { gather: false, add: true }, { width, epsilon: 1e-6 }, { rows }, [x, weight, residual])
    const expected = rmsNormReference(x, weight, 1e-6).map((value, index) => value + (residual[index] ?? 0))
    expect(nmse(asFloats(words), expected)).toBeLessThan(rmsNorm.nmseMax)
  })

  it('keeps NaN', async () => {
    const x = seededValues(2, 32)
    x[9] = Number.NaN
    const [words] = await harness.run(rmsNorm, { gather: false, add: false }, { width: 32, epsilon: 1e-5 }, { rows: 1 }, [
      x,
      seededValues(4, 32),
      new Float32Array(32),
    ])
    expect(asFloats(words).every(Number.isNaN)).toBe(true)
  })
})

describe('gatedActivation', () => {
  for (const activation of ['silu', 'gelu'] as const) {
    for (const [rows, width] of [
      [1, 1],
      [3, 261],
    ] as const) {
      it(`${activation}: ${rows} rows of ${width}`, async () => {
        const x = seededValues(6, rows * 2 * width).map((value) => value * 12)
        const [words] = await harness.run(gatedActivation, { activation, panels: false }, { width }, { rows }, [
          x,
          new Float32Array(rows * width),
        ])
        expect(nmse(asFloats(words), gatedActivationReference(x, width, activation))).toBeLessThan(gatedActivation.nmseMax)
      })
    }

    it(`${activation}: panels of gate and up in turn`, async () => {
      const [rows, width, panels] = [2, 150, 3]
      const x = seededValues(6, rows * width * 2).map((value) => value * 12)
      const interleaved = new Float32Array(rows * panels * 128).fill(Number.NaN)
      for (let row = 0; row < rows; row++)
        for (let c = 0; c < width; c++)
          for (const half of [0, 1])
            interleaved[row * panels * 128 + Math.floor(c / 64) * 128 + half * 64 + (c % 64)] = x[(2 * row + half) * width + c] ?? 0
      const variant = { activation, panels: true }
      const [words] = await harness.run(gatedActivation, variant, { width }, { rows }, [interleaved, new Float32Array(rows * width)])
      expect(nmse(asFloats(words), gatedActivationReference(x, width, activation))).toBeLessThan(gatedActivation.nmseMax)
    })

    it(`${activation} is finite at both ends of f32`, async () => {
      const x = Float32Array.of(-1e30, -100, 100, 1e30, 1, 1, 1, 1)
      const [words] = await harness.run(gatedActivation, { activation, panels: false }, { width: 4 }, { rows: 1 }, [x, new Float32Array(4)])
      const y = asFloats(words)
      expect(Math.abs(y[1] ?? 1)).toBeLessThan(1e-30)
      expect(Array.from(y.slice(2))).toEqual([100, Math.fround(1e30)])
      expect(y.every(Number.isFinite)).toBe(true)
    })
  }
})

describe('softCap', () => {
  it('caps rows of odd width, leaves their neighbors and what is not finite alone', async () => {
    const [width, stride, cap] = [301, 304, 30]
    const x = seededValues(6, 2 * stride).map((value) => value * 90)
    x[5] = 1e30
    x[6] = -1e30
    x[stride + 3] = Number.NaN
    const [words] = await harness.run(softCap, undefined, { width, stride, cap }, { rows: 2 }, [x])
    const y = asFloats(words)
    expect(y[stride + 3]).toBeNaN()
    expect([y[5], y[6]]).toEqual([30, -30])
    const without = (values: ArrayLike<number>) => Array.from({ length: width }, (_, i) => values[i] ?? 0)
    expect(nmse(without(y), softCapReference(without(x), cap))).toBeLessThan(softCap.nmseMax)
    const second = (values: Float32Array) => Array.from(values.subarray(stride, stride + width)).filter((_, i) => i !== 3)
    expect(nmse(second(y), softCapReference(second(x), cap))).toBeLessThan(softCap.nmseMax)
  })
})
