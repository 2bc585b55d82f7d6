/**
 * PairingStore: devices that join another account. The device's key becomes an identity of it; the account that it leaves behind, if nobody else signs in to
 * it, hands over its API keys, its memberships and its earned credits, also those that are paid out later. Grants cannot be handed over.
 */

import { and, count, eq, isNull, lte, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import { DEVICES_MAX, required, type Sha256 } from '../../shared/index.ts'
import {
  AccountError,
  badPairing,
  blockName,
  CODES_A_MINUTE,
  type Identity,
  PAIRING_LIFE_MS,
  parseCode,
  RateLimits,
} from '../accounts/index.ts'
import { EARNED, LedgerError } from '../ledger/index.ts'
import { findAccount, lockAccounts } from './accountRows.ts'
import { accountIdentities, accounts, accountTies, apiKeys, invitations, pairings, teamMembers } from './accountSchema.ts'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { familyOf, joinFamily } from './families.ts'
import type { LedgerStore } from './ledgerStore.ts'
import { ledgerBalances } from './schema.ts'
import { sha256 } from './sha256.ts'
import { isRightCode, keepNewCode, type ShownCode } from './shortCodes.ts'

export class PairingStore {
  readonly #queries: Queries
  readonly #ledger: Pick<LedgerStore, 'post'>
  readonly #tools: AccountTools & { readonly sha256: Sha256 }
  readonly #rates = new RateLimits()

  constructor({ queries }: Database, ledger: Pick<LedgerStore, 'post'>, tools: AccountTools) {
    this.#queries = queries
    this.#ledger = ledger
    this.#tools = { ...tools, sha256 }
  }

  /** A code for another device; the account's code before ends. Rejects with AccountError `unknown` or `too-many-requests`. */
  async create(account: string): Promise<ShownCode> {
    const nowMs = this.#nowMs()
    this.#limit(`account ${account}`)
    return this.#queries.transaction(async (tx) => {
      await findAccount(tx, account)
      await tx.delete(pairings).where(eq(pairings.account, account))
      await tx.delete(pairings).where(lte(pairings.expiresAtMs, nowMs))
      return keepNewCode(this.#tools, nowMs + PAIRING_LIFE_MS, async (code) => {
        const added = await tx
          .insert(pairings)
          .values({ ...code, account })
          .onConflictDoNothing()
          .returning({ handle: pairings.handle })
        return added.length > 0
      })
    })
  }

  /**
   * The account that a device joins by a code, once its key is proven. `address`: an IP address; null: none that counts. Rejects with AccountError
   * `bad-code` or `too-many-requests`.
   */
  async join(typed: string, identity: Identity, address: string | null): Promise<string> {
    this.#limit(`block ${blockName(address)}`)
    const parsed = parseCode(typed)
    if (parsed === null) throw badPairing()
    // A wrong try must be counted, so it does not break off the transaction.
    const joined = await this.#queries.transaction(async (tx) => {
      const mine = eq(pairings.handle, parsed.handle)
      const [pairing] = await tx.select().from(pairings).where(mine).for('update')
      const now = { sha256: this.#tools.sha256, nowMs: this.#nowMs() }
      const isRight = await isRightCode(pairing, parsed.code, now, (attempts) => tx.update(pairings).set({ attempts }).where(mine))
      if (!isRight || pairing === undefined) return null
      await tx.delete(pairings).where(mine)
      await this.#move(tx, identity, pairing.account)
      return pairing.account
    })
    if (joined === null) throw badPairing()
    // The device has joined, whatever becomes of this: what is left is tried again every day.
    await this.forward().catch(() => undefined)
    return joined
  }

  /**
   * Transfers earned credits of accounts that were left to those that their devices joined: at each joining, and once a day for what was paid out of escrow
   * since.
   */
  async forward(): Promise<void> {
    const successors = alias(accounts, 'successors')
    const left = await this.#queries
      .select({ from: accounts.id, to: successors.id, amount: ledgerBalances.amount })
      .from(accounts)
      .innerJoin(successors, and(eq(successors.id, accounts.successor), isNull(successors.erasedAtMs)))
      .innerJoin(
        ledgerBalances,
        and(eq(ledgerBalances.owner, accounts.id), eq(ledgerBalances.kind, 'user'), eq(ledgerBalances.purse, EARNED)),
      )
    for (const { from, to, amount } of left)
      await this.#ledger
        .post({ kind: 'transfer', reference: `forward-${from}-${this.#nowMs()}`, from, to, amount })
        // Another coordinator was first, or is at it in this millisecond.
        .catch((error: unknown) => (error instanceof LedgerError ? null : Promise.reject(error)))
  }

  async #move(tx: Queries, { kind, subject }: Identity, account: string): Promise<void> {
    const nowMs = this.#nowMs()
    const same = and(eq(accountIdentities.kind, kind), eq(accountIdentities.subject, subject))
    const [before] = await tx.select().from(accountIdentities).where(same).for('update')
    if (before?.account === account) return
    await lockAccounts(tx, [account])
    const [devices] = await tx.select({ count: count() }).from(accountIdentities).where(eq(accountIdentities.account, account))
    if (required(devices, 'a count').count >= DEVICES_MAX)
      throw new AccountError('bad-value', `an account has at most ${DEVICES_MAX} devices; remove one of them there`)
    const now = { account, addedAtMs: nowMs, removedAtMs: null }
    // What hangs on the identity, as its key's locked copy does, moves with it.
    if (before === undefined) await tx.insert(accountIdentities).values({ kind, subject, ...now })
    else await tx.update(accountIdentities).set(now).where(same)
    await tx.insert(accountTies).values({ account, kind, value: subject, seenAtMs: nowMs }).onConflictDoNothing()
    if (before === undefined) return
    await joinFamily(tx, before.account, await familyOf(tx, account))
    const others = await tx.select().from(accountIdentities).where(eq(accountIdentities.account, before.account)).limit(1)
    if (others.length > 0) return
    await tx.update(accounts).set({ successor: account }).where(eq(accounts.id, before.account))
    await tx.update(apiKeys).set({ account }).where(eq(apiKeys.account, before.account))
    await tx.update(invitations).set({ inviter: account }).where(eq(invitations.inviter, before.account))
    await tx.execute(
      sql`insert into ${teamMembers} (team, account, is_owner) select team, ${account}::text, is_owner from ${teamMembers} where account = ${before.account}
        on conflict (team, account) do update set is_owner = team_members.is_owner or excluded.is_owner`,
    )
    await tx.delete(teamMembers).where(eq(teamMembers.account, before.account))
  }

  #limit(who: string): void {
    const taken = this.#rates.take(who, CODES_A_MINUTE, this.#nowMs())
    if (!taken.ok) throw taken.error
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}
