import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { memoryFile, testData, tinyLlama, writeGguf } from '../../test/support/gguf.ts'
import type { ModelId, Sha256 } from '../shared/index.ts'
import { readGguf } from './gguf/readGguf.ts'
import { buildManifest, canonicalJson, hashManifest, modelIdFromFileName, parseManifest, parseManifestJson } from './manifest.ts'
import { headMultiplyAccumulates, layerMultiplyAccumulates, spanBytes, spanParts } from './spans.ts'
import type { Manifest } from './types.ts'

const never = new AbortController().signal
const sha256: Sha256 = async (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())

async function build(bytes: Uint8Array, onProgress?: (done: number, total: number) => void) {
  const source = memoryFile(bytes)
  const file = await readGguf(source, never)
  return buildManifest({ source, file, id: 'tiny' as ModelId, sha256, signal: never, ...(onProgress === undefined ? {} : { onProgress }) })
}

describe('buildManifest', () => {
  it('names range and hash of every tensor and of the header', async () => {
    const bytes = testData('tiny/llama.gguf')
    const progress: number[] = []
    const { manifest } = await build(bytes, (done, total) => progress.push(done / total))
    expect(manifest.tensors).toHaveLength(21)
    for (const { byteOffset, byteLength, sha256: hash } of manifest.tensors)
      expect(
        createHash('sha256')
          .update(bytes.subarray(byteOffset, byteOffset + byteLength))
          .digest('hex'),
      ).toBe(hash)
    expect(createHash('sha256').update(bytes.subarray(0, manifest.header.byteLength)).digest('hex')).toBe(manifest.header.sha256)
    expect(progress).toHaveLength(21)
    expect(progress.at(-1)).toBe(1)
  })

  it('has a hash that survives JSON and changes with any byte of a tensor', async () => {
    const bytes = writeGguf(tinyLlama())
    const first = await build(bytes)
    expect(await hashManifest(parseManifest(JSON.parse(JSON.stringify(first.manifest))), sha256)).toBe(first.hash)
    const changed = bytes.slice()
    changed[changed.length - 1] = 99
    expect((await build(changed)).hash).not.toBe(first.hash)
  })

  it('stops when it is told to', async () => {
    const source = memoryFile(writeGguf(tinyLlama()))
    const file = await readGguf(source, never)
    const stop = new AbortController()
    const onProgress = () => stop.abort()
    await expect(buildManifest({ source, file, id: 'tiny' as ModelId, sha256, signal: stop.signal, onProgress })).rejects.toMatchObject({
      reason: 'aborted',
    })
  })
})

describe('canonicalJson', () => {
  it('sorts keys at every depth and keeps the order of lists', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: 'ä"' })).toBe('{"a":"ä\\"","b":[{"c":null,"d":1}]}')
  })
})

