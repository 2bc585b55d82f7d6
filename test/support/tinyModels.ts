/** The tiny random models of test/data/tiny: small enough for every engine and every test. */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { buildManifest, type LoadTensor, type Manifest, type ModelFile, modelIdFromFileName, readGguf } from '../../src/model/index.ts'

/**
 * All have f16 weights, head size 32 and 96 reference positions. `llama3-rope`: scaled RoPE, tied head; `mistral`: SentencePiece;
 * `qwen2`: biases; `qwen3`: head norms, head size 64 ≠ width / heads; `qwen3moe`: 8 experts, 2 used; `gemma2`: soft caps, a window of
 * 32 in every other layer; `gemma3`: seven layers, the sixth without the window and with its own RoPE base; `phi3`: fused projections.
 */
export const tinyModelNames = ['llama', 'llama3-rope', 'mistral', 'qwen2', 'qwen3', 'qwen3moe', 'gemma2', 'gemma3', 'phi3'] as const
export type TinyModelName = (typeof tinyModelNames)[number]

export interface TestModel {
  readonly manifest: Manifest
  readonly loadTensor: LoadTensor
}

export interface TinyReference {
  /** 96 of them. */
  readonly tokenIds: readonly number[]
  /** [tokenIds, vocabulary], transformers in f32. */
  readonly logits: Float32Array
  /** The 16 tokens after. */
  readonly greedyTokenIds: readonly number[]
}

const folder = new URL('../data/tiny/', import.meta.url)

export async function openTinyModel(name: TinyModelName): Promise<TestModel> {
  return openModelBytes(await readFile(new URL(`${name}.gguf`, folder)), `${name}.gguf`)
}

export async function readTinyReference(name: TinyModelName): Promise<TinyReference> {
  const index: Record<string, { tokenIds: number[]; greedyTokenIds: number[] }> = JSON.parse(
    await readFile(new URL('index.json', folder), 'utf8'),
  )
  const entry = index[name]
  if (entry === undefined) throw new Error(`test/data/tiny/index.json has no ${name}`)
  const bytes = await readFile(new URL(`${name}.logits.f32`, folder))
  const logits = new Float32Array(Uint8Array.from(bytes).buffer)
  return { tokenIds: entry.tokenIds, logits, greedyTokenIds: entry.greedyTokenIds }
}

/** A whole model file in memory as an engine loads it. */
async function openModelBytes(bytes: Uint8Array, fileName: string): Promise<TestModel> {
  const file: ModelFile = {
    byteLength: bytes.byteLength,
    read: async ({ byteOffset, byteLength }) => bytes.slice(byteOffset, byteOffset + byteLength),
  }
  const { signal } = new AbortController()
  const { manifest } = await buildManifest({
    source: file,
    file: await readGguf(file, signal),
    id: modelIdFromFileName(fileName),
    sha256: async (data) => new Uint8Array(createHash('sha256').update(data).digest()),
    signal,
  })
  return { manifest, loadTensor: (tensor, tensorSignal) => file.read(tensor, tensorSignal) }
}
