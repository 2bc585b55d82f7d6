/**
 * The browser's vault: IndexedDB through idb-keyval, shared by all tabs of this origin. Keys lie there as handles that cannot be read. Where a
 * browser keeps nothing, as some private windows do, one in memory stands in for it.
 */

import { createStore, get, set, type UseStore, update } from 'idb-keyval'
import type { AccountVault, KeptAccount } from './account.ts'

const NAME = 'account'
/** Between the tabs of this origin: that it was replaced, not by what. */
const CHANNEL = 'tabswarm-account'

export function openAccountVault(): AccountVault {
  let opened: UseStore | null = null
  const channel = new BroadcastChannel(CHANNEL)
  // Opened when first used: some private windows have no IndexedDB, and calls reject there.
  const store = () => {
    opened ??= createStore('tabswarm-account', 'keys')
    return opened
  }
  return {
    isKept: true,
    read: async () => (await get<KeptAccount>(NAME, store())) ?? null,
    async addFirst(account) {
      // One transaction: of two tabs that make an account at once, one is first.
      await update<KeptAccount>(NAME, (kept) => kept ?? account, store())
      return (await get<KeptAccount>(NAME, store())) ?? account
    },
    async replace(account) {
      await set(NAME, account, store())
      channel.postMessage(null)
    },
    onReplaced(listener) {
      channel.onmessage = listener
    },
  }
}

/** Ends with the tab. */
export function memoryVault(): AccountVault {
  let kept: KeptAccount | null = null
  return {
    isKept: false,
    read: async () => kept,
    async addFirst(account) {
      kept ??= account
      return kept
    },
    async replace(account) {
      kept = account
    },
    onReplaced: () => undefined,
  }
}
