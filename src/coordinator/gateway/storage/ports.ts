/** What the gateway keeps for its clients, and where. */

import type { BatchStore, SealedStore } from '../../store/index.ts'

export interface GatewayStorage {
  readonly sealed: Pick<SealedStore, 'add' | 'find' | 'list' | 'parts' | 'indexes' | 'setHeader' | 'expire' | 'remove' | 'forget'>
  readonly batches: Pick<BatchStore, 'add' | 'find' | 'of' | 'unfinished' | 'isInput' | 'claim' | 'renew' | 'release' | 'move' | 'answer'>
}

/** What is kept for a client is gone so long after its result. */
export const KEPT_MS = 24 * 3_600_000
