/**
 * The tables of what clients of the API have left here for a while: files, batches, responses. What they say is sealed with a key that only the client's API
 * key gives (gateway); what stands here unsealed is whose it is, how large, and how far. After a change: see schema.ts.
 */

import { index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import { POOLS } from '../../shared/index.ts'
import { apiKeys } from './accountSchema.ts'
import { maybeWhole, whole } from './columns.ts'

export const sealedObjects = pgTable(
  'sealed_objects',
  {
    id: text().primaryKey(),
    key: text()
      .notNull()
      .references(() => apiKeys.id),
    kind: text().notNull(),
    /** base64url, as all that is sealed. */
    salt: text().notNull(),
    header: text().notNull(),
    /** Of its parts, unsealed. */
    bytes: whole(),
    createdAtMs: whole('created_at_ms'),
    /** Null: it is still being written. */
    expiresAtMs: maybeWhole('expires_at_ms'),
  },
  (table) => [index().on(table.key, table.createdAtMs), index().on(table.expiresAtMs)],
)

const object = () =>
  text()
    .notNull()
    .references(() => sealedObjects.id, { onDelete: 'cascade' })

export const sealedParts = pgTable('sealed_parts', { object: object(), index: integer().notNull(), sealed: text().notNull() }, (table) => [
  primaryKey({ columns: [table.object, table.index] }),
])

/** When a batch came into each state, milliseconds since the epoch. */
export type BatchTimes = Partial<Record<BatchStatus, number>>
export const batchStatuses = [
  'validating',
  'in_progress',
  'finalizing',
  'completed',
  'failed',
  'expired',
  'cancelling',
  'cancelled',
] as const
export type BatchStatus = (typeof batchStatuses)[number]

/** The state of batches, each beside the sealed object of the same id. */
export const batches = pgTable(
  'batches',
  {
    id: object().primaryKey(),
    account: text().notNull(),
    inputFile: text('input_file').notNull(),
    outputFile: text('output_file').notNull(),
    errorFile: text('error_file').notNull(),
    endpoint: text().notNull(),
    pool: text({ enum: POOLS }).notNull().default('public'),
    status: text({ enum: batchStatuses }).notNull(),
    times: jsonb().$type<BatchTimes>().notNull(),
    /** It ends then at the latest. */
    endsAtMs: whole('ends_at_ms'),
    total: integer().notNull(),
    completed: integer().notNull(),
    failed: integer().notNull(),
    /** Times that a coordinator has taken it up. */
    runs: integer().notNull(),
    /** The coordinator that works on it, and until when it says so; null: none. */
    runner: text(),
    runsUntilMs: maybeWhole('runs_until_ms'),
  },
  (table) => [index().on(table.status)],
)

/** In an order in which rows can be put back. */
export const sealedTables = [sealedObjects, sealedParts, batches]
