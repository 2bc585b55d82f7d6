/** Tiers: what a requester may choose between price and place in the queue. */

/** The later, the dearer, and the sooner its turn. */
export const TIERS = ['spot', 'standard', 'priority'] as const
export type Tier = (typeof TIERS)[number]

/** Of who does not choose. */
export const TIER_DEFAULT: Tier = 'standard'
