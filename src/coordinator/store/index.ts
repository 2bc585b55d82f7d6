/** coordinator/store: what must survive the coordinator, in PGlite or Postgres. Import it late: it is heavy. */

export { type AccountDetails, AccountStore, type AccountTools, type Contact } from './accountStore.ts'
export { restoreBackup, writeBackup } from './backup.ts'
export type { Receipt } from './batch.ts'
export { type Database, openDatabase, type StorePlace } from './database.ts'
export type { StoreError, StoreErrorReason } from './errors.ts'
export { type CreatedKey, KeyStore } from './keyStore.ts'
export { LedgerStore, type LedgerStoreOptions, type StatementTaker } from './ledgerStore.ts'
export { PairingStore, type ShownCode } from './pairingStore.ts'
export type { Balance } from './reading.ts'
export type { RecordedEvent } from './rows.ts'
export { type StarterGrant, StarterStore } from './starterStore.ts'
export { type Team, TeamStore } from './teamStore.ts'
