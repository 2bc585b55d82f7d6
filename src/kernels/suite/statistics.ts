/** Medians, quartiles and paired ratios of measured times. */

import { assert } from '../../shared/index.ts'
import type { Quartiles } from './types.ts'

/** The value below which a part `p` (0 to 1) of the values lies, between neighbors linearly. */
export function quantile(values: readonly number[], p: number): number {
  assert(values.length > 0 && p >= 0 && p <= 1, `quantile ${p} of ${values.length} values`)
  const sorted = values.toSorted((a, b) => a - b)
  const at = p * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quartiles(values: readonly number[]): Quartiles {
  return [quantile(values, 0.25), quantile(values, 0.75)]
}

/** Of each pair theirs / ours, so that what slows the whole machine for a while slows both sides of a pair. */
export function pairedRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  assert(ours.length === theirs.length, `${ours.length} and ${theirs.length} samples are no pairs`)
  return ours.map((value, index) => (theirs[index] ?? Number.NaN) / value)
}

/** Σ(actual − expected)² / Σ expected². NaN anywhere is NaN, which no bound admits; all zeros expected and met is 0. */
export function normalizedError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert(actual.length === expected.length, `${actual.length} values against ${expected.length}`)
  let error = 0
  let power = 0
  for (let index = 0; index < expected.length; index++) {
    const value = expected[index] ?? Number.NaN
    error += ((actual[index] ?? Number.NaN) - value) ** 2
    power += value ** 2
  }
  return error === 0 ? 0 : error / power
}
