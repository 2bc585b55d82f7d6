/** The experts' kernels against f64: choices with ties, weights in every type and in parts, slots summed in order. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, nmse, seededBlocks, seededValues } from '../../test/support/kernelHarness.ts'
import { dequantize, tensorTypes } from '../model/index.ts'
import { expertReference, routeReference } from './experts.reference.ts'
import { expertCombine, expertMatvec, ROUTE_WORDS, routeExperts } from './experts.ts'
import { toPanels } from './weightLayout.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

function routesOf(words: Uint32Array | undefined): { expert: number; weight: number }[] {
  const all = words ?? new Uint32Array()
  const weights = asFloats(words)
  return Array.from({ length: all.length / ROUTE_WORDS }, (_, i) => ({ expert: all[2 * i] ?? 0, weight: weights[2 * i + 1] ?? 0 }))
}

describe('routeExperts', () => {
  for (const [experts, used] of [
    [1, 1],
    [8, 2],
    [61, 61],
    [128, 8],
    [300, 7],
  ] as const) {
    it(`the best ${used} of ${experts}`, async () => {
      const [rows, stride] = [3, 4 * Math.ceil(experts / 4)]
      const logits = seededValues(experts, rows * stride).map((value) => 6 * value)
      const out = new Uint32Array(rows * used * ROUTE_WORDS)
      const [words] = await harness.run(routeExperts, { used }, { experts, used, stride }, { rows }, [logits, out])
      const expected = Array.from({ length: rows }, (_, row) =>
        routeReference(logits.subarray(row * stride, row * stride + experts), used),
      ).flat()
      const found = routesOf(words)
      expect(found.map(({ expert }) => expert)).toEqual(expected.map(({ expert }) => expert))
      const weights = (routes: readonly { weight: number }[]) => routes.map(({ weight }) => weight)
      expect(nmse(weights(found), weights(expected))).toBeLessThan(routeExperts.nmseMax)
    })
  }

  it('gives ties to the lower expert, and stays within the experts when a logit is NaN', async () => {
    const logits = Float32Array.of(1, 3, 3, 1, 3, 2, Number.NaN, 0, 0, 0, 0, 0)
    const out = new Uint32Array(2 * 4 * ROUTE_WORDS)
    const shape = { experts: 6, used: 4, stride: 6 }
    const [words] = await harness.run(routeExperts, { used: 4 }, shape, { rows: 2 }, [logits, out])
    const found = routesOf(words)
    expect(found.slice(0, 4).map(({ expert }) => expert)).toEqual([1, 2, 4, 5])
    expect(found.slice(4).every(({ expert }) => expert < 6)).toBe(true)
    expect(found.slice(4).some(({ weight }) => Number.isNaN(weight))).toBe(true)
  })
})

describe('expertMatvec', () => {
  const [columns, outputs, experts, used, rows] = [256, 70, 5, 2, 3]
  const routes = [4, 0, 2, 3, 1, 4]

  for (const type of tensorTypes) {
    for (const slots of [false, true]) {
      it(`${type}: the chosen experts of ${rows} rows, ${slots ? 'an input a slot' : 'one input a row'}, in two parts`, async () => {
        const bytes = seededBlocks(type, 31, experts * outputs * columns)
        const weights = dequantize(type, bytes)
        const x = seededValues(7, rows * (slots ? used : 1) * columns)
        const words = Uint32Array.from(routes.flatMap((expert) => [expert, 0]))
        const expertBytes = bytes.byteLength / experts
        const panels = (first: number, count: number) => {
          const parts = Array.from({ length: count }, (_, index) =>
            toPanels(type, bytes.subarray((first + index) * expertBytes), columns, 0, outputs),
          )
          return Uint32Array.from(parts.flatMap((part) => Array.from(part)))
        }
        let y = new Float32Array(rows * used * (outputs + 9)).fill(5)
        for (const [expertFirst, expertCount] of [
          [0, 3],
          [3, 2],
        ] as const) {
          const shape = { type, columns, outputs, yStride: outputs + 9, yOffset: 9, expertFirst, expertCount }
          const buffers = [panels(expertFirst, expertCount), words, x, y]
          const [out] = await harness.run(expertMatvec, { type, slots }, shape, { rows, used }, buffers)
          y = Float32Array.from(asFloats(out))
        }
        routes.forEach((expert, slot) => {
          const from = (slots ? slot : Math.floor(slot / used)) * columns
          const expected = expertReference(weights, expert, outputs, x.subarray(from, from + columns))
          const at = slot * (outputs + 9)
          expect(nmse(y.subarray(at + 9, at + 9 + outputs), expected)).toBeLessThan(expertMatvec.nmseMax)
          expect(y.subarray(at, at + 9).every((value) => value === 5)).toBe(true)
        })
      })
    }
  }
})

describe('expertCombine', () => {
  it('adds the weighted outputs of a row’s slots', async () => {
    const [width, used, rows] = [100, 3, 2]
    const weights = seededValues(1, rows * used)
    const routes = Uint32Array.from([...new Uint32Array(weights.buffer)].flatMap((bits) => [9, bits]))
    const x = seededValues(2, rows * used * width)
    const y = seededValues(3, rows * width)
    const [words] = await harness.run(expertCombine, undefined, { width, used }, { rows }, [routes, x, y])
    const expected = y.map((value, index) => {
      const row = Math.floor(index / width)
      let sum = 0
      for (let i = 0; i < used; i++) sum += (weights[row * used + i] ?? 0) * (x[(row * used + i) * width + (index % width)] ?? 0)
      return value + sum
    })
    expect(nmse(asFloats(words), expected)).toBeLessThan(expertCombine.nmseMax)
  })
})
