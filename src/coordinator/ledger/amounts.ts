/**
 * Amounts: whole micro-credits as bigint. Every division of an amount is here, so that what is rounded is rounded in one of two ways: up, or to
 * parts that add up. How people read and write them: shared's credits.ts.
 */

import { assert } from '../../shared/index.ts'

/** The most that may be outstanding, and so the most of any balance: 10¹² credits, a ninth of what Postgres' bigint holds. */
export const AMOUNT_MAX = 10n ** 18n

/** ⌈numerator / denominator⌉ of numbers that are not negative. */
export function divideUp(numerator: bigint, denominator: bigint): bigint {
  assert(numerator >= 0n && denominator > 0n, `${numerator} / ${denominator}`)
  return (numerator + denominator - 1n) / denominator
}

/**
 * `total` in parts proportional to `weights`, each less than one micro-credit off, together exactly `total`: what rounding down leaves
 * over goes to the largest remainders, ties to the earlier. No weight may be negative, and not all 0.
 */
export function largestRemainder(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n)
  assert(total >= 0n && sum > 0n && weights.every((weight) => weight >= 0n), `${total} in parts of ${weights.join(', ')}`)
  const parts = weights.map((weight) => (total * weight) / sum)
  let left = total - parts.reduce((a, b) => a + b, 0n)
  const byRemainder = weights
    .map((weight, index) => ({ index, remainder: (total * weight) % sum }))
    .sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1))
  for (const { index } of byRemainder) {
    if (left === 0n) break
    parts[index] = (parts[index] ?? 0n) + 1n
    left--
  }
  return parts
}
