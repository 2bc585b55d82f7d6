/** Many seeds of one cheat: how surely and how soon it is found, what that costs, and what it earned beside its honest twin. */

import type { DistanceTable } from '../coordinator/verification/index.ts'
import { type Cheat, detect } from './detection.ts'

export interface DetectionSummary {
  readonly cheat: Cheat
  readonly seeds: number
  readonly requests: number
  /** Share of seeds that found it within `requests`, with the interval that holds the truth 19 times of 20 (Wilson). */
  readonly detected: number
  readonly detectedInterval: readonly [number, number]
  /** Of those that found it. */
  readonly requestsUntilDetectedMedian: number | null
  readonly audits: number
  /** Work of auditors, percent of that of the sessions. */
  readonly extraComputePercent: number
  /** Rows × layers, mean over the seeds. */
  readonly paidToCheater: number
  readonly paidToHonestTwin: number
  /** Failures laid to honest peers, of all seeds together. */
  readonly falsePositives: number
}

export function detectOften(table: DistanceTable, cheat: Cheat, firstSeed: number, seeds: number, requests: number): DetectionSummary {
  const runs = Array.from({ length: seeds }, (_, index) => detect({ table, cheat, seed: firstSeed + index, requests }))
  const sum = (of: (run: (typeof runs)[number]) => number) => runs.reduce((total, run) => total + of(run), 0)
  const found = runs.flatMap(({ detectedAt }) => detectedAt ?? []).sort((a, b) => a - b)
  return {
    cheat,
    seeds,
    requests,
    detected: found.length / seeds,
    detectedInterval: wilsonInterval(found.length, seeds),
    requestsUntilDetectedMedian: found[Math.floor(found.length / 2)] ?? null,
    audits: sum(({ audits }) => audits),
    extraComputePercent: (100 * sum(({ auditWork }) => auditWork)) / sum(({ sessionWork }) => sessionWork),
    paidToCheater: Math.round(sum(({ paidToCheater }) => paidToCheater) / seeds),
    paidToHonestTwin: Math.round(sum(({ paidToTwin }) => paidToTwin) / seeds),
    falsePositives: sum(({ falsePositives }) => falsePositives),
  }
}

/** Of a share of `hits` in `count`, 95 %: Wilson 1927, as in Brown, Cai and DasGupta 2001. */
export function wilsonInterval(hits: number, count: number): [number, number] {
  const z = 1.959964
  const share = hits / count
  const middle = share + z ** 2 / (2 * count)
  const half = z * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2))
  const whole = 1 + z ** 2 / count
  return [Math.max(0, (middle - half) / whole), Math.min(1, (middle + half) / whole)]
}
