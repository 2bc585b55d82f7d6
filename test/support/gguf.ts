/** Writes small GGUF files for tests, right ones and wrong ones: every count and offset can be set to a lie. */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type MetadataValue, type ModelFile, readGguf } from '../../src/model/index.ts'

const encoder = new TextEncoder()

export type WrittenValue =
  | { readonly type: 'uint32' | 'int32' | 'float32' | 'uint64'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'floats' | 'ints'; readonly value: readonly number[] }
  /** Bytes as they are, after the type's number. */
  | { readonly type: 'raw'; readonly typeId: number; readonly value: Uint8Array }

interface WrittenTensor {
  readonly name: string
  readonly typeId: number
  readonly shape: readonly number[]
  readonly offset: number
}

export interface WrittenFile {
  readonly version?: number
  readonly metadata?: readonly (readonly [string, WrittenValue])[]
  readonly tensors?: readonly WrittenTensor[]
  readonly keyCount?: number
  readonly tensorCount?: number
  /** Bytes after the aligned header. */
  readonly dataBytes?: number
  readonly alignment?: number
}

export function writeGguf(file: WrittenFile): Uint8Array {
  const { metadata = [], tensors = [], alignment = 32 } = file
  const out = new Bytes()
  out.raw(encoder.encode('GGUF'))
  out.uint32(file.version ?? 3)
  out.uint64(file.tensorCount ?? tensors.length)
  out.uint64(file.keyCount ?? metadata.length)
  for (const [key, value] of metadata) {
    out.string(key)
    writeValue(out, value)
  }
  for (const { name, typeId, shape, offset } of tensors) {
    out.string(name)
    out.uint32(shape.length)
    for (const size of shape) out.uint64(size)
    out.uint32(typeId)
    out.uint64(offset)
  }
  if (file.dataBytes !== undefined) {
    out.raw(new Uint8Array((alignment - (out.length % alignment)) % alignment))
    const data = new Uint8Array(file.dataBytes)
    for (let index = 0; index < data.length; index++) data[index] = (index * 7) % 60
    out.raw(data)
  }
  return out.done()
}

const typeIds = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, uint64: 10 } as const

function writeValue(out: Bytes, value: WrittenValue): void {
  switch (value.type) {
    case 'raw':
      out.uint32(value.typeId)
      return out.raw(value.value)
    case 'strings':
    case 'floats':
    case 'ints': {
      out.uint32(9)
      const element = value.type === 'strings' ? 'string' : value.type === 'floats' ? 'float32' : 'int32'
      out.uint32(typeIds[element])
      out.uint64(value.value.length)
      for (const item of value.value)
        typeof item === 'string' ? out.string(item) : element === 'float32' ? out.float32(item) : out.uint32(item)
      return
    }
    default:
      out.uint32(typeIds[value.type])
  }
  if (value.type === 'string') out.string(value.value)
  else if (value.type === 'bool') out.raw(Uint8Array.of(value.value ? 1 : 0))
  else if (value.type === 'float32') out.float32(value.value)
  else if (value.type === 'uint64') out.uint64(value.value)
  else out.uint32(value.value)
}

class Bytes {
  readonly #parts: Uint8Array[] = []
  length = 0

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes)
    this.length += bytes.byteLength
  }

  uint32(value: number): void {
    this.raw(new Uint8Array(Uint32Array.of(value).buffer))
  }

  float32(value: number): void {
    this.raw(new Uint8Array(Float32Array.of(value).buffer))
  }

  uint64(value: number): void {
    this.raw(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer))
  }

  string(text: string): void {
    const bytes = encoder.encode(text)
    this.uint64(bytes.byteLength)
    this.raw(bytes)
  }

  done(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }
}

/** A model file in memory; `reads` lists the ranges that were asked for. */
export function memoryFile(bytes: Uint8Array): ModelFile & { readonly reads: { byteOffset: number; byteLength: number }[] } {
  const reads: { byteOffset: number; byteLength: number }[] = []
  return {
    byteLength: bytes.byteLength,
    reads,
    async read({ byteOffset, byteLength }) {
      reads.push({ byteOffset, byteLength })
      if (byteOffset + byteLength > bytes.byteLength) throw new Error(`read beyond the file: ${byteOffset} + ${byteLength}`)
      return bytes.slice(byteOffset, byteOffset + byteLength)
    },
  }
}

