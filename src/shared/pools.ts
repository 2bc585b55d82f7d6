/** Pools: whose tabs may compute an answer. */

/**
 * The widest first. `public`: anybody's. `trusted`: of accounts whose work audits have found right often enough. `mine`: of the account that asks, which pays
 * nothing.
 */
export const POOLS = ['public', 'trusted', 'mine'] as const
export type Pool = (typeof POOLS)[number]
