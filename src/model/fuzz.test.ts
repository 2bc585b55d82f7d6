/**
 * Whatever a file or a stranger sends: a ModelError with a message, or a model whose parts fit together. Damaged real headers, headers that lie
 * in their fields, damaged manifests. Longer: FUZZ_RUNS=100000. Seeds that once failed have tests of their own in
 * readGguf.test.ts, config.test.ts and manifest.test.ts.
 */

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changedTiny, memoryFile, testData, type WrittenFile, type WrittenValue, writeGguf } from '../../test/support/gguf.ts'
import { tinyModelNames } from '../../test/support/tinyModels.ts'
import { createChatTemplate } from './chatTemplate.ts'
import { checkConfig, readModel } from './config.ts'
import { ModelError } from './errors.ts'
import { type GgufFile, readGguf } from './gguf/readGguf.ts'
import { buildManifest, modelIdFromFileName, parseManifest, parseManifestJson } from './manifest.ts'
import { blockBytes, blockSize, tensorTypes } from './quants.ts'
import { layerMultiplyAccumulates, spanBytes, spanParts } from './spans.ts'
import { createTokenizer } from './tokenizer/tokenizer.ts'
import type { Manifest, TensorInfo } from './types.ts'

const runs = (share: number) => ({
  numRuns: Math.ceil(Number(process.env.FUZZ_RUNS ?? 400) * share),
  seed: Number(process.env.FUZZ_SEED ?? 4),
})
const never = new AbortController().signal
const sha256 = async (data: Uint8Array) => new Uint8Array(createHash('sha256').update(data).digest())

/** The outcome, or the ModelError; anything else that is thrown fails the test. */
async function outcome<T>(work: () => T | Promise<T>): Promise<T | ModelError> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ModelError)) throw new Error(`not a ModelError: ${error instanceof Error ? error.stack : String(error)}`)
    expect(error.message.length).toBeGreaterThan(20)
    expect(error.message.length).toBeLessThan(3_000)
    return error
  }
}

/** Reads `bytes` as far as it goes; everything accepted must be consistent. */
async function readAll(bytes: Uint8Array): Promise<'refused' | 'no-model' | 'model'> {
  const file = memoryFile(bytes)
  const gguf = await outcome(() => readGguf(file, never))
  // Windows grow and are never read twice: work and memory are bounded by the file.
  expect(file.reads.reduce((sum, read) => sum + read.byteLength, 0)).toBeLessThanOrEqual(bytes.byteLength)
  if (gguf instanceof ModelError) return 'refused'
  checkTable(gguf, bytes.byteLength)
  const tokenizer = await outcome(() => createTokenizer(gguf.metadata))
  if (!(tokenizer instanceof ModelError)) {
    for (const id of tokenizer.encode('Wie geht’s? <|im_end|>\n\n 123')) expect(id).toBeLessThan(tokenizer.vocabularySize)
    await outcome(() => createChatTemplate(gguf.metadata, tokenizer))
  }
  const model = await outcome(() => readModel(gguf))
  if (model instanceof ModelError) return 'no-model'
  checkConfig(model.config)
  const request = { source: memoryFile(bytes), file: gguf, id: modelIdFromFileName('x'), sha256, signal: never }
  const built = await outcome(() => buildManifest(request))
  if (built instanceof ModelError) return 'no-model'
  checkManifest(parseManifest(JSON.parse(JSON.stringify(built.manifest))))
  return 'model'
}

function checkTable(gguf: GgufFile, fileBytes: number): void {
  const names = new Set(gguf.tensors.map(({ name }) => name))
  expect(names.size).toBe(gguf.tensors.length)
  let end = gguf.headerBytes.byteLength
  for (const tensor of [...gguf.tensors].sort((a, b) => a.byteOffset - b.byteOffset)) {
    expect(tensor.byteOffset).toBeGreaterThanOrEqual(end)
    expect(tensor.byteLength).toBeGreaterThan(0)
    end = tensor.byteOffset + tensor.byteLength
    checkBytes(tensor)
  }
  expect(end).toBeLessThanOrEqual(fileBytes)
}

function checkBytes({
  type,
  shape,
  byteLength,
}: {
  readonly type: string
  readonly shape: readonly number[]
  readonly byteLength: number
}): void {
  const known = tensorTypes.find((name) => name === type)
  if (known === undefined) return
  const elements = shape.reduce((product, size) => product * size, 1)
  expect((byteLength / blockBytes(known)) * blockSize(known)).toBe(elements)
}

function checkManifest(manifest: Manifest): void {
  checkConfig(manifest.config)
  const { layerCount } = manifest.config
  const whole = spanParts(manifest, { firstLayer: 0, endLayer: layerCount })
  expect(new Set(whole.map(({ name }) => name)).size).toBe(whole.length)
  for (const tensor of manifest.tensors) checkBytes(tensor satisfies TensorInfo)
  expect(spanBytes(manifest, { firstLayer: 0, endLayer: layerCount })).toBeLessThanOrEqual(manifest.fileBytes)
  expect(Number.isSafeInteger(layerMultiplyAccumulates(manifest.config))).toBe(true)
}

