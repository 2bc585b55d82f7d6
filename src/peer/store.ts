/** The page's picture of this peer, as one zustand store that the runtime fills. */

import { createStore, type StoreApi } from 'zustand/vanilla'
import type { PeerState } from './types.ts'

export function createPeerStore(): StoreApi<PeerState> {
  return createStore<PeerState>(() => ({
    connection: { kind: 'connecting' },
    reach: null,
    account: null,
    accountKeeping: null,
    removedAtMs: null,
    verdicts: [],
    bills: new Map(),
    audits: new Map(),
    ledgerAlarm: null,
    prices: new Map(),
    volunteer: { kind: 'off' },
    contributingAs: null,
    network: null,
    storage: null,
    defaultModelId: null,
    draftOffers: [],
    draftModel: { kind: 'off' },
  }))
}
