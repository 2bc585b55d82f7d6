/**
 * DeviceStore: the devices of an account, each a key that is one of its identities. One that is removed has an account of its own from then on, which is
 * empty and stays linked to the one before; it is told so until its owner has taken note.
 */

import { and, asc, count, eq } from 'drizzle-orm'
import { required } from '../../shared/index.ts'
import { AccountError, checkName, type Identity } from '../accounts/index.ts'
import { lockAccounts } from './accountRows.ts'
import { accountIdentities, accountTies, pairings } from './accountSchema.ts'
import type { AccountStore, AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { familyOf } from './families.ts'

export interface Device {
  /** Its key: see Identity. */
  readonly subject: string
  /** Empty: none. */
  readonly name: string
  /** When its key came to the account. Coordinator time, as all here. */
  readonly addedAtMs: number
  /** When it connected last. */
  readonly seenAtMs: number
  /** When another device took it from the account that it had before; null: it was not, or its owner knows. */
  readonly removedAtMs: number | null
}

const KEY = 'key'

export class DeviceStore {
  readonly #queries: Queries
  readonly #accounts: Pick<AccountStore, 'createEmpty'>
  readonly #tools: AccountTools

  constructor({ queries }: Database, accounts: Pick<AccountStore, 'createEmpty'>, tools: AccountTools) {
    this.#queries = queries
    this.#accounts = accounts
    this.#tools = tools
  }

  /** Those of one account, the first that it had first. */
  async list(account: string): Promise<readonly Device[]> {
    const seen = and(
      eq(accountTies.account, accountIdentities.account),
      eq(accountTies.kind, accountIdentities.kind),
      eq(accountTies.value, accountIdentities.subject),
    )
    const rows = await this.#queries
      .select({ device: accountIdentities, seenAtMs: accountTies.seenAtMs })
      .from(accountIdentities)
      .leftJoin(accountTies, seen)
      .where(and(eq(accountIdentities.account, account), eq(accountIdentities.kind, KEY)))
      .orderBy(asc(accountIdentities.addedAtMs), asc(accountIdentities.subject))
    return rows.map(({ device: { subject, name, addedAtMs, removedAtMs }, seenAtMs }) => {
      return { subject, name, addedAtMs, seenAtMs: seenAtMs ?? addedAtMs, removedAtMs }
    })
  }

  /** `name`: empty: none. Rejects with AccountError `unknown` where the key is none of the account's, or `bad-value`. */
  async rename(account: string, subject: string, name: string): Promise<void> {
    const checked = name === '' ? null : checkName(name)
    if (checked?.ok === false) throw checked.error
    const found = await this.#queries.update(accountIdentities).set({ name }).where(own(account, subject)).returning()
    if (found.length === 0) throw noDevice(account)
  }

  /**
   * The key no longer speaks for the account: it has one of its own from now on. A pairing code that the device may know ends. Rejects with AccountError
   * `unknown` where the key is none of the account's, and `not-allowed` where it is the only one.
   */
  remove(account: string, subject: string): Promise<Identity> {
    return this.#queries.transaction(async (tx) => {
      await lockAccounts(tx, [account])
      const [device] = await tx.select().from(accountIdentities).where(own(account, subject)).for('update')
      if (device === undefined) throw noDevice(account)
      const [all] = await tx.select({ count: count() }).from(accountIdentities).where(eq(accountIdentities.account, account))
      if (required(all, 'a count').count === 1)
        throw new AccountError(
          'not-allowed',
          'the only device of an account cannot be removed, nobody would have it then; erase it instead',
        )
      const nowMs = Math.floor(this.#tools.clock.nowMs())
      const { id } = await this.#accounts.createEmpty(tx, await familyOf(tx, account))
      await tx.update(accountIdentities).set({ account: id, name: '', addedAtMs: nowMs, removedAtMs: nowMs }).where(own(account, subject))
      await tx.insert(accountTies).values({ account: id, kind: KEY, value: subject, seenAtMs: nowMs })
      await tx.delete(pairings).where(eq(pairings.account, account))
      return { kind: KEY, subject }
    })
  }

  /** The owner of a removed device has taken note. */
  async removalNoted({ kind, subject }: Identity): Promise<void> {
    const same = and(eq(accountIdentities.kind, kind), eq(accountIdentities.subject, subject))
    await this.#queries.update(accountIdentities).set({ removedAtMs: null }).where(same)
  }
}

function own(account: string, subject: string) {
  return and(eq(accountIdentities.kind, KEY), eq(accountIdentities.subject, subject), eq(accountIdentities.account, account))
}

function noDevice(account: string): AccountError {
  return new AccountError('unknown', `account ${account} has no such device, or no more; tabswarm account show ${account} lists them`)
}
