/** How rarely honest rows pass a threshold that none of them passed: what a sample says about what it does not hold. */

import { assert } from '../shared/index.ts'

export interface TailBound {
  /** 95 % of samples would have shown one if a row passed more often: 3 ÷ rows (the rule of three). Needs no assumption about the tail. */
  readonly perRowByCount: number
  /** The tail's index after Hill 1975: P(distance > x) falls as x^−index. Two standard errors below what was estimated. */
  readonly index: number
  /** How often a row passes by a tail that goes on so. */
  readonly perRowByTail: number
}

/** Share of the largest values that the tail is estimated from. */
const TAIL_SHARE = 0.02
/** Fewer say nothing. */
const TAIL_ROWS_MIN = 20

/** `distances` of independent honest rows, none above `threshold`. */
export function tailBound(distances: readonly number[], threshold: number): TailBound {
  const sorted = distances.toSorted((a, b) => b - a)
  const count = Math.max(TAIL_ROWS_MIN, Math.floor(TAIL_SHARE * sorted.length))
  const start = sorted[count] ?? 0
  const most = sorted[0] ?? 0
  assert(start > 0 && most < threshold, `a tail of ${sorted.length} distances from ${start} to ${most} under ${threshold}`)
  const estimate = count / sorted.slice(0, count).reduce((sum, value) => sum + Math.log(value / start), 0)
  const index = estimate * (1 - 2 / Math.sqrt(count))
  return { perRowByCount: 3 / sorted.length, index, perRowByTail: (count / sorted.length) * (start / threshold) ** index }
}
