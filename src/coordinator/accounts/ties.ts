/**
 * Ties: what two accounts have in common that makes them one party rather than two. Linked accounts earn neither trust nor the release of
 * escrow from each other's sessions, and do not audit each other.
 */

/** What is known of one account that it may share with others. */
export interface AccountTies {
  readonly account: string
  /** Public keys that are its identities, or were: a device that joined another account links the two. */
  readonly keys: readonly string[]
  /** Teams whose member it is, or whose balance it holds. */
  readonly teams: readonly string[]
  /** The first of those who invited each other up to it; itself where nobody did, or the operator. */
  readonly family: string
  /** Public address blocks that it came from in the last TIE_DAYS days. */
  readonly blocks: readonly string[]
}

/** Days for which an address block ties. */
export const TIE_DAYS = 30
/** Blocks of one account that tie: a phone that travels has many, and one that has more is no household. */
export const BLOCKS_MAX = 32

/**
 * Whether `a` and `b` count as one party: they are one account, or share a key, a team, a family of invitations, or an address block. The whole
 * family counts, since a chain of invitations would otherwise have ends that are strangers; blocks and teams do not reach on to
 * a third account, since one café or one company would otherwise link half the world.
 */
export function areLinked(a: AccountTies, b: AccountTies): boolean {
  if (a.account === b.account || a.family === b.family) return true
  return meet(a.keys, b.keys) || meet(a.teams, b.teams) || meet(a.blocks, b.blocks)
}

function meet(some: readonly string[], others: readonly string[]): boolean {
  return some.some((value) => others.includes(value))
}
