/**
 * RecoveryStore: locked copies of account keys, one an identity, each under a name that only the words of its recovery phrase give. Nobody here can
 * open one. A copy goes with its identity: to another account, and when it is erased.
 */

import { and, eq } from 'drizzle-orm'
import {
  AccountError,
  blockName,
  COPY_TRIES_A_MINUTE,
  type Identity,
  type KeptCopy,
  type LockedKey,
  RateLimits,
} from '../accounts/index.ts'
import { accountIdentities, recoveryCopies } from './accountSchema.ts'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'

export class RecoveryStore {
  readonly #queries: Queries
  readonly #tools: AccountTools
  readonly #rates = new RateLimits()

  constructor({ queries }: Database, tools: AccountTools) {
    this.#queries = queries
    this.#tools = tools
  }

  /**
   * Keeps the copy of an identity that was proven now, in place of one before. Rejects with AccountError `unknown` where the identity is nobody's,
   * `bad-value` where the name is another copy's.
   */
  keep({ kind, subject }: Identity, { lookup, iv, wrapped }: LockedKey): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      const mine = and(eq(accountIdentities.kind, kind), eq(accountIdentities.subject, subject))
      const known = await tx.select().from(accountIdentities).where(mine).for('share')
      if (known.length === 0) throw new AccountError('unknown', 'no account has this key; reload the page')
      const [before] = await tx.select().from(recoveryCopies).where(eq(recoveryCopies.lookup, lookup))
      if (before !== undefined && (before.kind !== kind || before.subject !== subject))
        throw new AccountError('bad-value', 'another key’s copy is kept under this name')
      // Each connection says it again.
      if (before?.iv === iv && before.wrapped === wrapped) return
      const row = { lookup, iv, wrapped, keptAtMs: Math.floor(this.#tools.clock.nowMs()) }
      await tx
        .insert(recoveryCopies)
        .values({ kind, subject, ...row })
        .onConflictDoUpdate({ target: [recoveryCopies.kind, recoveryCopies.subject], set: row })
    })
  }

  /**
   * The copy under a name. `address`: an IP address; null: none that counts. Rejects with AccountError `unknown-phrase` or
   * `too-many-requests`.
   */
  async find(lookup: string, address: string | null): Promise<Omit<KeptCopy, 'keptAtMs'>> {
    const taken = this.#rates.take(blockName(address), COPY_TRIES_A_MINUTE, this.#tools.clock.nowMs())
    if (!taken.ok) throw taken.error
    const [copy] = await this.#queries.select().from(recoveryCopies).where(eq(recoveryCopies.lookup, lookup))
    if (copy === undefined)
      throw new AccountError(
        'unknown-phrase',
        'no account is kept here under this recovery phrase: check that it is this coordinator’s, or whether the account was erased',
      )
    return copyOf(copy)
  }

  /** Those of one account's identities. */
  async list(account: string): Promise<readonly KeptCopy[]> {
    const rows = await this.#queries
      .select({ copy: recoveryCopies })
      .from(recoveryCopies)
      .innerJoin(
        accountIdentities,
        and(eq(accountIdentities.kind, recoveryCopies.kind), eq(accountIdentities.subject, recoveryCopies.subject)),
      )
      .where(eq(accountIdentities.account, account))
    return rows.map(({ copy }) => ({ ...copyOf(copy), keptAtMs: copy.keptAtMs }))
  }
}

function copyOf({ lookup, subject, iv, wrapped }: typeof recoveryCopies.$inferSelect): Omit<KeptCopy, 'keptAtMs'> {
  return { lookup, subject, iv, wrapped }
}
