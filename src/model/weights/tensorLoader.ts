/**
 * Tensors checked against the manifest before anyone uses them: from the cache where it has them, else from the source. What
 * the cache gives is checked too, so a damaged entry is only a missing one.
 */

import { type Sha256, toHex } from '../../shared/index.ts'
import { ModelError, throwIfAborted } from '../errors.ts'
import type { LoadTensor, ManifestTensor, WeightSource } from '../types.ts'

/** Keeps byte ranges by their SHA-256 in hex. It may forget whatever it likes; its failures cost a download, no more. */
export interface TensorCache {
  get(sha256: string): Promise<Uint8Array | null>
  put(sha256: string, bytes: Uint8Array): Promise<void>
  remove(sha256: string): Promise<void>
}

export interface TensorLoaderOptions {
  readonly source: WeightSource
  readonly sha256: Sha256
  readonly cache?: TensorCache
}

/** One fetch, and one more where the bytes are not those of the manifest. */
const FETCHES_MAX = 2

/** Rejects with `wrong-hash` when also the second fetch brings other bytes, and with the source's errors. */
export function createTensorLoader({ source, sha256, cache }: TensorLoaderOptions): LoadTensor {
  const matches = async (tensor: ManifestTensor, bytes: Uint8Array) =>
    bytes.byteLength === tensor.byteLength && toHex(await sha256(bytes)) === tensor.sha256
  return async (tensor, signal) => {
    throwIfAborted(signal, `loading ${tensor.name}`)
    const kept = (await cache?.get(tensor.sha256).catch(() => null)) ?? null
    if (kept !== null) {
      if (await matches(tensor, kept)) return kept
      await cache?.remove(tensor.sha256).catch(() => undefined)
    }
    const { byteOffset, byteLength } = tensor
    for (let fetches = 0; fetches < FETCHES_MAX; fetches++) {
      const bytes = await source.read({ byteOffset, byteLength }, signal)
      if (!(await matches(tensor, bytes))) continue
      await cache?.put(tensor.sha256, bytes).catch(() => undefined)
      return bytes
    }
    throw new ModelError(
      'wrong-hash',
      `the bytes of ${tensor.name} are not those of the manifest, in ${FETCHES_MAX} downloads; whoever serves this model has a damaged file`,
    )
  }
}
