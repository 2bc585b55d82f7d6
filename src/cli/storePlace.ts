/** Where commands find the store: the database that DATABASE_URL names, else PGlite in a folder. */

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import type {
  AccountExport,
  AccountStore,
  Database,
  DeviceStore,
  InvitationStore,
  KeyStore,
  LedgerStore,
  PairingStore,
  RecoveryStore,
  StarterStore,
  StorePlace,
  TeamStore,
} from '../coordinator/store/index.ts'
import { TabswarmError } from '../shared/index.ts'
import { UsageError } from './output.ts'

export interface StoreFlags {
  readonly data: string
}

const DATABASE_VARIABLE = 'DATABASE_URL'

export function addStoreOption(command: Command): Command {
  return command.option('--data <folder>', `the store's folder, where ${DATABASE_VARIABLE} names no Postgres`, 'data')
}

/** Throws UsageError. */
export function storePlace({ data }: StoreFlags, env: NodeJS.ProcessEnv): StorePlace {
  const url = env[DATABASE_VARIABLE] ?? ''
  if (url === '') return { kind: 'folder', folder: data }
  if (!/^postgres(ql)?:\/\//.test(url)) throw new UsageError(`${DATABASE_VARIABLE} must be postgres://USER:PASSWORD@HOST:PORT/DATABASE`)
  return { kind: 'server', url }
}

/** Runs `work` on the store, and closes it. `create`: whether a folder without a store becomes one. */
export async function withDatabase<Value>(
  flags: StoreFlags,
  create: boolean,
  work: (database: Database) => Promise<Value>,
): Promise<Value> {
  const place = storePlace(flags, process.env)
  if (place.kind === 'folder' && !create && !existsSync(place.folder))
    throw new TabswarmError('not-found', `there is no store in ${place.folder}; name its folder with --data, or set ${DATABASE_VARIABLE}`)
  const { openDatabase } = await import('../coordinator/store/index.ts')
  const database = await openDatabase(place)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** What commands about accounts ask. */
export interface OpenedAccounts {
  readonly accounts: AccountStore
  readonly devices: DeviceStore
  readonly keys: KeyStore
  readonly teams: TeamStore
  readonly invitations: InvitationStore
  readonly pairing: PairingStore
  readonly recovery: RecoveryStore
  readonly starters: StarterStore
  readonly ledger: LedgerStore
  readonly exports: AccountExport
}

/** As withDatabase, for accounts, their keys, teams and ledger. */
export function withAccounts<Value>(flags: StoreFlags, create: boolean, work: (opened: OpenedAccounts) => Promise<Value>): Promise<Value> {
  return withDatabase(flags, create, async (database) => {
    const [stores, { nodeClock }] = await Promise.all([import('../coordinator/store/index.ts'), import('../node/index.ts')])
    const tools = { clock: nodeClock, randomBytes }
    const accounts = new stores.AccountStore(database, tools)
    const ledger = await stores.LedgerStore.open(database, tools)
    const own = {
      accounts,
      devices: new stores.DeviceStore(database, accounts, tools),
      keys: new stores.KeyStore(database, tools),
      teams: new stores.TeamStore(database, accounts, tools),
      recovery: new stores.RecoveryStore(database, tools),
      ledger,
      sealed: new stores.SealedStore(database, tools),
    }
    try {
      return await work({
        ...own,
        invitations: new stores.InvitationStore(database, tools),
        pairing: new stores.PairingStore(database, ledger, tools),
        starters: new stores.StarterStore(database, ledger, tools),
        exports: new stores.AccountExport(own),
      })
    } finally {
      await ledger.close()
    }
  })
}

/** As withDatabase, for what the ledger itself is asked. */
export function withLedger<Value>(flags: StoreFlags, create: boolean, work: (ledger: LedgerStore) => Promise<Value>): Promise<Value> {
  return withDatabase(flags, create, async (database) => {
    const [{ LedgerStore }, { nodeClock }] = await Promise.all([import('../coordinator/store/index.ts'), import('../node/index.ts')])
    const ledger = await LedgerStore.open(database, { clock: nodeClock })
    try {
      return await work(ledger)
    } finally {
      await ledger.close()
    }
  })
}
