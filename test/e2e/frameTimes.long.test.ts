/**
 * How long frames are under way at 20 ms each way, as one message, in slices, over lanes: prints the table of docs/benchmarks/wire-5.md.
 * What is asserted is that they arrive. Alone: TABSWARM_LONG=1 npx vitest run --project e2e test/e2e/frameTimes.long.test.ts
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LinkPages, openLinkPages } from './linkPages.ts'

const ONE_WAY_MS = 20
const SIZES = [1_000, 4_000, 10_000, 20_000, 40_000, 100_000, 200_000]
const ROUNDS = 11
const FORMS = ['message', 'slices', 'lanes'] as const

let pages: LinkPages
beforeAll(async () => {
  pages = await openLinkPages()
})
afterAll(() => pages?.close())

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

describe('frames between two peers at 20 ms', () => {
  it.each([150, 0])('[F18] arrive whole in every form, %i ms after the answer to the one before', async (gapMs) => {
    const rows = SIZES.map((bytes): Record<string, number> => ({ bytes }))
    for (const form of FORMS) {
      const page = await pages.openPage(ONE_WAY_MS / 2)
      const measured = await page.evaluate(
        ([name, server, sizes, rounds, gap]) => globalThis.linkTest?.measure(name, server, sizes, rounds, gap),
        [form, pages.signalling, SIZES, ROUNDS, gapMs] as const,
      )
      expect(measured?.map((times) => times.length)).toEqual(SIZES.map(() => ROUNDS))
      measured?.forEach((times, index) => {
        Object.assign(rows[index] ?? {}, { [`${form}, ms`]: Math.round(median(times) - ONE_WAY_MS) })
      })
      await page.context().close()
    }
    console.table(rows)
    expect(pages.foreign).toEqual([])
  })
})
