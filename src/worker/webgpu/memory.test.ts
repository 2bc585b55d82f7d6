/** Memory is told before anything is allocated: weights take on the GPU what they take in the file, whatever their type. */

import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../../test/support/modelConfig.ts'
import {
  blockBytes,
  blockSize,
  type Manifest,
  type ManifestTensor,
  type ModelConfig,
  spanBytes,
  type TensorType,
  tensorTypes,
} from '../../model/index.ts'
import { layerTensors } from '../../model/tensors.ts'
import type { ModelId } from '../../shared/index.ts'
import { planMemory } from './memory.ts'

/** About a small Llama's shapes, every matrix in one type; no bytes. */
function manifestOf(type: TensorType, change: Partial<ModelConfig> = {}): Manifest {
  const config = modelConfig({
    layerCount: 4,
    width: 2048,
    headCount: 32,
    kvHeadCount: 4,
    headSize: 64,
    feedForwardWidth: 5632,
    vocabularySize: 32_000,
    contextLength: 2048,
    tiedHead: true,
    ...change,
  })
  const tensors: ManifestTensor[] = []
  const add = (name: string, shape: readonly number[]) => {
    const chosen = shape.length === 1 ? 'F32' : type
    const count = shape.reduce((product, size) => product * size, 1)
    const byteLength = (count / blockSize(chosen)) * blockBytes(chosen)
    tensors.push({ name, type: chosen, shape, byteOffset: 0, byteLength, sha256: '0'.repeat(64) })
  }
  add('token_embd.weight', [config.width, config.vocabularySize])
  add('output_norm.weight', [config.width])
  for (let layer = 0; layer < config.layerCount; layer++) for (const [name, shape] of layerTensors(config, layer)) add(name, shape)
  const id = 'sizes' as ModelId
  const header = { byteLength: 0, sha256: '0'.repeat(64) }
  return { format: 'tabswarm-manifest-1', id, name: id, license: null, fileBytes: 0, header, config, tensors }
}

describe('planMemory', () => {
  const bindingBytesMax = 128 * 2 ** 20

  it.each(tensorTypes)('%s: weights take at most a tenth more than in the file', (type) => {
    for (const change of [{}, { architecture: 'qwen3moe', experts: { count: 8, used: 2 }, feedForwardWidth: 768 }] as const) {
      const manifest = manifestOf(type, change)
      const span = { firstLayer: 0, endLayer: 4 }
      const { weightBytes } = planMemory({ manifest, span, kvPositions: 512, kvType: 'f16', bindingBytesMax })
      expect(weightBytes).toBeGreaterThan(0.99 * spanBytes(manifest, span))
      expect(weightBytes).toBeLessThan(1.1 * spanBytes(manifest, span))
    }
  })

  it('counts keys and values of a position as the cache keeps them, and a tied head once', () => {
    const manifest = manifestOf('Q4_K')
    const plan = (kvType: 'f16' | 'f32', kvPositions: number, endLayer = 4) =>
      planMemory({ manifest, span: { firstLayer: 0, endLayer }, kvPositions, kvType, bindingBytesMax })
    expect(plan('f16', 512).kvBytes).toBe(4 * 512 * 2 * 4 * 64 * 2)
    expect(plan('f32', 500).kvBytes).toBe(4 * 512 * 2 * 4 * 64 * 4)
    const layer = plan('f16', 512, 2).weightBytes - plan('f16', 512, 1).weightBytes
    const norm = 4 * 2048
    expect(plan('f16', 512).weightBytes - plan('f16', 512, 3).weightBytes).toBe(layer + norm)
  })
})