/** A file of test/data, unpacked where it is gzipped. */
export function testData(path: string): Uint8Array {
  const bytes = readFileSync(new URL(`../data/${path}`, import.meta.url))
  return new Uint8Array(path.endsWith('.gz') ? gunzipSync(bytes) : bytes)
}

/**
 * The real file test/data/tiny/NAME.gguf written anew without its tokenizer and with changes: metadata replaced (null: left out),
 * tensors changed. The weights are the writer's pattern.
 */
export async function changedTiny(
  name: string,
  change: { metadata?: Record<string, WrittenValue | null>; tensors?: (all: TinyTensor[]) => TinyTensor[] } = {},
): Promise<WrittenFile> {
  const real = await readGguf(memoryFile(testData(`tiny/${name}.gguf`)), new AbortController().signal)
  const metadata = new Map<string, WrittenValue>()
  for (const key of real.metadata.keys()) {
    const written = writtenScalar(real.metadata.get(key))
    if (written !== null && !key.startsWith('tokenizer.')) metadata.set(key, written)
  }
  for (const [key, value] of Object.entries(change.metadata ?? {})) value === null ? metadata.delete(key) : metadata.set(key, value)
  const typeIds: Record<string, number> = { F32: 0, F16: 1 }
  const all = real.tensors.map(({ name: tensor, shape, type, byteLength }) => ({
    name: tensor,
    shape,
    typeId: typeIds[type] ?? 0,
    byteLength,
  }))
  return { metadata: [...metadata], ...placed(change.tensors?.(all) ?? all) }
}

function writtenScalar(value: MetadataValue | undefined): WrittenValue | null {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value !== 'number') return null
  return { type: Number.isInteger(value) ? 'uint32' : 'float32', value }
}

/** One after another, aligned. */
function placed(all: readonly TinyTensor[]): { readonly tensors: WrittenTensor[]; readonly dataBytes: number } {
  let offset = 0
  const tensors = all.map(({ name, shape, typeId = 0, byteLength }) => {
    const tensor = { name, typeId, shape, offset }
    const bytes = byteLength ?? 4 * shape.reduce((product, size) => product * size, 1)
    offset += Math.ceil(bytes / 32) * 32
    return tensor
  })
  return { tensors, dataBytes: offset }
}

/** Metadata and tensors of a complete `llama` model of one layer; width 32, 2 heads of 16, vocabulary 4. All tensors in F32. */
export function tinyLlama(
  change: { metadata?: Record<string, WrittenValue | null>; tensors?: (all: TinyTensor[]) => TinyTensor[] } = {},
): WrittenFile {
  const metadata = new Map<string, WrittenValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['llama.block_count', { type: 'uint32', value: 1 }],
    ['llama.context_length', { type: 'uint32', value: 64 }],
    ['llama.embedding_length', { type: 'uint32', value: 32 }],
    ['llama.feed_forward_length', { type: 'uint32', value: 64 }],
    ['llama.attention.head_count', { type: 'uint32', value: 2 }],
    ['llama.attention.head_count_kv', { type: 'uint32', value: 1 }],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'float32', value: 1e-5 }],
  ])
  for (const [key, value] of Object.entries(change.metadata ?? {})) value === null ? metadata.delete(key) : metadata.set(key, value)
  const all: TinyTensor[] = [
    { name: 'token_embd.weight', shape: [32, 4] },
    { name: 'blk.0.attn_norm.weight', shape: [32] },
    { name: 'blk.0.attn_q.weight', shape: [32, 32] },
    { name: 'blk.0.attn_k.weight', shape: [32, 16] },
    { name: 'blk.0.attn_v.weight', shape: [32, 16] },
    { name: 'blk.0.attn_output.weight', shape: [32, 32] },
    { name: 'blk.0.ffn_norm.weight', shape: [32] },
    { name: 'blk.0.ffn_gate.weight', shape: [32, 64] },
    { name: 'blk.0.ffn_up.weight', shape: [32, 64] },
    { name: 'blk.0.ffn_down.weight', shape: [64, 32] },
    { name: 'output_norm.weight', shape: [32] },
    { name: 'output.weight', shape: [32, 4] },
  ]
  return { metadata: [...metadata], ...placed(change.tensors?.(all) ?? all) }
}

export interface TinyTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly typeId?: number
  readonly byteLength?: number
}
