/**
 * AccountStore: accounts on a database. They are made on the first contact that a certificate proves, found by their identities, tied to each
 * other by what they share, handed out whole to whom they belong, and erased but for the ledger's pseudonymous lines.
 */

import { and, asc, count, desc, eq, gt, ilike, isNull, like, lt, or } from 'drizzle-orm'
import { type AccountRole, type Clock, required } from '../../shared/index.ts'
import {
  type AccountRecord,
  type AccountTies,
  addressBlock,
  BLOCKS_MAX,
  checkName,
  FIRST_ROLES,
  GRANT_DAYS,
  type Identity,
  identityKinds,
  newAccountId,
  TIE_DAYS,
} from '../accounts/index.ts'
import { findAccount, living, recordOf } from './accountRows.ts'
import { accountIdentities, accounts, accountTies, apiKeys, invitations, pairings, starterGrants, teamMembers } from './accountSchema.ts'
import type { Database, Queries } from './database.ts'
import { familyOfInviter } from './families.ts'
import { isAnyOf } from './rows.ts'
import { removeSealedOf } from './sealedRows.ts'

export interface AccountTools {
  /** Coordinator time: milliseconds since the epoch. */
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
}

/** Where a contact comes from. */
export interface Contact {
  /** An IP address; null: it counts for nothing, as in `demo`. */
  readonly address: string | null
  /** Who invited the account; matters at the first contact only. */
  readonly inviter?: string
}

export interface AccountDetails extends AccountRecord {
  readonly identities: readonly Identity[]
  /** Teams that it belongs to. */
  readonly teams: readonly string[]
}

const DAY_MS = 86_400_000
/** Accounts in memory at a time when all are listed. */
const PAGE_ACCOUNTS = 500

export class AccountStore {
  readonly #queries: Queries
  readonly #tools: AccountTools

  constructor({ queries }: Database, tools: AccountTools) {
    this.#queries = queries
    this.#tools = tools
  }

