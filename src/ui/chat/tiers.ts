/** Tiers in words: what they cost, and whose turn comes first where others wait. */

import type { Tier } from '../../shared/index.ts'

export const TIER_NAMES: Readonly<Record<Tier, string>> = { spot: 'Spot', standard: 'Standard', priority: 'Priority' }

/** Behind a price; the usual one needs no words. */
export const TIER_PLACES: Readonly<Record<Tier, string>> = { spot: ', last in line', standard: '', priority: ', first in line' }

/** Micro-credits, rounded up. `factor`: times the standard price. */
export function atTier(price: bigint, factor: number): bigint {
  return (price * BigInt(Math.round(factor * 1_000)) + 999n) / 1_000n
}

export function tierLabel(tier: Tier, factor: number | undefined): string {
  return `${TIER_NAMES[tier]}${factor === undefined || factor === 1 ? '' : `, ${factor} × the price`}${TIER_PLACES[tier]}`
}
