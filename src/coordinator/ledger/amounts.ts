/**
 * Amounts: whole micro-credits as bigint. A million micro-credits are a credit, the work of 10¹² multiply-accumulates. Every division
 * of an amount is here, so that what is rounded is rounded in one of two ways: up, or to parts that add up.
 */

import { assert } from '../../shared/index.ts'

/** Micro-credits of one credit. */
export const CREDIT = 1_000_000n
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

/** Credits as exact decimals: `-12.5`. */
export function formatCredits(amount: bigint): string {
  const magnitude = amount < 0n ? -amount : amount
  const fraction = String(magnitude % CREDIT)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${amount < 0n ? '-' : ''}${magnitude / CREDIT}${fraction === '' ? '' : `.${fraction}`}`
}

/** Micro-credits of a positive decimal number of credits with at most six places; null for any other text. */
export function parseCredits(text: string): bigint | null {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text)
  if (match === null) return null
  const amount = BigInt(match[1] ?? '') * CREDIT + BigInt((match[2] ?? '').padEnd(6, '0'))
  return amount > 0n ? amount : null
}