  /** The account of an identity that was proven now, made if there is none. Rejects with AccountError `unknown` when the inviter is. */
  contact(identity: Identity, { address, inviter }: Contact): Promise<AccountRecord> {
    return this.#queries.transaction(async (tx) => {
      const record = (await byIdentity(tx, identity)) ?? (await this.#create(tx, identity, inviter))
      await this.#tie(tx, record.id, identity.kind, identity.subject)
      const block = address === null ? null : addressBlock(address)
      if (block?.isPublic === true) await this.#tie(tx, record.id, BLOCK, block.text)
      return record
    })
  }

  /** An account that nobody signs in to: its API keys spend what it is granted. Rejects with AccountError `bad-value`. */
  async createNamed(name: string): Promise<AccountRecord> {
    const checked = checkName(name)
    if (!checked.ok) throw checked.error
    return this.createShared(this.#queries, name, null)
  }

  /** An account that nobody signs in to, as a team's. `family`: null: its own. */
  async createShared(queries: Queries, name: string, family: string | null): Promise<AccountRecord> {
    const id = newAccountId(this.#tools.randomBytes)
    return this.#insert(queries, { id, name, roles: ['requester'], family: family ?? id })
  }

  /** An account of that family, for an identity that its caller has. */
  async createEmpty(queries: Queries, family: string): Promise<AccountRecord> {
    return this.#insert(queries, { id: newAccountId(this.#tools.randomBytes), name: '', roles: FIRST_ROLES, family })
  }

  /** Rejects with AccountError `unknown`. */
  async details(id: string): Promise<AccountDetails> {
    const record = await findAccount(this.#queries, id)
    const identities = await this.#queries
      .select({ kind: accountIdentities.kind, subject: accountIdentities.subject })
      .from(accountIdentities)
      .where(eq(accountIdentities.account, id))
      .orderBy(asc(accountIdentities.addedAtMs))
    const member = await this.#queries.select({ team: teamMembers.team }).from(teamMembers).where(eq(teamMembers.account, id))
    return { ...record, identities: identities.map(identityOf), teams: member.map(({ team }) => team).sort() }
  }

  /** Rejects with AccountError `unknown`. */
  record(id: string): Promise<AccountRecord> {
    return findAccount(this.#queries, id)
  }

  /** How many there are that were not erased. */
  async count(): Promise<number> {
    const [row] = await this.#queries.select({ count: count() }).from(accounts).where(isNull(accounts.erasedAtMs))
    return row?.count ?? 0
  }

  /** At most `limit` accounts whose id begins with `text`, or whose name has it, in the order of their ids, on from behind `after`. Erased ones are left out. */
  async search(text: string, after: string | null, limit: number): Promise<readonly AccountRecord[]> {
    const literal = text.replace(/[\\%_]/g, '\\$&')
    const matches = or(like(accounts.id, `${literal.toLowerCase()}%`), ilike(accounts.name, `%${literal}%`))
    const rows = await this.#queries
      .select()
      .from(accounts)
      .where(and(isNull(accounts.erasedAtMs), gt(accounts.id, after ?? ''), matches))
      .orderBy(asc(accounts.id))
      .limit(limit)
    return rows.map(recordOf)
  }

  /** Hands every account to `take`, in the order of their ids. */
  async forEach(take: (record: AccountRecord) => void): Promise<void> {
    for (let last = ''; ; ) {
      const rows = await this.#queries.select().from(accounts).where(gt(accounts.id, last)).orderBy(asc(accounts.id)).limit(PAGE_ACCOUNTS)
      for (const row of rows) take(recordOf(row))
      if (rows.length < PAGE_ACCOUNTS) return
      last = rows.at(-1)?.id ?? ''
    }
  }

  /** Rejects with AccountError `unknown` or `bad-value`. */
  async change(id: string, { name, roles }: { readonly name?: string; readonly roles?: readonly AccountRole[] }): Promise<AccountRecord> {
    const checked = name === undefined ? null : checkName(name)
    if (checked?.ok === false) throw checked.error
    await findAccount(this.#queries, id)
    const set = { ...(name === undefined ? {} : { name }), ...(roles === undefined ? {} : { roles: [...new Set(roles)] }) }
    if (Object.keys(set).length > 0) await this.#queries.update(accounts).set(set).where(living(id))
    return findAccount(this.#queries, id)
  }

  /**
   * Erases what tells who the account is: names of it and its keys, identities, address blocks, memberships. Its API keys end, and what they had sealed here. The ledger's lines
   * stay under its id, which was chosen by chance; so do its credits, which nobody can reach any more. Once and for all.
   */
  erase(id: string): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      await findAccount(tx, id)
      const nowMs = this.#nowMs()
      await tx.update(accounts).set({ name: '', roles: [], family: id, successor: null, erasedAtMs: nowMs }).where(eq(accounts.id, id))
      const keys = await tx.select({ id: apiKeys.id }).from(apiKeys).where(eq(apiKeys.account, id))
      await removeSealedOf(
        tx,
        keys.map((key) => key.id),
      )
      await tx
        .update(apiKeys)
        .set({ revokedAtMs: nowMs })
        .where(and(eq(apiKeys.account, id), isNull(apiKeys.revokedAtMs)))
      await tx.update(apiKeys).set({ name: '' }).where(eq(apiKeys.account, id))
      await tx.delete(accountIdentities).where(eq(accountIdentities.account, id))
      await tx.delete(accountTies).where(eq(accountTies.account, id))
      await tx.delete(pairings).where(eq(pairings.account, id))
      await tx.delete(invitations).where(or(eq(invitations.inviter, id), eq(invitations.team, id)))
      await tx.delete(teamMembers).where(eq(teamMembers.account, id))
    })
  }

  /** What each account may share with others; accounts that there are not are left out. For areLinked. */
  async ties(ids: readonly string[]): Promise<ReadonlyMap<string, AccountTies>> {
    const rows = await this.#queries
      .select()
      .from(accounts)
      .where(isAnyOf(accounts.id, ids, 'text'))
    const since = this.#nowMs() - TIE_DAYS * DAY_MS
    const kept = await this.#queries
      .select()
      .from(accountTies)
      .where(isAnyOf(accountTies.account, ids, 'text'))
      .orderBy(desc(accountTies.seenAtMs))
    const members = await this.#queries
      .select()
      .from(teamMembers)
      .where(isAnyOf(teamMembers.account, ids, 'text'))
    const ties = rows.map(({ id, family }): [string, AccountTies] => {
      const mine = kept.filter(({ account }) => account === id)
      const blocks = mine.filter(({ kind, seenAtMs }) => kind === BLOCK && seenAtMs >= since).map(({ value }) => value)
      const keys = mine.filter(({ kind }) => kind !== BLOCK).map(({ value }) => value)
      // A team's own account is tied to its members.
      const teams = [id, ...members.filter(({ account }) => account === id).map(({ team }) => team)]
      return [id, { account: id, keys, teams, family, blocks: blocks.slice(0, BLOCKS_MAX) }]
    })
    return new Map(ties)
  }

  /** Forgets address blocks that no longer count. To be called once a day. */
  async forgetBlocks(): Promise<void> {
    const nowMs = this.#nowMs()
    const isOld = and(eq(accountTies.kind, BLOCK), lt(accountTies.seenAtMs, nowMs - TIE_DAYS * DAY_MS))
    await this.#queries.delete(accountTies).where(isOld)
    const isUncounted = lt(starterGrants.grantedAtMs, nowMs - GRANT_DAYS * DAY_MS)
    await this.#queries.update(starterGrants).set({ block: null }).where(isUncounted)
  }

  async #create(tx: Queries, identity: Identity, inviter: string | undefined): Promise<AccountRecord> {
    const id = newAccountId(this.#tools.randomBytes)
    const family = (inviter === undefined ? null : await familyOfInviter(tx, inviter)) ?? id
    const record = await this.#insert(tx, { id, name: '', roles: FIRST_ROLES, family })
    const added = await tx
      .insert(accountIdentities)
      .values({ ...identity, account: id, addedAtMs: record.createdAtMs })
      .onConflictDoNothing()
      .returning()
    if (added.length > 0) return record
    // Another connection of the same key was first.
    await tx.delete(accounts).where(eq(accounts.id, id))
    return required(await byIdentity(tx, identity), 'the account of an identity')
  }

  async #insert(queries: Queries, row: Omit<AccountRecord, 'createdAtMs' | 'erasedAtMs'> & { family: string }): Promise<AccountRecord> {
    const whole = { ...row, roles: [...row.roles], createdAtMs: this.#nowMs(), erasedAtMs: null, successor: null }
    await queries.insert(accounts).values(whole)
    return recordOf(whole)
  }

  async #tie(tx: Queries, account: string, kind: string, value: string): Promise<void> {
    const row = { account, kind, value, seenAtMs: this.#nowMs() }
    const target = [accountTies.account, accountTies.kind, accountTies.value]
    await tx
      .insert(accountTies)
      .values(row)
      .onConflictDoUpdate({ target, set: { seenAtMs: row.seenAtMs } })
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}

const BLOCK = 'block'

async function byIdentity(queries: Queries, { kind, subject }: Identity): Promise<AccountRecord | null> {
  const [found] = await queries
    .select()
    .from(accounts)
    .innerJoin(accountIdentities, eq(accountIdentities.account, accounts.id))
    .where(and(eq(accountIdentities.kind, kind), eq(accountIdentities.subject, subject)))
  return found === undefined ? null : recordOf(found.accounts)
}

function identityOf({ kind, subject }: { readonly kind: string; readonly subject: string }): Identity {
  const known = identityKinds.find((name) => name === kind)
  return { kind: required(known, `an identity of kind ${kind}`), subject }
}
