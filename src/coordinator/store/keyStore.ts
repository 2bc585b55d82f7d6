/** KeyStore: API keys on a database, and what sessions cost their budgets. A session counts once, whoever repeats it. */

import { and, asc, count, eq, gte, isNull, sql } from 'drizzle-orm'
import { API_KEYS_MAX, formatCredits, type Pool, required, type Sha256 } from '../../shared/index.ts'
import {
  AccountError,
  type ApiKey,
  apiKeyId,
  checkName,
  checkRequest,
  checkScope,
  isApiKey,
  type KeyRequest,
  type KeyScope,
  newApiKey,
  RateLimits,
  USE_MS,
} from '../accounts/index.ts'
import { findAccount } from './accountRows.ts'
import { apiKeys, keySessions, teams } from './accountSchema.ts'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { removeSealedOf } from './sealedRows.ts'
import { sha256 } from './sha256.ts'

export interface CreatedKey {
  readonly key: ApiKey
  /** To be shown now and never again. */
  readonly text: string
}

/** Keys of one account, revoked ones among them: each list of them is read whole. */
const KEYS_MAX = 200
const countLiving = sql<number | string>`count(*) filter (where ${apiKeys.revokedAtMs} is null)`

export class KeyStore {
  readonly #queries: Queries
  readonly #tools: AccountTools & { readonly sha256: Sha256 }
  readonly #rates = new RateLimits()

  constructor({ queries }: Database, tools: AccountTools) {
    this.#queries = queries
    this.#tools = { ...tools, sha256 }
  }

  /** A key that draws on `account`. `storesResponses`: it may have its responses kept here. Rejects with AccountError `unknown` or `bad-value`. */
  create(account: string, name: string, scope: KeyScope, storesResponses = false): Promise<CreatedKey> {
    for (const checked of [checkName(name), checkScope(scope)]) if (!checked.ok) throw checked.error
    return this.#queries.transaction(async (tx) => {
      await findAccount(tx, account)
      const mine = eq(apiKeys.account, account)
      const [all] = await tx.select({ had: count(), living: countLiving }).from(apiKeys).where(mine)
      if (required(all, 'a count').had >= KEYS_MAX)
        throw new AccountError('bad-value', `account ${account} has had ${KEYS_MAX} keys; use another account or a team`)
      if (Number(all?.living) >= API_KEYS_MAX)
        throw new AccountError('bad-value', `account ${account} has ${API_KEYS_MAX} keys; revoke one that is not used any more`)
      const { id, text, hash } = await newApiKey(this.#tools.randomBytes, this.#tools.sha256)
      const { models, pools, budget, requestsAMinute } = scope
      const lists = { models: models && [...models], pools: pools && [...pools] }
      const fresh = { spent: 0n, createdAtMs: this.#nowMs(), usedAtMs: null, revokedAtMs: null }
      const row = { id, account, name, hash, ...lists, budget, requestsAMinute, storesResponses, ...fresh }
      await tx.insert(apiKeys).values(row)
      return { key: keyOf(row), text }
    })
  }

  /** Those of one account, oldest first. */
  async list(account: string): Promise<readonly ApiKey[]> {
    const rows = await this.#queries.select().from(apiKeys).where(eq(apiKeys.account, account)).orderBy(asc(apiKeys.createdAtMs))
    return rows.map(keyOf)
  }

