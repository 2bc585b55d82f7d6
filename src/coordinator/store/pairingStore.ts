/**
 * PairingStore: devices that join another account. The device's key becomes an identity of it; the account that it leaves behind, if nobody else signs in to
 * it, hands over its API keys, its memberships and its earned credits, also those that are paid out later. Grants cannot be handed over.
 */

import { and, eq, isNull, lte, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { Sha256 } from '../../shared/index.ts'
import {
  AccountError,
  badCode,
  blockName,
  type Identity,
  newPairing,
  PAIRINGS_A_MINUTE,
  parsePairingCode,
  RateLimits,
  tryPairing,
} from '../accounts/index.ts'
import { EARNED, LedgerError } from '../ledger/index.ts'
import { accountIdentities, accounts, accountTies, apiKeys, pairings, teamMembers } from './accountSchema.ts'
import { type AccountTools, findAccount } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import type { LedgerStore } from './ledgerStore.ts'
import { ledgerBalances } from './schema.ts'
import { sha256 } from './sha256.ts'

export interface ShownCode {
  /** `K7QF-2M9X-TB4C` */
  readonly text: string
  /** Coordinator time. */
  readonly expiresAtMs: number
}

/** Codes that are alive have handles of their own: of a million, some are taken. */
const HANDLE_TRIES = 5

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
      for (let left = HANDLE_TRIES; left > 0; left--) {
        const { text, ...pairing } = await newPairing(this.#tools.randomBytes, this.#tools.sha256, nowMs)
        const added = await tx
          .insert(pairings)
          .values({ ...pairing, account })
          .onConflictDoNothing()
          .returning({ handle: pairings.handle })
        if (added.length > 0) return { text, expiresAtMs: pairing.expiresAtMs }
      }
      throw new AccountError('too-many-requests', 'too many devices are being paired just now; try again in a minute')
    })
  }

  /**
   * The account that a device joins by a code, once its key is proven. `address`: an IP address; null: none that counts. Rejects with AccountError
   * `bad-code` or `too-many-requests`.
   */
  async join(typed: string, identity: Identity, address: string | null): Promise<string> {
    this.#limit(`block ${blockName(address)}`)
    const parsed = parsePairingCode(typed)
    if (parsed === null) throw badCode()
    // A wrong try must be counted, so it does not break off the transaction.
    const joined = await this.#queries.transaction(async (tx) => {
      const [pairing] = await tx.select().from(pairings).where(eq(pairings.handle, parsed.handle)).for('update')
      if (pairing === undefined) return null
      const outcome = await tryPairing(pairing, parsed.code, this.#tools.sha256, this.#nowMs())
      const own = eq(pairings.handle, pairing.handle)
      if (outcome === 'right') {
        await tx.delete(pairings).where(own)
        await this.#move(tx, identity, pairing.account)
        return pairing.account
      }
      if (outcome !== 'ended') await tx.update(pairings).set({ attempts: outcome.attempts }).where(own)
      return null
    })
    if (joined === null) throw badCode()
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
    const now = { account, addedAtMs: nowMs }
    // What hangs on the identity, as its key's locked copy does, moves with it.
    if (before === undefined) await tx.insert(accountIdentities).values({ kind, subject, ...now })
    else await tx.update(accountIdentities).set(now).where(same)
    await tx.insert(accountTies).values({ account, kind, value: subject, seenAtMs: nowMs }).onConflictDoNothing()
    if (before === undefined) return
    const others = await tx.select().from(accountIdentities).where(eq(accountIdentities.account, before.account)).limit(1)
    if (others.length > 0) return
    await tx.update(accounts).set({ successor: account }).where(eq(accounts.id, before.account))
    await tx.update(apiKeys).set({ account }).where(eq(apiKeys.account, before.account))
    await tx.execute(
      sql`insert into ${teamMembers} select team, ${account}::text from ${teamMembers} where account = ${before.account} on conflict do nothing`,
    )
    await tx.delete(teamMembers).where(eq(teamMembers.account, before.account))
  }

  #limit(who: string): void {
    const taken = this.#rates.take(who, PAIRINGS_A_MINUTE, this.#nowMs())
    if (!taken.ok) throw taken.error
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}
