/** Placement against the engine's own account of memory, and its arithmetic alone. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costsOf, fixedBytes, kvPositionsFor, layersThatFit } from '../../../src/coordinator/core/costs.ts'
import { type Capacity, divide, missingBytes, placeChain, smallestPledgeBytes } from '../../../src/coordinator/core/placement.ts'
import type { ModelConfig } from '../../../src/model/index.ts'
import { tensorTypes } from '../../../src/model/index.ts'
import { required } from '../../../src/shared/index.ts'
import { manifestOf, modelConfig } from '../../../src/sim/modelConfig.ts'
import { planMemory as planCpuMemory } from '../../../src/worker/cpu/cpuModel.ts'
import { createSimdProcessor } from '../../../src/worker/simd/simdProcessor.ts'
import { planMemory } from '../../../src/worker/webgpu/memory.ts'
import { openTinyModel, tinyModelNames } from '../../support/tinyModels.ts'
import { COSTS, peerId, spanMemory, WHOLE_BYTES } from './world.ts'

const SMOLLM = modelConfig({
  layerCount: 30,
  width: 576,
  headCount: 9,
  kvHeadCount: 3,
  headSize: 64,
  feedForwardWidth: 1_536,
  vocabularySize: 49_152,
  contextLength: 8_192,
  ropeBase: 100_000,
})
const LLAMA_8B: ModelConfig = {
  ...SMOLLM,
  layerCount: 32,
  width: 4_096,
  headCount: 32,
  kvHeadCount: 8,
  headSize: 128,
  feedForwardWidth: 14_336,
  vocabularySize: 128_256,
  contextLength: 131_072,
  ropeDimensions: 128,
  tiedHead: false,
}

const QWEN3_MOE: ModelConfig = {
  ...LLAMA_8B,
  architecture: 'qwen3moe',
  layerCount: 48,
  width: 2_048,
  kvHeadCount: 4,
  feedForwardWidth: 768,
  experts: { count: 128, used: 8 },
  vocabularySize: 151_936,
}
const GEMMA3_4B: ModelConfig = {
  ...LLAMA_8B,
  architecture: 'gemma3',
  layerCount: 34,
  width: 2_560,
  headCount: 8,
  kvHeadCount: 4,
  headSize: 256,
  feedForwardWidth: 10_240,
  vocabularySize: 262_144,
  ropeDimensions: 256,
  slidingWindow: 1_024,
  windowRopeBase: 10_000,
  tiedHead: true,
}

/** Eight threads: the most. Planning runs nothing. */
const HELPER = { start: () => undefined, terminate: () => undefined }
const SIMD = createSimdProcessor({
  module: new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)),
  shared: true,
  helpers: new Array(7).fill(HELPER),
})

function capacities(memories: readonly number[], speeds: readonly number[] = []): Capacity[] {
  return memories.map((memoryBytes, index) => ({
    peerId: peerId(index),
    memoryBytes,
    weightForm: 'blocks',
    macsPerSecond: speeds[index] ?? 1,
  }))
}

