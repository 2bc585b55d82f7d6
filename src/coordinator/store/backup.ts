/**
 * Backups: every row of every table as lines of JSON, so that what was saved from PGlite can be put into Postgres and the other way round. The
 * database itself writes and reads the rows: no number passes through a double.
 */

import { getTableName, type SQL, sql } from 'drizzle-orm'
import * as v from 'valibot'
import type { AuditSummary } from '../ledger/index.ts'
import type { Database, Queries } from './database.ts'
import { StoreError } from './errors.ts'
import { openKey } from './key.ts'
import { type AuditTools, auditLines, snapshot } from './projections.ts'
import { tables } from './schema.ts'

const FORMAT = 'tabswarm-backup-1'
/** Rows of one line. */
const LINE_ROWS = 500

const lineSchema = v.union([
  v.strictObject({ format: v.literal(FORMAT), migrations: v.number() }),
  /** `rows`: a JSON array as text, which only the database reads. */
  v.strictObject({ table: v.picklist(tables.map(getTableName)), rows: v.string() }),
  v.strictObject({ end: v.literal(true) }),
])

/** Hands the lines of a backup, as of now, to `write`. */
export async function writeBackup({ queries }: Database, write: (line: string) => Promise<void> | void): Promise<void> {
  await snapshot(queries, async (view) => {
    await write(JSON.stringify({ format: FORMAT, migrations: await migrationsOf(view) }))
    for (const table of tables) {
      await view.execute(sql`declare backup cursor for select row_to_json(${table})::text as row from ${table}`)
      for (;;) {
        const rows = await rowsOf<{ row: string }>(view, sql`fetch ${sql.raw(String(LINE_ROWS))} from backup`)
        if (rows.length === 0) break
        await write(JSON.stringify({ table: getTableName(table), rows: `[${rows.map(({ row }) => row).join(',')}]` }))
      }
      await view.execute(sql`close backup`)
    }
    await write(JSON.stringify({ end: true }))
  })
}

/** Puts a backup into an empty database, all of it or nothing, and only if its ledger passes an audit. Rejects with a StoreError or LedgerError. */
export async function restoreBackup(
  { queries }: Database,
  lines: AsyncIterable<string>,
  tools: Pick<AuditTools, 'sha256' | 'verify'>,
): Promise<AuditSummary> {
  return queries.transaction(async (tx) => {
    await refuseFull(tx)
    let state: 'start' | 'rows' | 'end' = 'start'
    for await (const text of lines) {
      const line = parseLine(text)
      if ('format' in line && state === 'start') {
        const migrations = await migrationsOf(tx)
        if (line.migrations !== migrations)
          throw bad(`was written by a version with ${line.migrations} migrations, this one has ${migrations}; restore it with that version`)
        state = 'rows'
      } else if ('table' in line && state === 'rows') {
        const table = sql.identifier(line.table)
        await tx.execute(sql`insert into ${table} select * from json_populate_recordset(null::${table}, ${line.rows}::json)`)
      } else if ('end' in line && state === 'rows') state = 'end'
      else throw bad('has lines out of order')
    }
    if (state !== 'end') throw bad('ends too early')
    const { publicKey } = await openKey(tx)
    return auditLines(tx, { ...tools, publicKey })
  })
}

async function refuseFull(queries: Queries): Promise<void> {
  for (const table of tables) {
    const rows = await queries.select().from(table).limit(1)
    if (rows.length > 0) throw new StoreError('not-empty', 'a backup is only restored into an empty store; name another folder or database')
  }
}

function parseLine(text: string): v.InferOutput<typeof lineSchema> {
  try {
    return v.parse(lineSchema, JSON.parse(text))
  } catch {
    throw bad(`has a line that is none of its format: ${text.slice(0, 80)}`)
  }
}

function bad(what: string): StoreError {
  return new StoreError('bad-backup', `this is no complete backup of a store: it ${what}`)
}

async function migrationsOf(queries: Queries): Promise<number> {
  const [row] = await rowsOf<{ count: string | number }>(queries, sql`select count(*) as count from drizzle.__drizzle_migrations`)
  return Number(row?.count)
}

/** The rows of a statement of our own: both drivers give them under this name. */
async function rowsOf<Row>(queries: Queries, statement: SQL): Promise<readonly Row[]> {
  return ((await queries.execute(statement)) as { readonly rows: readonly Row[] }).rows
}
