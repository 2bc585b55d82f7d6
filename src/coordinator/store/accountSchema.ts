/**
 * The tables of accounts. The ledger's refer to an account by its id alone, and to no row here: names and identities can be erased and every line of
 * the ledger stays. After a change: see schema.ts.
 */

import { sql } from 'drizzle-orm'
import { boolean, check, foreignKey, index, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import { maybeMicroCredits, maybeWhole, microCredits, whole } from './columns.ts'

export const accounts = pgTable(
  'accounts',
  {
    id: text().primaryKey(),
    name: text().notNull(),
    roles: text().array().notNull(),
    /** See AccountTies. */
    family: text().notNull(),
    createdAtMs: whole('created_at_ms'),
    erasedAtMs: maybeWhole('erased_at_ms'),
    /** The account that its last device joined. */
    successor: text(),
  },
  (table) => [index().on(table.family)],
)

const account = () =>
  text()
    .notNull()
    .references(() => accounts.id)

export const accountIdentities = pgTable(
  'account_identities',
  {
    kind: text().notNull(),
    subject: text().notNull(),
    account: account(),
    addedAtMs: whole('added_at_ms'),
    /** What people call the device; empty: nothing. */
    name: text().notNull().default(''),
    /** When another device took it from the account that it had before; null: it was not, or its owner knows. */
    removedAtMs: maybeWhole('removed_at_ms'),
  },
  (table) => [primaryKey({ columns: [table.kind, table.subject] }), index().on(table.account)],
)

/** Account keys under their recovery phrases; each goes with its identity. */
export const recoveryCopies = pgTable(
  'recovery_copies',
  {
    kind: text().notNull(),
    subject: text().notNull(),
    /** Of the words, by a slow hash. */
    lookup: text().notNull().unique(),
    /** base64url, as all here. */
    iv: text().notNull(),
    wrapped: text().notNull(),
    keptAtMs: whole('kept_at_ms'),
  },
  (table) => [
    primaryKey({ columns: [table.kind, table.subject] }),
    foreignKey({ columns: [table.kind, table.subject], foreignColumns: [accountIdentities.kind, accountIdentities.subject] }).onDelete(
      'cascade',
    ),
  ],
)

/** Keys that are or were identities of an account, and address blocks that it came from. */
export const accountTies = pgTable(
  'account_ties',
  { account: account(), kind: text().notNull(), value: text().notNull(), seenAtMs: whole('seen_at_ms') },
  (table) => [primaryKey({ columns: [table.account, table.kind, table.value] }), index().on(table.kind, table.seenAtMs)],
)

/** Codes that are alive, or were not cleared away yet. */
export const pairings = pgTable('pairings', {
  handle: text().primaryKey(),
  account: account(),
  /** SHA-256 of the whole code, hex. */
  hash: text().notNull(),
  expiresAtMs: whole('expires_at_ms'),
  /** Wrong tries. */
  attempts: integer().notNull(),
})

/** A list of null: no limit. */
const scopeColumns = { models: text().array(), pools: text().array() }

/** A team is the account that holds its balance. */
export const teams = pgTable('teams', { account: account().primaryKey(), ...scopeColumns })

export const teamMembers = pgTable(
  'team_members',
  {
    team: text()
      .notNull()
      .references(() => teams.account),
    account: account(),
    /** May do with the team what its members may not. */
    isOwner: boolean('is_owner').notNull().default(false),
  },
  (table) => [primaryKey({ columns: [table.team, table.account] }), index().on(table.account)],
)

/** Codes that are alive, or were not cleared away yet, by which accounts join a team. */
export const invitations = pgTable(
  'invitations',
  {
    handle: text().primaryKey(),
    team: text()
      .notNull()
      .references(() => teams.account),
    /** Who invites; null: whoever runs the coordinator. */
    inviter: text().references(() => accounts.id),
    /** SHA-256 of the whole code, hex. */
    hash: text().notNull(),
    expiresAtMs: whole('expires_at_ms'),
    /** Wrong tries. */
    attempts: integer().notNull(),
  },
  (table) => [index().on(table.team), index().on(table.inviter)],
)

export const apiKeys = pgTable(
  'api_keys',
  {
    id: text().primaryKey(),
    /** Who pays. */
    account: account(),
    name: text().notNull(),
    /** SHA-256 of the whole key, hex. */
    hash: text().notNull(),
    ...scopeColumns,
    budget: maybeMicroCredits(),
    requestsAMinute: integer('requests_a_minute'),
    /** Its responses may be kept here, sealed, where a request says so. */
    storesResponses: boolean('stores_responses').notNull().default(false),
    /** A projection of key_sessions. */
    spent: microCredits(),
    createdAtMs: whole('created_at_ms'),
    usedAtMs: maybeWhole('used_at_ms'),
    revokedAtMs: maybeWhole('revoked_at_ms'),
  },
  (table) => [index().on(table.account), check('spent_is_not_negative', sql`${table.spent} >= 0`)],
)

/** What sessions cost the budgets of their keys. */
export const keySessions = pgTable(
  'key_sessions',
  {
    session: text().primaryKey(),
    key: text()
      .notNull()
      .references(() => apiKeys.id),
    held: microCredits(),
    /** Null: still open. */
    charged: maybeMicroCredits(),
  },
  (table) => [
    index().on(table.key),
    check('charged_is_within_held', sql`${table.charged} is null or ${table.charged} between 0 and ${table.held}`),
  ],
)

/** Micro-credits of each day's starter grants. */
export const starterPools = pgTable('starter_pools', { day: text().primaryKey(), issued: microCredits() })

/** One an account, for its whole life. */
export const starterGrants = pgTable(
  'starter_grants',
  {
    account: account().primaryKey(),
    /** Null: from none, or too long ago to count. */
    block: text(),
    amount: microCredits(),
    /** The last day on which it can be spent. */
    lastDay: text('last_day').notNull(),
    grantedAtMs: whole('granted_at_ms'),
    /** The ledger has it. */
    isPosted: boolean('is_posted').notNull(),
  },
  (table) => [index().on(table.block)],
)

/** In an order in which rows can be put back. */
export const accountTables = [
  accounts,
  accountIdentities,
  recoveryCopies,
  accountTies,
  pairings,
  teams,
  teamMembers,
  invitations,
  apiKeys,
  keySessions,
  starterPools,
  starterGrants,
]