  /**
   * From now on it opens nothing, and what was sealed with it is gone. Rejects with AccountError `unknown`, also where it is not `owner`'s; a key that was revoked before stays so.
   * `owner`: null: whosever it is.
   */
  async revoke(id: string, owner: string | null): Promise<void> {
    const found = await this.#queries
      .update(apiKeys)
      .set({ revokedAtMs: sql`coalesce(${apiKeys.revokedAtMs}, ${this.#nowMs()})` })
      .where(and(eq(apiKeys.id, id), owner === null ? undefined : eq(apiKeys.account, owner)))
      .returning({ id: apiKeys.id })
    if (found.length === 0) throw noKey(id)
    await removeSealedOf(this.#queries, [id])
  }

  /**
   * Whose key a client has shown, if it may do what it asks, and in which pool; null: it asks for nothing that a scope names, as for the list of models. Rejects
   * with AccountError `bad-key` whatever is wrong with the key, `not-allowed`, or `too-many-requests`.
   */
  async authorize(text: string, request: KeyRequest | null): Promise<ApiKey & { readonly pool: Pool | null }> {
    const refused = new AccountError('bad-key', 'this is no API key, or it was revoked; make a new one')
    const id = apiKeyId(text)
    if (id === null) throw refused
    const [found] = await this.#queries.select().from(apiKeys).leftJoin(teams, eq(teams.account, apiKeys.account)).where(eq(apiKeys.id, id))
    const isRight = await isApiKey(text, found?.api_keys.hash ?? null, this.#tools.sha256)
    if (!isRight || found === undefined || found.api_keys.revokedAtMs !== null) throw refused
    const key = keyOf(found.api_keys)
    const nowMs = this.#nowMs()
    const rate = key.requestsAMinute === null ? null : this.#rates.take(id, key.requestsAMinute, nowMs)
    const scope = request === null ? null : checkRequest(key, found.teams, request)
    for (const checked of [rate, scope]) if (checked?.ok === false) throw checked.error
    if (nowMs - (key.usedAtMs ?? 0) >= USE_MS) await this.#queries.update(apiKeys).set({ usedAtMs: nowMs }).where(eq(apiKeys.id, id))
    return { ...key, pool: scope?.ok === true ? scope.value : null }
  }

  /**
   * Sets `amount` micro-credits of the key's budget aside for a session, before they are held in the ledger. The same session again changes
   * nothing. Rejects with AccountError `over-budget`, or `bad-key` when the key has been revoked.
   */
  reserve(id: string, session: string, amount: bigint): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      const row = { session, key: id, held: amount, charged: null }
      const added = await tx.insert(keySessions).values(row).onConflictDoNothing().returning()
      if (added.length === 0) return
      const fits = sql`(${apiKeys.budget} is null or ${apiKeys.spent} + ${amount} <= ${apiKeys.budget})`
      const taken = await tx
        .update(apiKeys)
        .set({ spent: sql`${apiKeys.spent} + ${amount}` })
        .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAtMs), fits))
        .returning({ id: apiKeys.id })
      if (taken.length > 0) return
      const [key] = await tx.select().from(apiKeys).where(eq(apiKeys.id, id))
      if (key === undefined || key.revokedAtMs !== null) throw new AccountError('bad-key', `the key ${id} was revoked; make a new one`)
      throw new AccountError(
        'over-budget',
        `the budget of key ${id} has ${formatCredits((key.budget ?? 0n) - key.spent)} credits left, and this answer may cost ${formatCredits(amount)}; ask for fewer tokens, wait for answers that are under way, whose rest comes back, or use a key with a larger budget`,
      )
    })
  }

  /** Of what is reserved under the name `from`, so much is the session's. Rejects where it is not there. */
  move(from: string, session: string, amount: bigint): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      const [left] = await tx
        .update(keySessions)
        .set({ held: sql`${keySessions.held} - ${amount}` })
        .where(and(eq(keySessions.session, from), isNull(keySessions.charged), gte(keySessions.held, amount)))
        .returning({ key: keySessions.key })
      const { key } = required(left, `${amount} micro-credits of a budget under the name ${from}`)
      await tx.insert(keySessions).values({ session, key, held: amount, charged: null })
    })
  }

  /** The session has ended, and so many micro-credits of what was set aside are free again. Once: later words are not heard. */
  giveBack(session: string, returned: bigint): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      const [ended] = await tx
        .update(keySessions)
        .set({ charged: sql`${keySessions.held} - ${returned}` })
        .where(and(eq(keySessions.session, session), isNull(keySessions.charged)))
        .returning()
      if (ended === undefined) return
      await tx
        .update(apiKeys)
        .set({ spent: sql`${apiKeys.spent} - ${returned}` })
        .where(eq(apiKeys.id, ended.key))
    })
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}

function keyOf({ hash: _, ...row }: typeof apiKeys.$inferSelect): ApiKey {
  return row
}

function noKey(id: string): AccountError {
  return new AccountError('unknown', `there is no API key ${id}; tabswarm key list shows an account’s`)
}
