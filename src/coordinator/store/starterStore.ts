/**
 * StarterStore: starter grants on a database. A grant is decided and written down in one transaction, then posted to the ledger under an id made of
 * the account: whatever breaks between the two, the next contact posts what was decided, once.
 */

import { and, count, eq, gt, like, sql } from 'drizzle-orm'
import { required } from '../../shared/index.ts'
import { addressBlock, DEFAULT_STARTER_POLICY, decideStarterGrant, GRANT_DAYS, type StarterPolicy } from '../accounts/index.ts'
import { dayOf, grantedUntil } from '../ledger/index.ts'
import { findAccount } from './accountRows.ts'
import { starterGrants, starterPools } from './accountSchema.ts'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import type { LedgerStore } from './ledgerStore.ts'
import { ledgerBalances } from './schema.ts'

export interface StarterGrant {
  /** Micro-credits. */
  readonly amount: bigint
  /** The last day (UTC) on which it can be spent. */
  readonly lastDay: string
}

const DAY_MS = 86_400_000
/** Two batches of the ledger: others get their turn between them. */
const EXPIRE_AT_ONCE = 512

export class StarterStore {
  readonly #queries: Queries
  readonly #ledger: Pick<LedgerStore, 'post'>
  readonly #clock: AccountTools['clock']

  constructor({ queries }: Database, ledger: Pick<LedgerStore, 'post'>, { clock }: Pick<AccountTools, 'clock'>) {
    this.#queries = queries
    this.#ledger = ledger
    this.#clock = clock
  }

  /**
   * The account's one starter grant, made now or before. `address`: an IP address; null: it counts for nothing. Rejects with AccountError `no-grant`
   * or `unknown`.
   */
  async grant(account: string, address: string | null, policy: StarterPolicy = DEFAULT_STARTER_POLICY): Promise<StarterGrant> {
    const { amount, lastDay, isPosted } = await this.#decide(account, address, policy)
    if (!isPosted) {
      const purse = grantedUntil(lastDay)
      await this.#ledger.post({ kind: 'issue', reference: `starter-${account}`, account, purse, amount, note: 'starter grant' })
      await this.#queries.update(starterGrants).set({ isPosted: true }).where(eq(starterGrants.account, account))
    }
    return { amount, lastDay }
  }

  /** Micro-credits of today's grants (UTC) so far. */
  async issuedToday(): Promise<bigint> {
    const [pool] = await this.#queries
      .select()
      .from(starterPools)
      .where(eq(starterPools.day, dayOf(this.#clock.nowMs())))
    return pool?.issued ?? 0n
  }

  /** Posts what was not spent of grants that have ended back to issuance; returns of how many accounts. To be called once a day. */
  async expire(): Promise<number> {
    const day = dayOf(this.#clock.nowMs())
    const { owner, purse, kind } = ledgerBalances
    const ended = and(eq(kind, 'user'), like(purse, 'granted/%'), sql`${purse} < ${grantedUntil(day)}`)
    const owners = await this.#queries.selectDistinct({ owner }).from(ledgerBalances).where(ended)
    for (let at = 0; at < owners.length; at += EXPIRE_AT_ONCE)
      await Promise.all(
        owners.slice(at, at + EXPIRE_AT_ONCE).map(({ owner }) => this.#ledger.post({ kind: 'expire', account: owner, day })),
      )
    return owners.length
  }

  #decide(account: string, address: string | null, policy: StarterPolicy): Promise<typeof starterGrants.$inferSelect> {
    return this.#queries.transaction(async (tx) => {
      const nowMs = Math.floor(this.#clock.nowMs())
      const day = dayOf(nowMs)
      await tx.insert(starterPools).values({ day, issued: 0n }).onConflictDoNothing()
      // Whoever grants on this day waits here: neither the pool nor a block is counted by two at once.
      const [pool] = await tx.select().from(starterPools).where(eq(starterPools.day, day)).for('update')
      const { issued } = required(pool, 'the pool of today')
      const [before] = await tx.select().from(starterGrants).where(eq(starterGrants.account, account))
      if (before !== undefined) return before
      await findAccount(tx, account)
      const block = address === null ? null : (addressBlock(address)?.text ?? null)
      const inBlock = block === null ? null : await grantsTo(tx, block, nowMs - GRANT_DAYS * DAY_MS)
      const decided = decideStarterGrant(policy, { issuedToday: issued, inBlock })
      if (!decided.ok) throw decided.error
      const amount = decided.value
      const lastDay = dayOf(nowMs + GRANT_DAYS * DAY_MS)
      const grant = { account, block, amount, lastDay, grantedAtMs: nowMs, isPosted: false }
      await tx.insert(starterGrants).values(grant)
      await tx
        .update(starterPools)
        .set({ issued: issued + amount })
        .where(eq(starterPools.day, day))
      return grant
    })
  }
}

async function grantsTo(tx: Queries, block: string, sinceMs: number): Promise<number> {
  const inBlock = and(eq(starterGrants.block, block), gt(starterGrants.grantedAtMs, sinceMs))
  const [found] = await tx.select({ count: count() }).from(starterGrants).where(inBlock)
  return found?.count ?? 0
}