describe('parseManifest', () => {
  const good = async (): Promise<Manifest> => (await build(writeGguf(tinyLlama()))).manifest
  const [first, second] = [0, 1]

  it('accepts what buildManifest makes', async () => {
    const manifest = await good()
    expect(parseManifestJson(canonicalJson(manifest))).toEqual(manifest)
    expect(() => parseManifestJson('{"format":')).toThrow(expect.objectContaining({ reason: 'bad-manifest' }))
    expect(parseManifest(manifest)).toEqual(manifest)
  })

  const changed: [string, (manifest: Manifest) => unknown, RegExp][] = [
    ['something else', () => 'manifest', /Invalid type/],
    ['an unknown field', (manifest) => ({ ...manifest, extra: 1 }), /extra/],
    ['an unknown architecture', (manifest) => ({ ...manifest, config: { ...manifest.config, architecture: 'x' } }), /architecture/],
    ['a million layers', (manifest) => ({ ...manifest, config: { ...manifest.config, layerCount: 1_000_000 } }), /layerCount/],
    ['a fractional size', (manifest) => ({ ...manifest, config: { ...manifest.config, width: 32.5 } }), /width/],
    ['a hash that is none', (manifest) => ({ ...manifest, header: { ...manifest.header, sha256: 'AB' } }), /header\.sha256/],
    ['a missing tensor', (manifest) => ({ ...manifest, tensors: manifest.tensors.slice(1) }), /no tensor token_embd/],
    ['a tensor twice', (manifest) => ({ ...manifest, tensors: [...manifest.tensors, manifest.tensors[first]] }), /twice|overlaps/],
    ['a wrong length', (manifest) => withTensor(manifest, first, { byteLength: 4 }), /cannot have 4 bytes/],
    ['a tensor in the header', (manifest) => withTensor(manifest, first, { byteOffset: 0 }), /overlaps/],
    [
      'overlapping tensors',
      (manifest) => withTensor(manifest, second, { byteOffset: (manifest.tensors[first]?.byteOffset ?? 0) + 4 }),
      /overlaps/,
    ],
    ['a tensor beyond the file', (manifest) => ({ ...manifest, fileBytes: manifest.fileBytes - 1 }), /end after/],
    ['a NaN', (manifest) => ({ ...manifest, config: { ...manifest.config, rmsEpsilon: Number.NaN } }), /rmsEpsilon/],
    ['impossible heads', (manifest) => ({ ...manifest, config: { ...manifest.config, kvHeadCount: 3 } }), /multiple of 3/],
  ]
  it.each(changed)('refuses %s', async (_, change, message) => {
    const value = change(await good())
    expect(() => parseManifest(value)).toThrow(expect.objectContaining({ reason: 'bad-manifest', message: expect.stringMatching(message) }))
  })
})

function withTensor(manifest: Manifest, index: number, change: object): unknown {
  return { ...manifest, tensors: manifest.tensors.map((tensor, at) => (at === index ? { ...tensor, ...change } : tensor)) }
}

describe('spans', () => {
  const names = (manifest: Manifest, firstLayer: number, endLayer: number) =>
    spanParts(manifest, { firstLayer, endLayer }).map(({ name }) => name)

  it('gives the embedding to the first span, norm and head to the last, and each layer to one', async () => {
    const { manifest } = await build(testData('tiny/llama.gguf'))
    const head = names(manifest, 0, 1)
    const tail = names(manifest, 1, 2)
    expect(head).toContain('token_embd.weight')
    expect(head).not.toContain('output.weight')
    expect(tail).toContain('output.weight')
    expect(tail).toContain('output_norm.weight')
    expect(tail).not.toContain('token_embd.weight')
    expect([...head, ...tail].sort()).toEqual(manifest.tensors.map(({ name }) => name).sort())
  })

  it('gives a tied head to both ends, once to a span that is both, and the RoPE divisors to every span', async () => {
    const { manifest } = await build(testData('tiny/llama3-rope.gguf'))
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [0, 2],
    ] as const) {
      expect(names(manifest, from, to).filter((name) => name === 'token_embd.weight')).toHaveLength(1)
      expect(names(manifest, from, to)).toContain('rope_freqs.weight')
    }
    expect(spanBytes(manifest, { firstLayer: 0, endLayer: 2 })).toBe(manifest.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0))
  })

  it('counts multiply-accumulates of a layer and of the head', async () => {
    const { manifest } = await build(testData('tiny/llama.gguf'))
    const { config } = manifest
    expect(layerMultiplyAccumulates(config)).toBe(128 * 128 * 2 + 128 * 64 * 2 + 3 * 128 * 256)
    expect(headMultiplyAccumulates(config)).toBe(128 * 512)
  })

  it('asserts that the span is one', async () => {
    const { manifest } = await build(writeGguf(tinyLlama()))
    for (const [from, to] of [
      [0, 0],
      [0, 2],
      [-1, 1],
      [0.5, 1],
    ] as const)
      expect(() => names(manifest, from, to)).toThrow(/span \[/)
  })
})

describe('modelIdFromFileName', () => {
  it('keeps what an id can hold', () => {
    expect(modelIdFromFileName('/a/SmolLM2-135M Instruct.Q4_1.GGUF')).toBe('smollm2-135m-instruct.q4_1')
    expect(modelIdFromFileName('???')).toBe('model')
  })
})
