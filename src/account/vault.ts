/** The browser's vault: IndexedDB through idb-keyval, shared by all tabs of this origin. Keys lie there as handles that cannot be read. */

import { createStore, get, set, type UseStore, update } from 'idb-keyval'
import type { AccountVault, KeptAccount } from './account.ts'

const NAME = 'account'

export function openAccountVault(): AccountVault {
  let opened: UseStore | null = null
  // Opened when first used: some private windows have no IndexedDB, and calls reject there.
  const store = () => {
    opened ??= createStore('tabswarm-account', 'keys')
    return opened
  }
  return {
    read: async () => (await get<KeptAccount>(NAME, store())) ?? null,
    async addFirst(account) {
      // One transaction: of two tabs that make an account at once, one is first.
      await update<KeptAccount>(NAME, (kept) => kept ?? account, store())
      return (await get<KeptAccount>(NAME, store())) ?? account
    },
    replace: (account) => set(NAME, account, store()),
  }
}
