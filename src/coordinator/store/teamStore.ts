/**
 * TeamStore: teams on a database. A team is an account that nobody signs in to: its balance is one, its API keys draw on it, each with a
 * budget of its own, and it may narrow the models and pools of them all.
 */

import { and, asc, count, eq, isNull } from 'drizzle-orm'
import { AccountError, checkName, checkScope, type KeyScope } from '../accounts/index.ts'
import { accounts, apiKeys, teamMembers, teams } from './accountSchema.ts'
import { type AccountStore, findAccount } from './accountStore.ts'
import type { Database, Queries } from './database.ts'

export interface Team {
  /** Also the id of its account: where its credits are. */
  readonly id: string
  readonly name: string
  /** Null: all. */
  readonly models: readonly string[] | null
  readonly pools: readonly string[] | null
  /** Accounts. */
  readonly members: readonly string[]
}

const MEMBERS_MAX = 1_000

export class TeamStore {
  readonly #queries: Queries
  readonly #accounts: AccountStore

  constructor({ queries }: Database, accounts: AccountStore) {
    this.#queries = queries
    this.#accounts = accounts
  }

  /** Rejects with AccountError `bad-value`. */
  create(name: string, { models, pools }: Pick<KeyScope, 'models' | 'pools'>): Promise<Team> {
    for (const checked of [checkName(name), checkScope({ models, pools, budget: null, requestsAMinute: null })])
      if (!checked.ok) throw checked.error
    return this.#queries.transaction(async (tx) => {
      const { id } = await this.#accounts.createShared(tx, name)
      await tx.insert(teams).values({ account: id, models: models && [...models], pools: pools && [...pools] })
      return { id, name, models, pools, members: [] }
    })
  }

  /** Adds an account; once is enough. Rejects with AccountError `unknown` or `bad-value`. */
  add(id: string, account: string): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      await findTeam(tx, id)
      await findAccount(tx, account)
      const [members] = await tx.select({ count: count() }).from(teamMembers).where(eq(teamMembers.team, id))
      if ((members?.count ?? 0) >= MEMBERS_MAX) throw new AccountError('bad-value', `a team has at most ${MEMBERS_MAX} members`)
      await tx.insert(teamMembers).values({ team: id, account }).onConflictDoNothing()
    })
  }

  /**
   * What one of the team's keys may spend in all, micro-credits; null: as much as the team has. What was spent stays spent. Rejects with AccountError
   * `unknown` or `bad-value`.
   */
  async setBudget(id: string, key: string, budget: bigint | null): Promise<void> {
    if (budget !== null && budget < 0n) throw new AccountError('bad-value', 'a budget is not negative')
    const own = and(eq(apiKeys.id, key), eq(apiKeys.account, id))
    const found = await this.#queries.update(apiKeys).set({ budget }).where(own).returning({ id: apiKeys.id })
    if (found.length === 0) throw new AccountError('unknown', `team ${id} has no API key ${key}; tabswarm key list ${id} shows them`)
  }

  /** All teams that were not erased, by name. */
  async list(): Promise<readonly Team[]> {
    const rows = await this.#queries
      .select()
      .from(teams)
      .innerJoin(accounts, eq(accounts.id, teams.account))
      .where(isNull(accounts.erasedAtMs))
      .orderBy(asc(accounts.name))
    const members = await this.#queries.select().from(teamMembers).orderBy(asc(teamMembers.account))
    return rows.map(({ teams: { account: id, models, pools }, accounts: { name } }) => {
      const own = members.filter(({ team }) => team === id).map(({ account }) => account)
      return { id, name, models, pools, members: own }
    })
  }
}

async function findTeam(queries: Queries, id: string): Promise<void> {
  await findAccount(queries, id)
  const found = await queries.select().from(teams).where(eq(teams.account, id))
  if (found.length === 0) throw new AccountError('unknown', `there is no team ${id}; tabswarm team list shows them`)
}
