/** The stores that every test of the store runs on: PGlite in a folder, and Postgres. */

import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sql } from 'drizzle-orm'
import { inject, onTestFinished } from 'vitest'
import { type Database, LedgerStore, openDatabase, type StorePlace } from '../../../src/coordinator/store/index.ts'
import { nodeClock } from '../../../src/node/modelFile.ts'
import { createDatabase } from '../postgres.ts'

export const storeKinds = ['pglite', 'postgres'] as const
export type StoreKind = (typeof storeKinds)[number]

/** An empty place, which is gone after the test. */
export async function freshPlace(kind: StoreKind): Promise<StorePlace> {
  const { place, remove } = await newPlace(kind)
  onTestFinished(remove)
  return place
}

async function newPlace(kind: StoreKind): Promise<{ readonly place: StorePlace; readonly remove: () => void }> {
  // The server's databases go with the server.
  if (kind === 'postgres') return { place: { kind: 'server', url: await createDatabase(inject('postgresUrl')) }, remove: () => undefined }
  const folder = mkdtempSync(path.join(tmpdir(), 'tabswarm-store-'))
  // A new one takes seconds.
  cpSync(inject('pgliteFolder'), folder, { recursive: true })
  return { place: { kind: 'folder', folder }, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export interface SharedDatabase {
  readonly place: StorePlace
  readonly database: Database
  /** Closes it, and what it lay in is gone. */
  close(): Promise<void>
  /** What it lay in is gone; somebody else has closed it. */
  remove(): void
}

/** A database for the tests of one describe: for beforeAll, where nothing can be left to the end of a test. */
export async function shareDatabase(kind: StoreKind): Promise<SharedDatabase> {
  const { place, remove } = await newPlace(kind)
  const database = await openDatabase(place)
  return { place, database, close: () => database.close().then(remove), remove }
}

export interface OpenedStore {
  readonly store: LedgerStore
  readonly database: Database
  close(): Promise<void>
}

/** Closes after the test at the latest. */
export async function openStore(place: StorePlace, clock = nodeClock): Promise<OpenedStore> {
  const database = await openDatabase(place)
  const store = await LedgerStore.open(database, { clock })
  let closed: Promise<void> | null = null
  const close = () => {
    closed ??= store.close().then(() => database.close())
    return closed
  }
  onTestFinished(close)
  return { store, database, close }
}

/** One statement of our own, past all rules. */
export async function runSql({ database }: Pick<OpenedStore, 'database'>, statement: string): Promise<void> {
  await database.queries.execute(sql.raw(statement))
}
