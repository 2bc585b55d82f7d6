/** Tuning choices kept in this browser: IndexedDB through idb-keyval. Page and worker see the same; the page resets it. */

import { clear, createStore, get, set, type UseStore } from 'idb-keyval'
import type { TuningStore } from './webgpu/tune.ts'

let opened: UseStore | null = null

/** Opened when first used: some private windows have no IndexedDB at all, and calls reject there. */
function store(): UseStore {
  opened ??= createStore('tabswarm-tuning', 'choices')
  return opened
}

export function openTuningStore(): TuningStore {
  return {
    get: async (key) => get(key, store()),
    set: async (key, value) => set(key, value, store()),
  }
}

/** The next load measures anew. */
export async function resetTuning(): Promise<void> {
  await clear(store())
}
