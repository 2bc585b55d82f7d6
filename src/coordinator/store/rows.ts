/** Between rows of the tables and the ledger's nouns. What is read here was written here: a row that does not fit is a fault of the store. */

import { asc, type eq, getTableColumns, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { required } from '../../shared/index.ts'
import { type Account, businessId, encodeCommand, type LedgerEvent, type Posting, parseAccountId, parseCommand } from '../ledger/index.ts'
import type { Queries } from './database.ts'
import { ledgerEvents, ledgerPostings } from './schema.ts'

export interface RecordedEvent {
  readonly event: LedgerEvent
  readonly hash: string
}

type EventRow = typeof ledgerEvents.$inferSelect
type PostingRow = typeof ledgerPostings.$inferSelect
/** The columns that name an account. */
export type AccountRow = Pick<PostingRow, 'kind' | 'owner' | 'session' | 'purse'>

export function eventRow({ sequence, atMs, command }: LedgerEvent, hash: string): EventRow {
  return { sequence, id: businessId(command), atMs, command: encodeCommand(command), hash }
}

export function postingRows({ sequence, postings }: LedgerEvent): PostingRow[] {
  return postings.map(({ account, amount }, line) => ({ sequence, line, ...account, amount }))
}

export function accountOf({ kind, owner, session, purse }: AccountRow): Account {
  const id = `${kind}:${owner}:${session}:${purse}`
  return required(parseAccountId(id), `an account ${id}`)
}

/** Events by a condition on their rows, in order, with their postings. */
export async function readEvents(queries: Queries, where: SQL | undefined): Promise<RecordedEvent[]> {
  const events = await readBareEvents(queries, where)
  if (events.length === 0) return []
  const bySequence = new Map<number, Posting[]>(events.map(({ event }) => [event.sequence, []]))
  const lines = await queries
    .select()
    .from(ledgerPostings)
    .where(isAnyOf(ledgerPostings.sequence, [...bySequence.keys()], 'bigint'))
    .orderBy(asc(ledgerPostings.sequence), asc(ledgerPostings.line))
  for (const line of lines) bySequence.get(line.sequence)?.push({ account: accountOf(line), amount: line.amount })
  return events.map(({ event, hash }) => ({ event: { ...event, postings: bySequence.get(event.sequence) ?? [] }, hash }))
}

/** As readEvents, without their postings. */
export async function readBareEvents(queries: Queries, where: SQL | undefined): Promise<RecordedEvent[]> {
  const rows = await queries.select().from(ledgerEvents).where(where).orderBy(asc(ledgerEvents.sequence))
  return rows.map(({ sequence, atMs, command, hash }) => ({
    event: { sequence, atMs, command: parseCommand(JSON.parse(command)), postings: [] },
    hash,
  }))
}

/** `column = any(…)` with one parameter, however many values there are. */
export function isAnyOf(
  column: SQL.Aliased | Parameters<typeof eq>[0],
  values: readonly (string | number)[],
  type: 'text' | 'bigint',
): SQL {
  return sql`${column} = any(${sql.param(values)}::${sql.raw(type)}[])`
}

/**
 * Inserts rows as one parameter, a JSON array: with a parameter a value most of a batch's time goes into parsing them. Names are the table's own,
 * and amounts travel as digits, so nothing is rounded. `onConflict` follows the rows.
 */
export async function insertRows<Table extends PgTable>(
  queries: Queries,
  table: Table,
  rows: readonly Table['$inferSelect'][],
  onConflict: SQL = sql.empty(),
): Promise<void> {
  if (rows.length === 0) return
  const columns = Object.entries(getTableColumns(table))
  const named = rows.map((row) =>
    Object.fromEntries(columns.map(([key, { name }]) => [name, plain((row as Record<string, unknown>)[key])])),
  )
  await queries.execute(
    sql`insert into ${table} select * from json_populate_recordset(null::${table}, ${JSON.stringify(named)}::json) ${onConflict}`,
  )
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