describe('costs', () => {
  const models = [
    ...(['Q4_1', 'Q8_0', 'F16', 'F32'] as const).map((type) => ({
      name: `SmolLM2 in ${type}`,
      manifest: manifestOf(SMOLLM, type, 'Q8_0'),
    })),
    ...tensorTypes.flatMap((type) => [
      { name: `Llama 8B in ${type}`, manifest: manifestOf(LLAMA_8B, type, 'Q8_0') },
      { name: `Qwen3 30B-A3B in ${type}`, manifest: manifestOf(QWEN3_MOE, type, 'Q8_0') },
      { name: `Gemma 3 4B in ${type}`, manifest: manifestOf(GEMMA3_4B, type, 'Q8_0') },
    ]),
  ]
  it.each(models)('never count less than the WGSL engine takes: $name', ({ manifest }) => {
    const costs = costsOf(manifest)
    const last = manifest.config.layerCount
    for (const [firstLayer, endLayer] of [
      [0, 1],
      [0, last >> 1],
      [3, 17],
      [last >> 1, last],
      [last - 1, last],
      [0, last],
    ] as const)
      for (const kvPositions of [2_048, 8_192]) {
        const span = { firstLayer, endLayer }
        const taken = planMemory({ manifest, span, kvPositions, kvType: 'f32', bindingBytesMax: 128 * 1024 * 1024 }).totalBytes
        const counted =
          fixedBytes(costs.forms.blocks, { first: firstLayer === 0, last: endLayer === last }) +
          (endLayer - firstLayer) * (costs.forms.blocks.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer)
        expect(counted).toBeGreaterThanOrEqual(taken)
        // Honest, too: a pledge is not asked for what nobody needs.
        expect(counted).toBeLessThan(taken * 1.15 + 16 * 1024 * 1024)
      }
  })

  it.each(models)('never count less than the engine without a GPU takes: $name', ({ manifest }) => {
    const costs = costsOf(manifest)
    const last = manifest.config.layerCount
    const kvPositions = Math.min(8_192, manifest.config.contextLength)
    for (const [firstLayer, endLayer] of [
      [0, 1],
      [3, 17],
      [last - 1, last],
      [0, last],
    ] as const) {
      const span = { firstLayer, endLayer }
      const taken = planCpuMemory(SIMD, manifest, span, kvPositions).totalBytes
      const counted =
        fixedBytes(costs.forms.unpacked, { first: firstLayer === 0, last: endLayer === last }) +
        (endLayer - firstLayer) * (costs.forms.unpacked.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer)
      expect(counted).toBeGreaterThanOrEqual(taken)
      expect(counted).toBeLessThan(taken * 1.05 + 8 * 1024 * 1024)
    }
  })

  it.each(tinyModelNames)('hold for the tiny model %s', async (name) => {
    const { manifest } = await openTinyModel(name)
    const costs = costsOf(manifest)
    const span = { firstLayer: 0, endLayer: costs.layerCount }
    const memoryBytes = smallestPledgeBytes(manifest, 1)
    const kvPositions = kvPositionsFor(costs, span, { memoryBytes, weightForm: 'blocks' })
    expect(planMemory({ manifest, span, kvPositions, kvType: 'f32', bindingBytesMax: 2 ** 27 }).totalBytes).toBeLessThanOrEqual(memoryBytes)
  })
})

