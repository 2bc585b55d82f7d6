/**
 * Starter grants: credits for newcomers out of the operator's pool of the day. They buy an answer before anything was earned, and nothing else: they
 * are spent first, end after 30 days, and what is earned from them cannot be transferred (the ledger's purses see to that).
 */

import { err, ok, type Result } from '../../shared/index.ts'
import { AccountError } from './errors.ts'

export interface StarterPolicy {
  /** Micro-credits of each newcomer's grant. */
  readonly amount: bigint
  /** Micro-credits of all starter grants of one day (UTC); 0: there are none. */
  readonly poolADay: bigint
  /** Grants to one address block within GRANT_DAYS; null: as many as there are, as in `demo`. */
  readonly grantsABlock: number | null
}

/** Until what was not spent goes back to issuance; also how long a block's grants count. */
export const GRANT_DAYS = 30

/** Ten credits are some 70,000 tokens of the default model. */
export const DEFAULT_STARTER_POLICY: StarterPolicy = { amount: 10_000_000n, poolADay: 1_000_000_000n, grantsABlock: 3 }

/** For a swarm of one machine whose credits are gone with it: nobody there is to run out of them. */
export const DEMO_STARTER_POLICY: StarterPolicy = { amount: 1_000_000_000n, poolADay: 1_000_000_000_000_000n, grantsABlock: null }

export interface StarterState {
  /** Micro-credits of today's grants so far. */
  readonly issuedToday: bigint
  /** Grants of the last GRANT_DAYS to the newcomer's block; null: it has none, as on loopback. */
  readonly inBlock: number | null
}

/** The grant of an account that has had none, in micro-credits, or why there is none now. */
export function decideStarterGrant(policy: StarterPolicy, { issuedToday, inBlock }: StarterState): Result<bigint, AccountError> {
  const { amount, poolADay, grantsABlock } = policy
  if (amount <= 0n || issuedToday + amount > poolADay)
    return err(
      new AccountError('no-grant', 'today’s starter grants are given away; come back tomorrow (UTC), or earn credits by computing'),
    )
  if (grantsABlock !== null && inBlock !== null && inBlock >= grantsABlock)
    return err(
      new AccountError(
        'no-grant',
        `your network has had ${inBlock} starter grants in ${GRANT_DAYS} days; earn credits by computing instead`,
      ),
    )
  return ok(amount)
}
