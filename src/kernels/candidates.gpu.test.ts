/** candidates against a full sort: any k, many ties, both zeros, one row among several; NaN and infinity raise the flag. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KernelHarness, seededValues } from '../../test/support/kernelHarness.ts'
import { candidatesReference } from './candidates.reference.ts'
import { candidates, candidatesWords, readCandidates, readNamed } from './candidates.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

async function run(logits: Float32Array, topK: number, ioWord = 0, ids: readonly number[] = []) {
  const vocabulary = logits.length
  const stride = 4 * Math.ceil(vocabulary / 4)
  // Row 1 of 2; row 0 would win everywhere.
  const rows = new Float32Array(2 * stride).fill(1e9, 0, stride)
  rows.set(logits, stride)
  const output = new Uint32Array(ioWord + candidatesWords(topK, ids.length))
  const work = { rowFirst: 1, ioWord, topK, selected: ids, named: ids.length }
  const written = await harness.run(candidates, undefined, { vocabulary, stride }, undefined, [rows, output, new Uint32Array(4)], { work })
  const words = (written[0] ?? new Uint32Array()).subarray(ioWord)
  return {
    found: readCandidates(words, topK),
    named: [...readNamed(words, topK)],
    before: (written[0] ?? new Uint32Array()).subarray(0, ioWord),
    flag: written[1]?.[0],
  }
}

describe('candidates', () => {
  for (const [vocabulary, topK] of [
    [1, 1],
    [10, 10],
    [63, 5],
    [1000, 256],
    [4099, 128],
  ] as const) {
    it(`the ${topK} best of ${vocabulary}`, async () => {
      const logits = seededValues(vocabulary, vocabulary).map((value) => value * 20)
      const { found, flag } = await run(logits, topK)
      const expected = candidatesReference(logits, topK)
      expect(Array.from(found.ids)).toEqual(expected.ids)
      expect(Array.from(found.logits)).toEqual(expected.ids.map((id) => logits[id]))
      expect(Math.abs(found.logSumExp - expected.logSumExp)).toBeLessThan(2e-6 * Math.max(1, Math.abs(expected.logSumExp)))
      expect(flag).toBe(0)
    })
  }

  it('gives ties to the lowest ids, also across the k-th place; both zeros are one', async () => {
    const logits = Float32Array.from({ length: 300 }, (_, id) => (id % 3 === 0 ? 1 : id % 2 === 0 ? -0 : 0))
    const { found } = await run(logits, 120)
    expect(Array.from(found.ids)).toEqual(candidatesReference(logits, 120).ids)
    expect(Array.from((await run(new Float32Array(200).fill(-3), 7)).found.ids)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  it('gives the logits of up to eight named tokens, also twice', async () => {
    const logits = seededValues(5, 1_003)
    for (const ids of [[1_002], [0, 4, 5, 3, 999, 1_002, 7, 7]]) {
      const { found, named } = await run(logits, 16, 3, ids)
      expect(named).toEqual(ids.map((id) => logits[id]))
      expect(Array.from(found.ids)).toEqual(candidatesReference(logits, 16).ids)
    }
    expect((await run(logits, 16)).named).toEqual([])
  })

  it('writes behind the given word only', async () => {
    const { found, before } = await run(Float32Array.of(1, 3, 2), 2, 9)
    expect(Array.from(found.ids)).toEqual([1, 2])
    expect(before.every((word) => word === 0)).toBe(true)
  })

  it('raises the flag for NaN and for infinity', async () => {
    expect((await run(Float32Array.of(1, Number.NaN, 2), 1)).flag).toBe(1)
    expect((await run(Float32Array.of(1, Number.NEGATIVE_INFINITY, 2), 1)).flag).toBe(1)
  })
})