describe('placeChain', () => {
  it('takes one peer where one fits and nothing more is asked', () => {
    expect(placeChain(COSTS, capacities([WHOLE_BYTES, WHOLE_BYTES]), 1)).toEqual([
      { peerId: peerId(0), span: { firstLayer: 0, endLayer: 12 } },
    ])
  })

  it('takes as few stages as fit, of the fastest that do', () => {
    const placed = placeChain(COSTS, capacities([900, 1_600, 1_600, 900], [9, 1, 2, 8]), 1)
    expect(placed).toHaveLength(2)
    expect(new Set(placed?.map((stage) => stage.peerId))).toEqual(new Set([peerId(1), peerId(2)]))
  })

  it('gives layers in proportion to speed, and counts the head as work', () => {
    const sizes = (speeds: number[]) =>
      divide(COSTS, { firstLayer: 0, endLayer: 12 }, capacities([WHOLE_BYTES, WHOLE_BYTES], speeds))?.map(
        ({ span }) => span.endLayer - span.firstLayer,
      )
    expect(sizes([1, 1])).toEqual([7, 5])
    expect(sizes([3, 1])).toEqual([11, 1])
    expect(sizes([1, 6])).toEqual([2, 10])
    expect(sizes([0, 1e12])).toEqual([1, 11])
  })

  it('knows to the byte whether a chain fits', () => {
    const [first, last] = [
      spanMemory(COSTS, { firstLayer: 0, endLayer: 6 }, 1_024),
      spanMemory(COSTS, { firstLayer: 6, endLayer: 12 }, 1_024),
    ]
    expect(divide(COSTS, { firstLayer: 0, endLayer: 12 }, capacities([Math.ceil(first), Math.ceil(last)]))).not.toBe(null)
    expect(divide(COSTS, { firstLayer: 0, endLayer: 12 }, capacities([Math.ceil(first) - 1, Math.ceil(last)]))).toBe(null)
  })

  it('covers every layer once, within every memory, with as many stages as asked for', () => {
    const peers = fc.array(
      fc.record({
        memoryBytes: fc.integer({ min: 0, max: 8_000 }),
        weightForm: fc.constantFrom('blocks' as const, 'unpacked' as const),
        macsPerSecond: fc.integer({ min: 0, max: 1_000 }),
      }),
      {
        maxLength: 10,
      },
    )
    fc.assert(
      fc.property(peers, fc.integer({ min: 1, max: 5 }), (list, stagesMin) => {
        const all = list.map((capacity, index) => ({ ...capacity, peerId: peerId(index) }))
        const placed = placeChain(COSTS, all, stagesMin)
        if (placed === null) return
        expect(placed.length).toBeGreaterThanOrEqual(stagesMin)
        expect(new Set(placed.map((stage) => stage.peerId)).size).toBe(placed.length)
        let next = 0
        for (const { peerId: id, span } of placed) {
          expect(span.firstLayer).toBe(next)
          expect(span.endLayer).toBeGreaterThan(span.firstLayer)
          next = span.endLayer
          const { memoryBytes, weightForm } = required(
            all.find((peer) => peer.peerId === id),
            'a peer of the placement',
          )
          expect(spanMemory(COSTS, span, 1_024, weightForm)).toBeLessThanOrEqual(memoryBytes)
        }
        expect(next).toBe(12)
      }),
    )
  })

  it('finds a home wherever equal peers can give one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 2_600 }), (count, memoryBytes) => {
        const fits = (first: boolean, last: boolean) => layersThatFit(COSTS, { memoryBytes, weightForm: 'blocks' }, { first, last }, 1_024)
        const most = count === 1 ? fits(true, true) : fits(true, false) + (count - 2) * fits(false, false) + fits(false, true)
        const every = count === 1 ? fits(true, true) : Math.min(fits(true, false), fits(false, true))
        const placed = placeChain(COSTS, capacities(Array.from({ length: count }, () => memoryBytes)), count)
        expect(placed !== null).toBe(every >= 1 && most >= 12)
      }),
    )
  })
})

describe('missingBytes', () => {
  it('is 0 exactly where the model has a home', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_500 }), { maxLength: 12 }), (memories) => {
        const peers = capacities(memories)
        expect(missingBytes(COSTS, peers) === 0).toBe(placeChain(COSTS, peers, 1) !== null)
      }),
    )
  })

  it('tells an empty swarm what one tab would need', () => {
    expect(missingBytes(COSTS, [])).toBeGreaterThan(WHOLE_BYTES - 12)
    expect(missingBytes(COSTS, [])).toBeLessThanOrEqual(WHOLE_BYTES)
  })
})

describe('smallestPledgeBytes', () => {
  it('is enough for so many tabs, and one byte less is not', () => {
    const manifest = manifestOf(SMOLLM, 'Q4_1', 'Q8_0')
    const costs = costsOf(manifest)
    const whole = { firstLayer: 0, endLayer: 30 }
    for (const stages of [1, 2, 3, 5, 16, 30]) {
      const pledge = smallestPledgeBytes(manifest, stages)
      const peers = (bytes: number) => capacities(Array.from({ length: stages }, () => bytes))
      expect(divide(costs, whole, peers(pledge))).toHaveLength(stages)
      expect(divide(costs, whole, peers(pledge - 1))).toBe(null)
    }
  })

  it('lets no single tab of two hold the model', () => {
    const manifest = manifestOf(SMOLLM, 'Q4_1', 'Q8_0')
    expect(smallestPledgeBytes(manifest, 2)).toBeLessThan(smallestPledgeBytes(manifest, 1))
  })

  it('refuses more stages than layers', () => {
    expect(() => smallestPledgeBytes(manifestOf(SMOLLM, 'Q4_1', 'Q8_0'), 31)).toThrow(/30 layers: it cannot be cut into 31 stages/)
  })
})
