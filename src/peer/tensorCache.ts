/** Weights for the engine: out of this browser's storage where they are kept, else over HTTP, each tensor checked by its hash. */

import { createTensorLoader, httpWeightSource, type LoadTensor } from '../model/index.ts'
import type { Clock, Sha256 } from '../shared/index.ts'
import type { WeightCache } from '../worker/index.ts'
import type { ServeRequest } from './workerApi.ts'

export interface TensorPorts {
  /** Device time in milliseconds since the epoch. */
  readonly clock: Clock
  readonly cache: WeightCache
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  readonly sha256: Sha256
}

/** Counts in `counter` what storage gave. */
export function cachedTensorLoader(
  { cache, clock, fetch, sha256 }: TensorPorts,
  { manifest, modelUrl }: Pick<ServeRequest, 'manifest' | 'modelUrl'>,
  counter: { bytesFromCache: number },
): LoadTensor {
  return createTensorLoader({
    source: httpWeightSource({ url: modelUrl, fetch: (url, init) => fetch(url, init), clock, fileBytes: manifest.fileBytes }),
    sha256,
    cache: {
      async get(key) {
        const bytes = await cache.get(key)
        counter.bytesFromCache += bytes?.byteLength ?? 0
        return bytes
      },
      put: (key, bytes) => cache.put(key, bytes),
      remove: (key) => cache.remove(key),
    },
  })
}
