/** Cheats against audits, over a table of placeholders: what is shown is the machinery; the distances that count are the benchmark's. */

import { describe, expect, it } from 'vitest'
import { SPEED_LIES } from '../../../src/cheats/index.ts'
import { DATA_CHEATS, type DistanceTable, parseDistanceTable } from '../../../src/coordinator/verification/index.ts'
import { detect } from '../../../src/sim/detection.ts'
import { detectOften, wilsonInterval } from '../../../src/sim/detectionRuns.ts'
import { lieAboutSpeed, lieOften } from '../../../src/sim/speedLies.ts'

const REQUESTS = 50
const pairs = [
  ['class one', 'class one'],
  ['class one', 'class two'],
  ['class two', 'class two'],
] as const

/** Placeholders, not measurements: `honestMost` and `cheatLeast` on this or that side of a tolerance of 0.01. */
function placeholders(honestMost: number, cheatLeast: number, cheatMost = 1): DistanceTable {
  const table = {
    version: 1,
    source: 'placeholders of a test, measured of nothing',
    tolerance: { default: 0.01, pairs: [] },
    honest: pairs.map((classes) => ({
      classes,
      spread: [
        [0, 0],
        [1, honestMost],
      ],
    })),
    cheats: DATA_CHEATS.flatMap((cheat) =>
      pairs.map((classes) => ({
        cheat,
        classes,
        spread: [
          [0, cheatLeast],
          [1, cheatMost],
        ],
      })),
    ),
  }
  const parsed = parseDistanceTable(JSON.stringify(table))
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.value
}
const apart = placeholders(0.005, 0.05)

describe('cheats against audits', () => {
  it.each(DATA_CHEATS)('%s is found within 50 requests nearly always, and earns less than honesty', (cheat) => {
    const { detected, detectedInterval, paidToCheater, paidToHonestTwin, extraComputePercent } = detectOften(apart, cheat, 1, 60, REQUESTS)
    // Of 60 seeds; the promise of 95 % is held against 1,000 by the command.
    expect(detected).toBeGreaterThanOrEqual(0.9)
    expect(detectedInterval[0]).toBeLessThan(detected)
    expect(paidToCheater).toBeLessThan(0.2 * paidToHonestTwin)
    expect(extraComputePercent).toBeLessThan(15)
  })

  it('a replayed receipt is contradicted by both neighbors at once, and earns nothing', () => {
    const summary = detectOften(apart, 'replay-receipt', 1, 20, REQUESTS)
    expect(summary).toMatchObject({ detected: 1, requestsUntilDetectedMedian: 1, paidToCheater: 0, falsePositives: 0 })
  })

  it('honest peers inside the tolerance are never blamed, and are audited for at most 10 % more compute', () => {
    const { detected, falsePositives, extraComputePercent, paidToCheater, paidToHonestTwin } = detectOften(apart, 'none', 1, 100, REQUESTS)
    expect([detected, falsePositives]).toEqual([0, 0])
    expect(extraComputePercent).toBeGreaterThan(5)
    expect(extraComputePercent).toBeLessThanOrEqual(10)
    expect(paidToCheater / paidToHonestTwin).toBeCloseTo(1, 12)
  })

  it('what the table says counts: a cheat within the tolerance is not found, honest peers beyond it are blamed', () => {
    expect(detectOften(placeholders(0.005, 0, 0.009), 'noise', 1, 20, REQUESTS)).toMatchObject({ detected: 0, falsePositives: 0 })
    expect(detectOften(placeholders(0.02, 0.05), 'none', 1, 40, REQUESTS).falsePositives).toBeGreaterThan(0)
  })

  it('runs of one seed are the same, of another different', () => {
    const run = (seed: number) => detect({ table: apart, cheat: 'lazy', seed, requests: REQUESTS })
    expect(run(7)).toEqual(run(7))
    expect(run(7)).not.toEqual(run(8))
  })
})

describe('lies about speed', () => {
  it.each(Object.entries(SPEED_LIES))('%s, %i times as fast, earns less than an honest twin within a day', (cheat, factor) => {
    const { paidToCheater, paidToHonestTwin } = lieOften({ cheat, factor }, 1, 40, 200)
    expect(paidToCheater).toBeLessThan(paidToHonestTwin)
  })

  it('without a lie the two earn alike', () => {
    const runs = Array.from({ length: 60 }, (_, seed) => lieAboutSpeed(1, seed, 200))
    const sum = (of: (run: (typeof runs)[number]) => number) => runs.reduce((total, run) => total + of(run), 0)
    const ratio = sum(({ paidToCheater }) => paidToCheater) / sum(({ paidToTwin }) => paidToTwin)
    expect(Math.abs(ratio - 1)).toBeLessThan(0.1)
  })
})

describe('wilsonInterval', () => {
  it('holds known values, and stays within 0 … 1', () => {
    // 15 of 20 in Brown, Cai and DasGupta's form: 0.531 … 0.888.
    const [from, to] = wilsonInterval(15, 20)
    expect([from.toFixed(3), to.toFixed(3)]).toEqual(['0.531', '0.888'])
    expect(wilsonInterval(0, 10)[0]).toBe(0)
    expect(wilsonInterval(10, 10)[1]).toBeCloseTo(1, 12)
  })
})
