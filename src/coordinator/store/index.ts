/** coordinator/store: what must survive the coordinator, in PGlite or Postgres. Import it late: it is heavy. */

export { restoreBackup, writeBackup } from './backup.ts'
export type { Receipt } from './batch.ts'
export { type Database, openDatabase, type StorePlace } from './database.ts'
export type { StoreError, StoreErrorReason } from './errors.ts'
export { LedgerStore, type LedgerStoreOptions } from './ledgerStore.ts'
export type { Balance } from './reading.ts'
export type { RecordedEvent } from './rows.ts'
