/**
 * TeamStore: teams on a database. A team is an account that nobody signs in to: its balance is one, its API keys draw on it, each with a
 * budget of its own, and it may narrow the models and pools of them all. Its owners may do with it what its members may not.
 */

import { and, asc, count, eq, gt, inArray, isNull } from 'drizzle-orm'
import { MEMBERS_MAX, required, TEAMS_MAX } from '../../shared/index.ts'
import { AccountError, checkName, checkScope, type KeyScope } from '../accounts/index.ts'
import { findAccount, lockAccounts } from './accountRows.ts'
import { accounts, apiKeys, invitations, teamMembers, teams } from './accountSchema.ts'
import type { AccountStore, AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { familyOfInviter } from './families.ts'

export interface TeamMember {
  readonly account: string
  /** The account's. Empty: none. */
  readonly name: string
  readonly isOwner: boolean
}

export interface Team {
  /** Also the id of its account: where its credits are. */
  readonly id: string
  readonly name: string
  /** Null: all. */
  readonly models: readonly string[] | null
  readonly pools: readonly string[] | null
}

export interface ListedTeam extends Team {
  /** Accounts. */
  readonly members: readonly string[]
  /** Of them. */
  readonly owners: readonly string[]
}

export interface OwnTeam extends Team {
  readonly isOwner: boolean
  readonly memberCount: number
}

export type TeamRole = 'owner' | 'member'

export interface TeamChange extends Pick<KeyScope, 'models' | 'pools'> {
  readonly name: string
}

export class TeamStore {
  readonly #queries: Queries
  readonly #accounts: Pick<AccountStore, 'createShared'>
  readonly #tools: AccountTools

  constructor({ queries }: Database, accounts: Pick<AccountStore, 'createShared'>, tools: AccountTools) {
    this.#queries = queries
    this.#accounts = accounts
    this.#tools = tools
  }

  /**
   * `owner`: the account that makes it, whose family it is of; null: whoever runs the coordinator does. Rejects with AccountError `bad-value`, also where
   * the owner has its number of teams.
   */
  async create(name: string, scope: Pick<KeyScope, 'models' | 'pools'>, owner: string | null): Promise<Team> {
    check({ name, ...scope })
    return this.#queries.transaction(async (tx) => {
      const { id } = await this.#accounts.createShared(tx, name, owner === null ? null : await familyOfInviter(tx, owner))
      await tx.insert(teams).values({ account: id, ...lists(scope) })
      if (owner !== null) await addMember(tx, id, owner, true)
      return { id, name, models: scope.models, pools: scope.pools }
    })
  }

  /** Rejects with AccountError `unknown`. */
  async team(id: string): Promise<Team> {
    const { name } = await findAccount(this.#queries, id)
    const { models, pools } = await findTeam(this.#queries, id)
    return { id, name, models, pools }
  }

  /** All that it is called and may from now on. Rejects with AccountError `unknown` or `bad-value`. */
  async change(id: string, change: TeamChange): Promise<void> {
    check(change)
    return this.#queries.transaction(async (tx) => {
      await findTeam(tx, id)
      await tx.update(accounts).set({ name: change.name }).where(eq(accounts.id, id))
      await tx.update(teams).set(lists(change)).where(eq(teams.account, id))
    })
  }

  /** Makes an account a member, or says anew what it is of the team. Rejects with AccountError `unknown`, `bad-value`, or `not-allowed` as `remove` does. */
  async add(id: string, account: string, role: TeamRole = 'member'): Promise<void> {
    if (account === id) throw new AccountError('bad-value', 'a team is no member of itself')
    return this.#queries.transaction(async (tx) => {
      await findTeam(tx, id)
      await findAccount(tx, account)
      await addMember(tx, id, account, role === 'owner')
      const mine = and(eq(teamMembers.team, id), eq(teamMembers.account, account))
      if (role === 'member') await this.#keepOwner(tx, id, account)
      await tx
        .update(teamMembers)
        .set({ isOwner: role === 'owner' })
        .where(mine)
    })
  }

  /**
   * It is no member any more, and its invitations end. What ties it to others by an invitation stays. Rejects with AccountError `unknown`, or
   * `not-allowed` where the team would be left without an owner.
   */
  remove(id: string, account: string): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      await this.#keepOwner(tx, id, account)
      const found = await tx
        .delete(teamMembers)
        .where(and(eq(teamMembers.team, id), eq(teamMembers.account, account)))
        .returning()
      if (found.length === 0) throw new AccountError('unknown', `account ${account} is no member of team ${id}`)
    })
  }

  /** Null: it is no member, or there is no such team. */
  async roleOf(id: string, account: string): Promise<TeamRole | null> {
    const [row] = await this.#queries
      .select({ isOwner: teamMembers.isOwner })
      .from(teamMembers)
      .innerJoin(accounts, eq(accounts.id, teamMembers.team))
      .where(and(eq(teamMembers.team, id), eq(teamMembers.account, account), isNull(accounts.erasedAtMs)))
    return row === undefined ? null : row.isOwner ? 'owner' : 'member'
  }

  /** Teams that an account belongs to, by name. */
  async of(account: string): Promise<readonly OwnTeam[]> {
    const rows = await this.#queries
      .select({ id: accounts.id, name: accounts.name, models: teams.models, pools: teams.pools, isOwner: teamMembers.isOwner })
      .from(teamMembers)
      .innerJoin(teams, eq(teams.account, teamMembers.team))
      .innerJoin(accounts, eq(accounts.id, teamMembers.team))
      .where(and(eq(teamMembers.account, account), isNull(accounts.erasedAtMs)))
      .orderBy(asc(accounts.name), asc(accounts.id))
    if (rows.length === 0) return []
    const ids = rows.map(({ id }) => id)
    const counted = await this.#queries
      .select({ team: teamMembers.team, count: count() })
      .from(teamMembers)
      .where(inArray(teamMembers.team, ids))
      .groupBy(teamMembers.team)
    const counts = new Map(counted.map(({ team, count }) => [team, count]))
    return rows.map((row) => ({ ...row, memberCount: counts.get(row.id) ?? 0 }))
  }

  /** Its owners first. */
  async members(id: string): Promise<readonly TeamMember[]> {
    const rows = await this.#queries
      .select({ account: accounts.id, name: accounts.name, isOwner: teamMembers.isOwner })
      .from(teamMembers)
      .innerJoin(accounts, eq(accounts.id, teamMembers.account))
      .where(eq(teamMembers.team, id))
      .orderBy(asc(accounts.name), asc(accounts.id))
    return [...rows].sort((one, other) => Number(other.isOwner) - Number(one.isOwner))
  }

  /** Invitations to it that work. */
  async invitationCount(id: string): Promise<number> {
    const alive = and(eq(invitations.team, id), gt(invitations.expiresAtMs, Math.floor(this.#tools.clock.nowMs())))
    const [row] = await this.#queries.select({ count: count() }).from(invitations).where(alive)
    return required(row, 'a count').count
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
  async list(): Promise<readonly ListedTeam[]> {
    const rows = await this.#queries
      .select()
      .from(teams)
      .innerJoin(accounts, eq(accounts.id, teams.account))
      .where(isNull(accounts.erasedAtMs))
      .orderBy(asc(accounts.name))
    const members = await this.#queries.select().from(teamMembers).orderBy(asc(teamMembers.account))
    return rows.map(({ teams: { account: id, models, pools }, accounts: { name } }) => {
      const own = members.filter(({ team }) => team === id)
      const owners = own.filter(({ isOwner }) => isOwner).map(({ account }) => account)
      return { id, name, models, pools, members: own.map(({ account }) => account), owners }
    })
  }

  /** The account stops being an owner: it may where another is. Its invitations end. */
  async #keepOwner(tx: Queries, id: string, account: string): Promise<void> {
    const owners = await tx
      .select({ account: teamMembers.account })
      .from(teamMembers)
      .where(and(eq(teamMembers.team, id), eq(teamMembers.isOwner, true)))
      .for('update')
    if (owners.length === 1 && owners[0]?.account === account)
      throw new AccountError('not-allowed', 'nobody else owns this team: make another member its owner first')
    await tx.delete(invitations).where(and(eq(invitations.team, id), eq(invitations.inviter, account)))
  }
}

/** Once is enough: who is a member stays what it was. Rejects with AccountError `bad-value` where there are too many. */
export async function addMember(tx: Queries, team: string, account: string, isOwner: boolean): Promise<void> {
  const mine = and(eq(teamMembers.team, team), eq(teamMembers.account, account))
  const known = await tx.select().from(teamMembers).where(mine)
  if (known.length > 0) return
  await lockAccounts(tx, [team, account])
  const [members] = await tx.select({ count: count() }).from(teamMembers).where(eq(teamMembers.team, team))
  if (required(members, 'a count').count >= MEMBERS_MAX) throw new AccountError('bad-value', `a team has at most ${MEMBERS_MAX} members`)
  const [others] = await tx.select({ count: count() }).from(teamMembers).where(eq(teamMembers.account, account))
  if (required(others, 'a count').count >= TEAMS_MAX)
    throw new AccountError('bad-value', `an account is in at most ${TEAMS_MAX} teams; leave one of them`)
  await tx.insert(teamMembers).values({ team, account, isOwner }).onConflictDoNothing()
}

/** Rejects with AccountError `unknown`. */
export async function findTeam(queries: Queries, id: string): Promise<Pick<Team, 'models' | 'pools'>> {
  await findAccount(queries, id)
  const [found] = await queries.select().from(teams).where(eq(teams.account, id))
  if (found === undefined) throw new AccountError('unknown', `there is no team ${id}; tabswarm team list shows them`)
  return found
}

function check({ name, models, pools }: TeamChange): void {
  for (const checked of [checkName(name), checkScope({ models, pools, budget: null, requestsAMinute: null })])
    if (!checked.ok) throw checked.error
}

function lists({ models, pools }: Pick<KeyScope, 'models' | 'pools'>): { models: string[] | null; pools: string[] | null } {
  return { models: models && [...models], pools: pools && [...pools] }
}
