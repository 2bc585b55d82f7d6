import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { memoryFile } from '../../../test/support/gguf.ts'
import type { Sha256 } from '../../shared/index.ts'
import type { ManifestTensor } from '../types.ts'
import { createTensorLoader, type TensorCache } from './tensorLoader.ts'

const never = new AbortController().signal
const sha256: Sha256 = async (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())
const bytes = Uint8Array.from({ length: 128 }, (_, index) => index)
const good = bytes.slice(32, 96)
const tensor: ManifestTensor = {
  name: 'blk.0.attn_q.weight',
  type: 'F32',
  shape: [16],
  byteOffset: 32,
  byteLength: 64,
  sha256: createHash('sha256').update(good).digest('hex'),
}

function mapCache(entries: Map<string, Uint8Array> = new Map()): TensorCache & { entries: Map<string, Uint8Array> } {
  return {
    entries,
    get: async (hash) => entries.get(hash) ?? null,
    put: async (hash, value) => void entries.set(hash, value),
    remove: async (hash) => void entries.delete(hash),
  }
}

describe('createTensorLoader', () => {
  it('fetches the range, checks it and keeps it; then no fetch is needed', async () => {
    const source = memoryFile(bytes)
    const cache = mapCache()
    const load = createTensorLoader({ source, sha256, cache })
    expect(await load(tensor, never)).toEqual(good)
    expect(await load(tensor, never)).toEqual(good)
    expect(source.reads).toEqual([{ byteOffset: 32, byteLength: 64 }])
    expect(cache.entries.get(tensor.sha256)).toEqual(good)
  })

  it.each([
    ['damaged', good.map((byte) => byte ^ 1)],
    ['cut', good.slice(1)],
  ])('treats a %s cache entry as missing and replaces it', async (_, entry) => {
    const source = memoryFile(bytes)
    const cache = mapCache(new Map([[tensor.sha256, entry]]))
    expect(await createTensorLoader({ source, sha256, cache })(tensor, never)).toEqual(good)
    expect(source.reads).toHaveLength(1)
    expect(cache.entries.get(tensor.sha256)).toEqual(good)
  })

  it('fetches once more when the bytes are wrong, then says whose fault it is', async () => {
    const wrong = memoryFile(new Uint8Array(128))
    const cache = mapCache()
    await expect(createTensorLoader({ source: wrong, sha256, cache })(tensor, never)).rejects.toMatchObject({
      reason: 'wrong-hash',
      message: expect.stringContaining('blk.0.attn_q.weight'),
    })
    expect(wrong.reads).toHaveLength(2)
    expect(cache.entries.size).toBe(0)
  })

  it('accepts the second fetch when only the first was wrong', async () => {
    let fetches = 0
    const source = { read: async () => (fetches++ === 0 ? new Uint8Array(64) : good) }
    expect(await createTensorLoader({ source, sha256 })(tensor, never)).toEqual(good)
  })

  it('works with a cache that fails at everything', async () => {
    const fail = () => Promise.reject(new Error('quota'))
    const load = createTensorLoader({ source: memoryFile(bytes), sha256, cache: { get: fail, put: fail, remove: fail } })
    expect(await load(tensor, never)).toEqual(good)
  })

  it('does not begin once it is told to stop', async () => {
    const stop = new AbortController()
    stop.abort()
    const source = memoryFile(bytes)
    await expect(createTensorLoader({ source, sha256 })(tensor, stop.signal)).rejects.toMatchObject({ reason: 'aborted' })
    expect(source.reads).toEqual([])
  })
})
