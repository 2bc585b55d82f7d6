/**
 * A small model made of seeded random weights that no file holds, of any architecture and in any tensor types: for what the
 * tiny files do not have, such as five layers to split, quantized types, and equal logits.
 */

import {
  blockBytes,
  blockSize,
  type LoadTensor,
  type Manifest,
  type ManifestTensor,
  type ModelConfig,
  type TensorType,
} from '../../src/model/index.ts'
import { layerTensors } from '../../src/model/tensors.ts'
import type { ModelId } from '../../src/shared/index.ts'
import { modelConfig } from '../../src/sim/modelConfig.ts'
import { type RandomBits, randomBits, randomBlocks, unit } from './randomBlocks.ts'
import type { TestModel } from './tinyModels.ts'

export interface RandomModelOptions {
  readonly seed: number
  /** Rows 2i and 2i + 1 of the head are equal, so that every logit comes twice. */
  readonly twinTokens?: boolean
  /** In turn, over the matrices of all layers. Types with blocks of 256 make the model twice as wide. */
  readonly types?: readonly TensorType[]
  /** Of the embedding and the head. */
  readonly embeddingType?: TensorType
  /** What differs from a llama of five layers, such as the architecture. */
  readonly config?: Partial<ModelConfig>
}

const TYPES: readonly TensorType[] = ['Q4_1', 'Q8_0', 'F16', 'BF16', 'F32']

export function randomModel(options: RandomModelOptions): TestModel {
  const types = options.types ?? TYPES
  const embeddingType = options.embeddingType ?? 'Q8_0'
  const config = randomConfig([...types, embeddingType], options.config)
  const random = randomBits(options.seed)
  const contents = new Map<string, Uint8Array>()
  const tensors: ManifestTensor[] = []
  let byteOffset = 4096
  const add = (name: string, type: TensorType, shape: readonly number[], bytes: Uint8Array) => {
    contents.set(name, bytes)
    tensors.push({ name, type, shape, byteOffset, byteLength: bytes.byteLength, sha256: '0'.repeat(64) })
    byteOffset += bytes.byteLength
  }
  let turn = 0
  const addRandom = (name: string, shape: readonly number[], type?: TensorType) => {
    if (shape.length === 1) add(name, 'F32', shape, randomVector(name, shape[0] ?? 0, random))
    else {
      // Routers are never quantized; small ones would not even hold a block.
      const chosen = type ?? (name.includes('gate_inp') ? 'F32' : (types[turn++ % types.length] ?? 'F32'))
      const count = shape.reduce((product, size) => product * size, 1)
      add(name, chosen, shape, randomBlocks(chosen, count, 1 / Math.sqrt(shape[0] ?? 1), random))
    }
  }

  addRandom('token_embd.weight', [config.width, config.vocabularySize], embeddingType)
  for (let layer = 0; layer < config.layerCount; layer++) for (const [name, shape] of layerTensors(config, layer)) addRandom(name, shape)
  addRandom('output_norm.weight', [config.width])
  addRandom('output.weight', [config.width, config.vocabularySize], embeddingType)
  const rowBytes = (config.width / blockSize(embeddingType)) * blockBytes(embeddingType)
  if (options.twinTokens) twinRows(contents.get('output.weight') ?? new Uint8Array(0), rowBytes)

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

function randomConfig(types: readonly TensorType[], change: Partial<ModelConfig> = {}): ModelConfig {
  const wide = types.some((type) => blockSize(type) > 32)
  return modelConfig({
    layerCount: 5,
    width: wide ? 256 : 128,
    headCount: wide ? 8 : 4,
    kvHeadCount: 2,
    headSize: 32,
    feedForwardWidth: wide ? 256 : 160,
    vocabularySize: 334,
    contextLength: 512,
    tiedHead: false,
    ...change,
  })
}

/** Norms around 1, biases around 0. */
function randomVector(name: string, count: number, random: RandomBits): Uint8Array {
  const middle = name.endsWith('.bias') ? 0 : 1
  return new Uint8Array(Float32Array.from({ length: count }, () => middle - 0.25 + 0.5 * unit(random)).buffer)
}

function twinRows(bytes: Uint8Array, rowBytes: number): void {
  for (let at = 0; at + 2 * rowBytes <= bytes.byteLength; at += 2 * rowBytes) bytes.copyWithin(at + rowBytes, at, at + rowBytes)
}
