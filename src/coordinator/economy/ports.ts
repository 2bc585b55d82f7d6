/** What the economy asks of others: the store, and whoever speaks with peers. */

import type { ServerMessage } from '../../protocol/index.ts'
import type { ErrorBody, PeerId } from '../../shared/index.ts'
import type {
  AccountExport,
  AccountStore,
  DeviceStore,
  InvitationStore,
  KeyStore,
  LedgerStore,
  PairingStore,
  RecoveryStore,
  StarterStore,
  TeamStore,
  TrustStore,
} from '../store/index.ts'

export interface EconomyStore {
  /** Other coordinators may have it too: what is open in it may be theirs. */
  readonly isShared: boolean
  readonly accounts: Pick<AccountStore, 'contact' | 'ties' | 'record' | 'count' | 'search' | 'change' | 'erase'>
  readonly devices: Pick<DeviceStore, 'list' | 'rename' | 'remove' | 'removalNoted'>
  readonly pairing: Pick<PairingStore, 'create' | 'join'>
  readonly recovery: Pick<RecoveryStore, 'keep' | 'find'>
  readonly keys: Pick<KeyStore, 'create' | 'list' | 'revoke' | 'authorize' | 'reserve' | 'move' | 'giveBack'>
  readonly teams: Pick<TeamStore, 'create' | 'change' | 'add' | 'remove' | 'roleOf' | 'of' | 'members' | 'invitationCount' | 'setBudget'>
  readonly invitations: Pick<InvitationStore, 'create' | 'takeBack' | 'accept'>
  readonly starters: Pick<StarterStore, 'grant' | 'issuedToday'>
  readonly ledger: Pick<
    LedgerStore,
    | 'post'
    | 'balances'
    | 'paid'
    | 'open'
    | 'prices'
    | 'statementPage'
    | 'totals'
    | 'spendable'
    | 'audit'
    | 'head'
    | 'consistency'
    | 'proven'
  >
  readonly exports: Pick<AccountExport, 'facts' | 'keys' | 'lines'>
  readonly trust: Pick<TrustStore, 'load' | 'save'>
  /** The day's work: ended grants, left accounts, address blocks that no longer count. */
  tidy(): Promise<void>
  /** Resolves when all that was acknowledged is safe. */
  close(): Promise<void>
}

export interface PeerPorts {
  /** Nothing happens where the peer is not connected. */
  tell(peerId: PeerId, message: ServerMessage): void
  /** Says why, and closes its socket. */
  fail(peerId: PeerId, error: ErrorBody): void
}
