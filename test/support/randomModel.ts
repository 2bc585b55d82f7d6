/**
 * A small model made of seeded random weights, in every tensor type at once, that no file holds: for what the tiny files
 * do not have, such as five layers to split, quantized types, and equal logits.
 */

import type { LoadTensor, Manifest, ManifestTensor, ModelConfig, TensorType } from '../../src/model/index.ts'
import type { ModelId } from '../../src/shared/index.ts'
import { modelConfig } from './modelConfig.ts'
import type { TestModel } from './tinyModels.ts'

export interface RandomModelOptions {
  readonly seed: number
  /** Rows 2i and 2i + 1 of the head are equal, so that every logit comes twice. */
  readonly twinTokens?: boolean
  readonly layerCount?: number
  readonly vocabularySize?: number
}

const TYPES: readonly TensorType[] = ['Q4_1', 'Q8_0', 'F16', 'BF16', 'F32']

export function randomModel(options: RandomModelOptions): TestModel {
  const config = modelConfig({
    layerCount: options.layerCount ?? 5,
    width: 128,
    headCount: 4,
    kvHeadCount: 2,
    headSize: 32,
    feedForwardWidth: 160,
    vocabularySize: options.vocabularySize ?? 334,
    contextLength: 512,
    tiedHead: false,
  })
  const random = randomBits(options.seed)
  const contents = new Map<string, Uint8Array>()
  const tensors: ManifestTensor[] = []
  let byteOffset = 4096
  const add = (name: string, type: TensorType, shape: readonly number[], bytes: Uint8Array) => {
    contents.set(name, bytes)
    tensors.push({ name, type, shape, byteOffset, byteLength: bytes.byteLength, sha256: '0'.repeat(64) })
    byteOffset += bytes.byteLength
  }
  const matrix = (name: string, type: TensorType, columns: number, rows: number) =>
    add(name, type, [columns, rows], randomBytes(type, columns * rows, 1 / Math.sqrt(columns), random))
  const norm = (name: string) => {
    const values = Float32Array.from({ length: config.width }, () => 0.75 + 0.5 * unit(random))
    add(name, 'F32', [config.width], new Uint8Array(values.buffer))
  }

  matrix('token_embd.weight', 'Q8_0', config.width, config.vocabularySize)
  for (let layer = 0; layer < config.layerCount; layer++) addLayer(config, layer, matrix, norm)
  norm('output_norm.weight')
  matrix('output.weight', 'Q8_0', config.width, config.vocabularySize)
  if (options.twinTokens) twinRows(contents.get('output.weight') ?? new Uint8Array(0), (config.width / 32) * 34)

  const manifest: Manifest = {
    format: 'tabswarm-manifest-1',
    id: 'random' as ModelId,
    name: 'random',
    license: null,
    fileBytes: byteOffset,
    header: { byteLength: 4096, sha256: '0'.repeat(64) },
    config,
    tensors,
  }
  const loadTensor: LoadTensor = async (tensor) => {
    const bytes = contents.get(tensor.name)
    if (bytes === undefined) throw new Error(`no tensor ${tensor.name}`)
    return bytes.slice()
  }
  return { manifest, loadTensor }
}

/** Every type appears in every place of some layer. */
function addLayer(
  config: ModelConfig,
  layer: number,
  matrix: (name: string, type: TensorType, columns: number, rows: number) => void,
  norm: (name: string) => void,
): void {
  const { width, feedForwardWidth } = config
  const kvWidth = config.kvHeadCount * config.headSize
  const type = (place: number) => TYPES[(layer + place) % TYPES.length] ?? 'F32'
  norm(`blk.${layer}.attn_norm.weight`)
  matrix(`blk.${layer}.attn_q.weight`, type(0), width, width)
  matrix(`blk.${layer}.attn_k.weight`, type(0), width, kvWidth)
  matrix(`blk.${layer}.attn_v.weight`, type(1), width, kvWidth)
  matrix(`blk.${layer}.attn_output.weight`, type(2), width, width)
  norm(`blk.${layer}.ffn_norm.weight`)
  matrix(`blk.${layer}.ffn_gate.weight`, type(3), width, feedForwardWidth)
  matrix(`blk.${layer}.ffn_up.weight`, type(3), width, feedForwardWidth)
  matrix(`blk.${layer}.ffn_down.weight`, type(4), feedForwardWidth, width)
}

function twinRows(bytes: Uint8Array, rowBytes: number): void {
  for (let at = 0; at + 2 * rowBytes <= bytes.byteLength; at += 2 * rowBytes) bytes.copyWithin(at + rowBytes, at, at + rowBytes)
}

/** Values of about ±`scale`. */
function randomBytes(type: TensorType, count: number, scale: number, random: () => number): Uint8Array {
  switch (type) {
    case 'F32':
      return new Uint8Array(Float32Array.from({ length: count }, () => scale * (2 * unit(random) - 1)).buffer)
    case 'BF16':
      return new Uint8Array(Uint16Array.from({ length: count }, () => (floatBits(scale * (2 * unit(random) - 1)) >>> 16) & 0xffff).buffer)
    case 'F16':
      return new Uint8Array(Uint16Array.from({ length: count }, () => halfBits(scale * (2 * unit(random) - 1))).buffer)
    case 'Q4_1':
      return quantized(count / 32, 20, random, (block) => {
        block.setUint16(0, halfBits(scale / 7.5), true)
        block.setUint16(2, halfBits(-scale), true)
      })
    case 'Q8_0':
      return quantized(count / 32, 34, random, (block) => block.setUint16(0, halfBits(scale / 128), true))
  }
}

function quantized(blocks: number, blockBytes: number, random: () => number, setScales: (block: DataView) => void): Uint8Array {
  const bytes = Uint8Array.from({ length: blocks * blockBytes }, () => random() & 255)
  for (let block = 0; block < blocks; block++) setScales(new DataView(bytes.buffer, block * blockBytes, blockBytes))
  return bytes
}

const bitsOf = new DataView(new ArrayBuffer(4))

function floatBits(value: number): number {
  bitsOf.setFloat32(0, value)
  return bitsOf.getUint32(0)
}

/** A normal half, truncated: any value near the wanted one serves. */
function halfBits(value: number): number {
  const bits = floatBits(value)
  const exponent = ((bits >>> 23) & 255) - 127 + 15
  return exponent <= 0 ? (bits >>> 16) & 0x8000 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff)
}

/** mulberry32: 32 random bits a call. */
function randomBits(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return (z ^ (z >>> 14)) >>> 0
  }
}

function unit(random: () => number): number {
  return random() / 2 ** 32
}
