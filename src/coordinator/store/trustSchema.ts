/** The table of trust. After a change: see schema.ts. */

import { bigint, integer, pgTable, text } from 'drizzle-orm/pg-core'

/** What audits of an account's work have found; see TrustRecord. It refers to no account: a ban outlives an erasure. */
export const trust = pgTable('trust', {
  holder: text().primaryKey(),
  validInARow: integer('valid_in_a_row').notNull(),
  sinceAudit: integer('since_audit').notNull(),
  failures: integer().notNull(),
  strikesMs: bigint('strikes_ms', { mode: 'number' }).array().notNull(),
})
