/**
 * Weights kept in this browser between visits: IndexedDB through idb-keyval, one entry a tensor, keyed by its SHA-256. The loader
 * checks every hash again, so an evicted or damaged entry is only a missing one. A full disk never stops serving: what does
 * not fit is not kept.
 */

import { clear, createStore, del, get, set, type UseStore, update } from 'idb-keyval'

/** Bytes of every kept entry by key, so that the page can tell without reading them. */
const SIZES_KEY = 'sizes'
/** Left free of what the browser allows, so that other sites' data is not evicted for ours. */
const QUOTA_SHARE_MAX = 0.8

type Sizes = Readonly<Record<string, number>>

export interface WeightCache {
  get(sha256: string): Promise<Uint8Array | null>
  /** Resolves also when the entry could not be kept. */
  put(sha256: string, bytes: Uint8Array): Promise<void>
  remove(sha256: string): Promise<void>
}

export interface WeightStorage {
  readonly keptBytes: number
  /** What the browser allows this site in all; null where it does not say. */
  readonly quotaBytes: number | null
}

export function openWeightCache(storage: StorageManager): WeightCache {
  const store = openStore()
  return {
    async get(sha256) {
      const bytes: unknown = await get(sha256, store).catch(() => null)
      return bytes instanceof Uint8Array ? bytes : null
    },
    async put(sha256, bytes) {
      try {
        if (!(await hasRoom(storage, bytes.byteLength))) return
        // A view would take its whole buffer along.
        await set(sha256, bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice(), store)
        await update<Sizes>(SIZES_KEY, (sizes) => ({ ...sizes, [sha256]: bytes.byteLength }), store)
      } catch {
        // Quota, private mode, a broken profile: serving goes on without the cache.
      }
    },
    async remove(sha256) {
      await del(sha256, store).catch(() => undefined)
      await update<Sizes>(
        SIZES_KEY,
        (sizes) => Object.fromEntries(Object.entries(sizes ?? {}).filter(([key]) => key !== sha256)),
        store,
      ).catch(() => undefined)
    },
  }
}

export async function measureWeightCache(storage: StorageManager): Promise<WeightStorage> {
  const sizes = (await get<Sizes>(SIZES_KEY, openStore()).catch(() => undefined)) ?? {}
  const estimate = await storage.estimate().catch(() => null)
  return { keptBytes: Object.values(sizes).reduce((sum, bytes) => sum + bytes, 0), quotaBytes: estimate?.quota ?? null }
}

export async function deleteWeightCache(): Promise<void> {
  await clear(openStore())
}

async function hasRoom(storage: StorageManager, byteLength: number): Promise<boolean> {
  const estimate = await storage.estimate()
  if (estimate.quota === undefined || estimate.usage === undefined) return true
  return estimate.usage + byteLength <= QUOTA_SHARE_MAX * estimate.quota
}

function openStore(): UseStore {
  return createStore('tabswarm-weights', 'tensors')
}