const headers = await Promise.all(
  tinyModelNames.map(async (name) => {
    const bytes = testData(`tiny/${name}.gguf`)
    return { bytes, headerBytes: (await readGguf(memoryFile(bytes), never)).headerBytes.byteLength }
  }),
)

describe('damaged bytes of a real header', () => {
  const damage = fc.oneof(
    fc.record({ kind: fc.constant('flip' as const), at: fc.double({ min: 0, max: 1, noNaN: true }), bit: fc.nat(7) }),
    fc.record({
      kind: fc.constant('write' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 9 }),
        fc.constantFrom(
          ...[0, 1, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63].map((value) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)),
        ),
        fc.constant(new Uint8Array(8).fill(255)),
      ),
    }),
    fc.record({
      kind: fc.constant('copy' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.nat(64),
    }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  /** Most of a tiny file's header is its tokenizer: half of the hits go to the metadata before it and the tensor table behind. */
  const place = (at: number, headerBytes: number) => {
    const edge = at < 0.25 ? at * 4 * 1_500 : at > 0.75 ? headerBytes - (at - 0.75) * 4 * 2_000 : at * headerBytes
    return Math.max(0, Math.min(headerBytes - 1, Math.floor(edge)))
  }

  it('gives a ModelError or a model whose parts fit', async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.nat(headers.length - 1), fc.array(damage, { minLength: 1, maxLength: 4 }), async (index, changes) => {
        const { bytes, headerBytes } = headers[index] ?? { bytes: new Uint8Array(0), headerBytes: 0 }
        let damaged = bytes.slice()
        for (const change of changes) {
          const at = Math.min(place(change.at, headerBytes), damaged.length)
          if (change.kind === 'flip') damaged.set([(damaged[at] ?? 0) ^ (1 << change.bit)].slice(0, damaged.length - at), at)
          else if (change.kind === 'write') damaged.set(change.bytes.subarray(0, damaged.length - at), at)
          else if (change.kind === 'copy')
            damaged.copyWithin(at, place(change.from, headerBytes), place(change.from, headerBytes) + change.length)
          else damaged = damaged.slice(0, at)
        }
        seen.add(await readAll(damaged))
      }),
      runs(1),
    )
    expect(seen).toContain('refused')
    expect(seen.size).toBeGreaterThan(1)
  })
})

describe('headers that lie in their fields', () => {
  const extreme = fc.constantFrom(0, 1, 2, 3, 7, 31, 32, 33, 255, 256, 65_535, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 40, 2 ** 47, 2 ** 53, 2 ** 60)
  const bytes = (...parts: (Uint8Array | number[])[]) => new Uint8Array(Buffer.concat(parts.map((part) => Uint8Array.from(part))))
  const nested = (depth: number, count: bigint) =>
    bytes(
      ...Array.from({ length: depth }, () => [
        ...new Uint8Array(Uint32Array.of(9).buffer),
        ...new Uint8Array(BigUint64Array.of(count).buffer),
      ]),
      new Array<number>(32).fill(0),
    )
  const value: fc.Arbitrary<WrittenValue | null> = fc.oneof(
    fc.constant(null),
    fc.nat(2 ** 32 - 1).map((number): WrittenValue => ({ type: 'uint32', value: number })),
    extreme.map((number): WrittenValue => ({ type: 'uint64', value: number })),
    fc
      .oneof(fc.float(), fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-38))
      .map((number): WrittenValue => ({ type: 'float32', value: number })),
    fc.boolean().map((flag): WrittenValue => ({ type: 'bool', value: flag })),
    fc
      .oneof(fc.constantFrom('yarn', 'linear', 'longrope', 'llama', 'gemma3', 'qwen3moe', ''), fc.string({ maxLength: 200 }))
      .map((text): WrittenValue => ({ type: 'string', value: text })),
    fc.array(fc.nat(70_000), { maxLength: 9 }).map((numbers): WrittenValue => ({ type: 'ints', value: numbers })),
    fc.uint8Array({ maxLength: 40 }).map(
      (raw): WrittenValue => ({
        type: 'raw',
        typeId: 8,
        value: bytes(new Uint8Array(BigUint64Array.of(BigInt(raw.length)).buffer), raw),
      }),
    ),
    fc
      .record({ depth: fc.integer({ min: 1, max: 6 }), count: fc.constantFrom(0n, 1n, 2n, 2n ** 24n, 2n ** 63n) })
      .map(({ depth, count }): WrittenValue => ({ type: 'raw', typeId: 9, value: nested(depth, count) })),
  )
  const lie = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('value' as const), index: fc.nat(), value }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const), index: fc.nat() }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('tensor' as const),
        index: fc.nat(),
        field: fc.constantFrom('offset' as const, 'typeId' as const, 'axis' as const),
        value: extreme,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('name' as const),
        index: fc.nat(),
        name: fc.oneof(fc.constantFrom('', 'output.weight', 'blk.0.attn_q.weight', 'x'.repeat(65)), fc.string({ unit: 'binary' })),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('count' as const),
        field: fc.constantFrom('keyCount' as const, 'tensorCount' as const, 'version' as const, 'alignment' as const),
        value: extreme,
      }),
    },
  )
  type Lie = typeof lie extends fc.Arbitrary<infer T> ? T : never

  function tell(file: WrittenFile, change: Lie): WrittenFile {
    const { metadata = [], tensors = [] } = file
    const at =
      'index' in change ? change.index % (change.kind === 'value' || change.kind === 'repeat' ? metadata.length : tensors.length) : 0
    switch (change.kind) {
      case 'value':
        return {
          ...file,
          metadata: metadata.flatMap((entry, i) => (i !== at ? [entry] : change.value === null ? [] : [[entry[0], change.value] as const])),
        }
      case 'repeat':
        return { ...file, metadata: [...metadata, metadata[at] ?? ['x', { type: 'bool', value: true }]] }
      case 'name':
        return { ...file, tensors: tensors.map((tensor, i) => (i === at ? { ...tensor, name: change.name } : tensor)) }
      case 'tensor': {
        const lied = (tensor: (typeof tensors)[number]) =>
          change.field === 'axis'
            ? { ...tensor, shape: tensor.shape.map((size, axis) => (axis === change.index % 2 ? change.value : size)) }
            : { ...tensor, [change.field]: change.value % 2 ** 32 }
        return { ...file, tensors: tensors.map((tensor, i) => (i === at ? lied(tensor) : tensor)) }
      }
      case 'count':
        if (change.field === 'alignment')
          return { ...file, metadata: [...metadata, ['general.alignment', { type: 'uint64', value: change.value }]] }
        return { ...file, [change.field]: change.field === 'version' ? change.value % 2 ** 32 : change.value }
    }
  }

  it('gives a ModelError or a model whose parts fit', async () => {
    const files = await Promise.all(tinyModelNames.map((name) => changedTiny(name)))
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.nat(files.length - 1), fc.array(lie, { minLength: 1, maxLength: 3 }), async (index, lies) => {
        const file = lies.reduce(tell, files[index] ?? {})
        seen.add(await readAll(writeGguf(file)))
      }),
      runs(0.5),
    )
    expect(seen).toEqual(new Set(['refused', 'no-model', 'model']))
  })
})

