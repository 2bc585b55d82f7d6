/** The whole store as a running coordinator needs it: one database, all that is kept in it, one end. */

import { AccountExport } from './accountExport.ts'
import { AccountStore, type AccountTools } from './accountStore.ts'
import { BatchStore } from './batchStore.ts'
import { openDatabase, type StorePlace } from './database.ts'
import { DeviceStore } from './deviceStore.ts'
import { InvitationStore } from './invitationStore.ts'
import { KeyStore } from './keyStore.ts'
import { LedgerStore } from './ledgerStore.ts'
import { PairingStore } from './pairingStore.ts'
import { RecoveryStore } from './recoveryStore.ts'
import { SealedStore } from './sealedStore.ts'
import { StarterStore } from './starterStore.ts'
import { TeamStore } from './teamStore.ts'
import { TrustStore } from './trustStore.ts'

export interface CoordinatorStore {
  /** Other coordinators may have it too. */
  readonly isShared: boolean
  readonly accounts: AccountStore
  readonly devices: DeviceStore
  readonly pairing: PairingStore
  readonly recovery: RecoveryStore
  readonly keys: KeyStore
  readonly teams: TeamStore
  readonly invitations: InvitationStore
  readonly starters: StarterStore
  readonly ledger: LedgerStore
  readonly exports: AccountExport
  /** What clients of the API have left here for a while. */
  readonly sealed: SealedStore
  readonly batches: BatchStore
  readonly trust: TrustStore
  /** What a day brings: ended grants go back, accounts that were left are emptied, address blocks that no longer count are forgotten. */
  tidy(): Promise<void>
  /** Takes no more, and resolves when all that came before is committed and the database closed. */
  close(): Promise<void>
}

/** Rejects with a StoreError. */
export async function openStore(place: StorePlace, tools: AccountTools): Promise<CoordinatorStore> {
  const database = await openDatabase(place)
  const accounts = new AccountStore(database, tools)
  const ledger = await LedgerStore.open(database, tools)
  const pairing = new PairingStore(database, ledger, tools)
  const starters = new StarterStore(database, ledger, tools)
  const own = {
    accounts,
    devices: new DeviceStore(database, accounts, tools),
    recovery: new RecoveryStore(database, tools),
    keys: new KeyStore(database, tools),
    teams: new TeamStore(database, accounts, tools),
    ledger,
    sealed: new SealedStore(database, tools),
  }
  let closed: Promise<void> | null = null
  return {
    isShared: place.kind === 'server',
    ...own,
    pairing,
    invitations: new InvitationStore(database, tools),
    starters,
    batches: new BatchStore(database, own.sealed, tools),
    exports: new AccountExport(own),
    trust: new TrustStore(database),
    async tidy() {
      await pairing.forward()
      await accounts.forgetBlocks()
      await starters.expire()
    },
    close() {
      closed ??= ledger.close().then(() => database.close())
      return closed
    },
  }
}
