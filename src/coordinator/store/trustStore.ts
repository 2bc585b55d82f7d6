/** TrustStore: what audits of each account's work have found, kept for the coordinator that comes next. */

import { sql } from 'drizzle-orm'
import type { HolderId, TrustRecord } from '../verification/index.ts'
import type { Database, Queries } from './database.ts'
import { insertRows } from './rows.ts'
import { trust } from './trustSchema.ts'

export class TrustStore {
  readonly #queries: Queries

  constructor({ queries }: Database) {
    this.#queries = queries
  }

  /** Of everybody of whom anything is known. */
  async load(): Promise<readonly (readonly [HolderId, TrustRecord])[]> {
    const rows = await this.#queries.select().from(trust)
    return rows.map(({ holder, ...record }) => [holder, record])
  }

  /** In place of what was kept of these before; all or none. */
  async save(records: ReadonlyMap<HolderId, TrustRecord>): Promise<void> {
    const rows = [...records].map(([holder, record]) => ({ holder, ...record, strikesMs: record.strikesMs.map(Math.floor) }))
    const columns = sql.raw('valid_in_a_row, since_audit, failures, strikes_ms')
    const excluded = sql.raw('excluded.valid_in_a_row, excluded.since_audit, excluded.failures, excluded.strikes_ms')
    await insertRows(this.#queries, trust, rows, sql`on conflict (holder) do update set (${columns}) = (${excluded})`)
  }
}
