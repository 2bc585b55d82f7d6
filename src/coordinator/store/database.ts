/**
 * The database under the store: PGlite in a folder that this process alone may have, PGlite in memory, or a Postgres server. All are opened with
 * every migration applied, and are the same to everybody above.
 */

import { existsSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import { dataDir } from '@electric-sql/pglite-prepopulatedfs'
import { sql } from 'drizzle-orm'
import { drizzle as drizzlePostgres } from 'drizzle-orm/node-postgres'
import { migrate as migratePostgres } from 'drizzle-orm/node-postgres/migrator'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator'
import { Pool } from 'pg'
import { tryLock } from '../../node/locks/index.ts'
import { StoreError } from './errors.ts'

export type StorePlace =
  /** Gone with the process. */
  | { readonly kind: 'memory' }
  | { readonly kind: 'folder'; readonly folder: string }
  /** `postgres://user:password@host:port/database` */
  | { readonly kind: 'server'; readonly url: string }

/** Queries in both dialects of the driver; also what a transaction hands out. */
export type Queries = Pick<
  PgDatabase<PgQueryResultHKT, Record<string, never>>,
  'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'execute' | 'transaction'
>

export interface Database {
  readonly queries: Queries
  close(): Promise<void>
}

const MIGRATIONS = { migrationsFolder: fileURLToPath(new URL('migrations', import.meta.url)) }
/** One writes at a time; the others read. */
const CONNECTIONS_MAX = 8
const CONNECT_TIMEOUT_MS = 10_000
const OWNER_ONLY = 0o700
/** Any number, the same for all coordinators: two that start at once must not both create tables. */
const MIGRATION_LOCK = 7_263_411

/** Rejects with a StoreError. */
export async function openDatabase(place: StorePlace): Promise<Database> {
  switch (place.kind) {
    case 'memory':
      return openPglite(await createPglite(null), async () => undefined)
    case 'folder':
      return openFolder(place.folder)
    case 'server':
      return openServer(place.url)
  }
}

async function openFolder(folder: string): Promise<Database> {
  const cannotOpen = (error: unknown) =>
    new StoreError(
      'cannot-open',
      `cannot open the store in ${folder}: ${text(error)}; make the folder writable, or restore a backup to another`,
      {
        cause: error,
      },
    )
  await mkdir(folder, { recursive: true }).catch((error: unknown) => Promise.reject(cannotOpen(error)))
  const lockFile = path.join(folder, 'store.lock')
  const attempt = await tryLock(lockFile, 'living').catch((error: unknown) => Promise.reject(cannotOpen(error)))
  if (attempt.kind === 'taken') {
    const { processId, hostName } = attempt.owner
    throw new StoreError(
      'in-use',
      `process ${processId} on ${hostName} has the store in ${folder}; stop it first, name another folder, or use Postgres (DATABASE_URL), which several can share. ` +
        `If ${hostName} is gone for good, delete ${lockFile}`,
    )
  }
  try {
    return await openPglite(await createPglite(await ownFolder(path.join(folder, 'pglite'))), attempt.release)
  } catch (error) {
    await attempt.release()
    throw cannotOpen(error)
  }
}

/** Its files may be read by anybody who gets there, and hold the key that signs the ledger: so nobody else gets there. */
async function ownFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: OWNER_ONLY })
  await chmod(folder, OWNER_ONLY)
  return folder
}

/** A new one from a copy: to initialize a cluster takes four seconds of processor time, in which nothing else runs here; to unpack one takes one. */
async function createPglite(folder: string | null): Promise<PGlite> {
  const isNew = folder === null || !existsSync(path.join(folder, 'PG_VERSION'))
  const files = isNew ? { loadDataDir: await dataDir() } : {}
  return folder === null ? PGlite.create(files) : PGlite.create(folder, files)
}

async function openPglite(client: PGlite, release: () => Promise<void>): Promise<Database> {
  const db = drizzlePglite({ client })
  try {
    await migratePglite(db, MIGRATIONS)
  } catch (error) {
    await client.close()
    throw error
  }
  return {
    queries: db,
    async close() {
      await client.close()
      await release()
    },
  }
}

async function openServer(url: string): Promise<Database> {
  const pool = new Pool({ connectionString: url, max: CONNECTIONS_MAX, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  // A connection that breaks while idle is replaced; whoever uses a broken one is told by its query.
  pool.on('error', () => undefined)
  try {
    const client = await pool.connect()
    try {
      const db = drizzlePostgres({ client })
      await db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`)
      await migratePostgres(db, MIGRATIONS)
      await db.execute(sql`select pg_advisory_unlock(${MIGRATION_LOCK})`)
    } finally {
      client.release()
    }
  } catch (error) {
    await pool.end()
    throw new StoreError(
      'cannot-open',
      `cannot open the database that DATABASE_URL names: ${text(error)}; start it, or correct the address`,
      {
        cause: error,
      },
    )
  }
  return { queries: drizzlePostgres({ client: pool }), close: () => pool.end() }
}

function text(error: unknown): string {
  const { cause } = error instanceof Error ? error : {}
  return cause instanceof Error ? cause.message : error instanceof Error ? error.message : String(error)
}
