/**
 * The tables of the ledger (those of accounts: accountSchema.ts), one description for PGlite and Postgres. After a change: `npx drizzle-kit generate --name WHAT`, and commit the
 * migration that it writes. What no table definition can say stands in a migration of its own (`--custom`).
 */

import { sql } from 'drizzle-orm'
import { check, index, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import { accountTables } from './accountSchema.ts'
import { microCredits, whole } from './columns.ts'
import { sealedTables } from './sealedSchema.ts'
import { trust } from './trustSchema.ts'

/** The parts of an account's id, as the ledger has them. */
const accountColumns = {
  kind: text().notNull(),
  owner: text().notNull(),
  session: text().notNull(),
  purse: text().notNull(),
}

/** Append only: a trigger refuses updates and deletions. */
export const ledgerEvents = pgTable('ledger_events', {
  sequence: whole().primaryKey(),
  /** The business id. */
  id: text().notNull().unique(),
  atMs: whole('at_ms'),
  /** Canonical JSON, as it is hashed. */
  command: text().notNull(),
  hash: text().notNull(),
})

/** Append only, too. */
export const ledgerPostings = pgTable(
  'ledger_postings',
  {
    sequence: whole(),
    line: integer().notNull(),
    ...accountColumns,
    amount: microCredits(),
  },
  (table) => [primaryKey({ columns: [table.sequence, table.line] }), index().on(table.owner, table.sequence)],
)

/** A projection of the postings; accounts that are empty have no row. */
export const ledgerBalances = pgTable('ledger_balances', { ...accountColumns, amount: microCredits() }, (table) => [
  primaryKey({ columns: [table.kind, table.owner, table.session, table.purse] }),
  check('only_issuance_is_negative', sql`${table.amount} > 0 or (${table.kind} = 'issuance' and ${table.amount} < 0)`),
  index().on(table.owner),
])

/** A projection, too: what each owner was ever paid, out of escrow and for audits. */
export const ledgerPaid = pgTable('ledger_paid', { owner: text().primaryKey(), amount: microCredits() })

/** Complete subtrees of 256 events, of 256 of those, and so on. */
export const ledgerNodes = pgTable('ledger_nodes', { level: integer().notNull(), index: whole(), hash: text().notNull() }, (table) => [
  primaryKey({ columns: [table.level, table.index] }),
])

export const ledgerHeads = pgTable('ledger_heads', {
  size: whole().primaryKey(),
  root: text().notNull(),
  atMs: whole('at_ms'),
  signature: text().notNull(),
})

/** One row: where the next event goes, and the key that signs heads. Whoever writes to the ledger locks it first. */
export const ledgerState = pgTable(
  'ledger_state',
  {
    only: integer().primaryKey(),
    size: whole(),
    /** Hash of the last event. */
    previous: text().notNull(),
    /** The tree's right edge: levels and hashes as JSON. */
    peaks: text().notNull(),
    /** P-256, raw, base64url. */
    publicKey: text('public_key').notNull(),
    /** PKCS #8, base64url. */
    privateKey: text('private_key').notNull(),
  },
  (table) => [check('one_row', sql`${table.only} = 1`)],
)

/** All tables in an order in which rows can be put back: what a row refers to comes first. */
export const tables = [
  ledgerEvents,
  ledgerPostings,
  ledgerBalances,
  ledgerPaid,
  ledgerNodes,
  ledgerHeads,
  ledgerState,
  ...accountTables,
  ...sealedTables,
  trust,
]