describe('damaged manifests', () => {
  const real = Promise.all(
    headers.map(async ({ bytes }) => {
      const file = await readGguf(memoryFile(bytes), never)
      const { manifest } = await buildManifest({ source: memoryFile(bytes), file, id: modelIdFromFileName('x'), sha256, signal: never })
      return JSON.stringify(manifest)
    }),
  )
  const replacement = fc.oneof(
    fc.constantFrom<unknown>(null, true, '', 'Q4_0', 'llama', 'gemma3', [], {}, 0, -1, 0.5, 1, 2, 31, 2 ** 31, 2 ** 47, 2 ** 53, 1e300, -0),
    fc.jsonValue({ maxDepth: 2 }),
  )
  const change = fc.record({
    path: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('replace', 'delete', 'add', 'swap'),
    value: replacement,
  })

  /** Walks to a random place of the tree and damages it there. */
  function damage(
    root: unknown,
    { path, kind, value }: { readonly path: readonly number[]; readonly kind: string; readonly value: unknown },
  ): void {
    let node = root
    for (const [depth, step] of path.entries()) {
      if (typeof node !== 'object' || node === null) return
      const keys = Object.keys(node)
      const key = keys[step % Math.max(1, keys.length)] ?? 'x'
      const next: unknown = Reflect.get(node, key)
      const stop = depth === path.length - 1 || typeof next !== 'object' || next === null
      if (!stop) node = next
      else if (kind === 'replace') return void Reflect.set(node, key, value)
      else if (kind === 'delete') return void (Array.isArray(node) ? node.splice(Number(key), 1) : Reflect.deleteProperty(node, key))
      else if (kind === 'add') return void (Array.isArray(node) ? node.push(structuredClone(next)) : Reflect.set(node, '__proto__x', value))
      else return void Reflect.set(node, key, Reflect.get(node, keys[(step + 1) % keys.length] ?? 'x'))
    }
  }

  it('are refused as such, or are consistent', async () => {
    const texts = await real
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.nat(texts.length - 1), fc.array(change, { minLength: 1, maxLength: 3 }), async (index, changes) => {
        const value: unknown = JSON.parse(texts[index] ?? '')
        for (const one of changes) damage(value, one)
        const parsed = await outcome(() => parseManifest(value))
        if (!(parsed instanceof ModelError)) return checkManifest(parsed)
        expect(parsed.reason).toBe('bad-manifest')
        refused++
      }),
      runs(1),
    )
    expect(refused).toBeGreaterThan(0)
  })

  it('are refused as text too, wherever a byte is changed or the text is cut', async () => {
    const [text = ''] = await real
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.string({ maxLength: 3, unit: 'binary' }), fc.boolean(), async (at, inserted, cut) => {
        const parsed = await outcome(() => parseManifestJson(text.slice(0, at) + inserted + (cut ? '' : text.slice(at + 1))))
        if (!(parsed instanceof ModelError)) checkManifest(parsed)
      }),
      runs(0.5),
    )
  })
})
