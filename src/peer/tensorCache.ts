/** Weights for the engine: out of this browser's storage where they are kept, else over HTTP, each tensor checked by its hash. */

import { createTensorLoader, httpWeightSource, type LoadTensor, spanBytes } from '../model/index.ts'
import type { Clock, Sha256 } from '../shared/index.ts'
import type { Engine, WeightCache } from '../worker/index.ts'
import type { LoadProgress, ServeRequest } from './workerApi.ts'

export interface TensorPorts {
  /** Device time in milliseconds since the epoch. */
  readonly clock: Clock
  readonly cache: WeightCache
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  readonly sha256: Sha256
}

export interface LoadListener {
  readonly onProgress: (progress: LoadProgress) => void
  readonly signal: AbortSignal
}

/** Fills the engine. Rejects as `Engine.load` does. */
export function loadSpan(
  ports: TensorPorts,
  engine: Engine,
  request: Omit<ServeRequest, 'manifestHash'>,
  { onProgress, signal }: LoadListener,
): Promise<void> {
  const { manifest, span, memoryBytesMax, kvPositions } = request
  const counter = { bytesFromCache: 0 }
  const bytesTotal = spanBytes(manifest, span)
  return engine.load({
    manifest,
    span,
    loadTensor: cachedTensorLoader(ports, request, counter),
    memoryBytesMax,
    kvPositions,
    onProgress: (bytesLoaded) => onProgress({ bytesLoaded, bytesTotal, bytesFromCache: counter.bytesFromCache }),
    signal,
  })
}

/** Counts in `counter` what storage gave. */
function cachedTensorLoader(
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
