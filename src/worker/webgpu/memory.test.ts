/** Memory is told before anything is allocated: weights take on the GPU what they take in the file, whatever their type. */

import { describe, expect, it } from 'vitest'
import { manifestOf, modelConfig } from '../../../test/support/modelConfig.ts'
import { type ModelConfig, spanBytes, type TensorType, tensorTypes } from '../../model/index.ts'
import { planMemory } from './memory.ts'

/** About a small Llama's shapes, every matrix in one type. */
function smallModel(type: TensorType, change: Partial<ModelConfig> = {}) {
  const sizes = { layerCount: 4, width: 2048, headCount: 32, kvHeadCount: 4, headSize: 64, feedForwardWidth: 5632 }
  return manifestOf(modelConfig({ ...sizes, vocabularySize: 32_000, contextLength: 2048, ...change }), type, type)
}

describe('planMemory', () => {
  const bindingBytesMax = 128 * 2 ** 20

  it.each(tensorTypes)('%s: weights take at most a tenth more than in the file', (type) => {
    for (const change of [{}, { architecture: 'qwen3moe', experts: { count: 8, used: 2 }, feedForwardWidth: 768 }] as const) {
      const manifest = smallModel(type, change)
      const span = { firstLayer: 0, endLayer: 4 }
      const { weightBytes } = planMemory({ manifest, span, kvPositions: 512, kvType: 'f16', bindingBytesMax })
      expect(weightBytes).toBeGreaterThan(0.99 * spanBytes(manifest, span))
      expect(weightBytes).toBeLessThan(1.1 * spanBytes(manifest, span))
    }
  })

  it('counts keys and values of a position as the cache keeps them, and a tied head once', () => {
    const manifest = smallModel('Q4_K')
    const plan = (kvType: 'f16' | 'f32', kvPositions: number, endLayer = 4) =>
      planMemory({ manifest, span: { firstLayer: 0, endLayer }, kvPositions, kvType, bindingBytesMax })
    expect(plan('f16', 512).kvBytes).toBe(4 * 512 * 2 * 4 * 64 * 2)
    expect(plan('f32', 500).kvBytes).toBe(4 * 512 * 2 * 4 * 64 * 4)
    const layer = plan('f16', 512, 2).weightBytes - plan('f16', 512, 1).weightBytes
    const norm = 4 * 2048
    expect(plan('f16', 512).weightBytes - plan('f16', 512, 3).weightBytes).toBe(layer + norm)
  })
})
