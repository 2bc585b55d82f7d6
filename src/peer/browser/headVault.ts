/** The last head of the ledger that this browser has checked: IndexedDB through idb-keyval, shared by all tabs of this origin. */

import { createStore, del, get, set, type UseStore } from 'idb-keyval'
import type { LedgerHead } from '../../protocol/index.ts'
import type { HeadVault } from '../index.ts'

const NAME = 'head'

/** Rejects where the browser keeps nothing, as some private windows do. */
export function openHeadVault(): HeadVault {
  let opened: UseStore | null = null
  const store = () => {
    opened ??= createStore('tabswarm-ledger', 'heads')
    return opened
  }
  return {
    read: async () => (await get<LedgerHead>(NAME, store())) ?? null,
    write: (head) => set(NAME, head, store()),
    forget: () => del(NAME, store()),
  }
}
