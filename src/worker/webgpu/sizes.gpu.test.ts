/**
 * The WGSL engine against the CPU twin on models that no file holds: sizes that fill no panel, tile or vec4, one layer, as many KV heads
 * as heads, and devices whose bindings are too small for a matrix.
 */

import { describe, expect, it } from 'vitest'
import { loadRequest } from '../../../test/support/engineRuns.ts'
import { randomModel } from '../../../test/support/randomModel.ts'
import { sharedGpu } from '../../../test/support/sharedGpu.ts'
import type { TestModel } from '../../../test/support/tinyModels.ts'
import { normalizedError } from '../../../test/support/tinySuite.ts'
import type { ModelConfig } from '../../model/index.ts'
import { nodeClock, readShader } from '../../node/index.ts'
import { required } from '../../shared/index.ts'
import { createCpuEngine } from '../cpu/cpuEngine.ts'
import type { Engine, LoadRequest } from '../engine.ts'
import { createWebGpuEngine, type WebGpuEngineOptions } from './webGpuEngine.ts'
import { planWeights } from './weightPlan.ts'

const ROWS = 40

async function openEngine(options: Partial<WebGpuEngineOptions> = {}): Promise<Engine> {
  // What every WebGPU has: 128 MB bindings, 16 KB of workgroup memory, 8 storage buffers.
  const { device, info } = await sharedGpu('default')
  return createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, kv: 'f32', ...options })
}

/** Logits of ROWS prompt rows and of 3 decode rows after them; ends the engine. */
async function logitsOf(engine: Engine, model: TestModel, more: Partial<LoadRequest> = {}): Promise<Float32Array> {
  const { config } = model.manifest
  const span = { firstLayer: 0, endLayer: config.layerCount }
  await engine.load(loadRequest(model, span, more))
  const opened = engine.open({ span, maxPositions: 64 })
  if (!opened.ok) throw new Error('no room')
  const all: number[] = []
  const run = async (kind: 'prompt' | 'decode', ids: Uint32Array) => {
    const output = { kind: 'logits', resultCount: ids.length } as const
    const { outputs } = await engine.forward([
      { slot: opened.value, kind, firstPosition: engine.length(opened.value), input: { kind: 'tokens', ids }, output },
    ])
    if (outputs[0]?.kind === 'logits') all.push(...outputs[0].values)
  }
  await run(
    'prompt',
    Uint32Array.from({ length: ROWS }, (_, i) => (i * 7 + 1) % config.vocabularySize),
  )
  for (const id of [3, 1, 2]) await run('decode', Uint32Array.of(id % config.vocabularySize))
  engine.dispose()
  expect(all).toHaveLength((ROWS + 3) * config.vocabularySize)
  return Float32Array.from(all)
}

const cases: Readonly<Record<string, Partial<ModelConfig>>> = {
  'one layer, a vocabulary of 61': { layerCount: 1, vocabularySize: 61 },
  'as many KV heads as heads, head size 48': { layerCount: 2, headCount: 3, kvHeadCount: 3, headSize: 48, ropeDimensions: 48 },
  'width and feed-forward of no whole panel': {
    layerCount: 2,
    width: 96,
    feedForwardWidth: 224,
    headCount: 3,
    kvHeadCount: 1,
    vocabularySize: 333,
  },
  'head size 80, half of it rotated': { layerCount: 1, headCount: 2, kvHeadCount: 1, headSize: 80, ropeDimensions: 40 },
  'head size 256, 16 heads on one': { layerCount: 1, headCount: 16, kvHeadCount: 1, headSize: 256, ropeDimensions: 256 },
  'phi3 of odd sizes': { architecture: 'phi3', layerCount: 2, headCount: 3, kvHeadCount: 1, feedForwardWidth: 96, ropeMagnitude: 1.19 },
  'qwen2 with biases': { architecture: 'qwen2', layerCount: 2, headSize: 36, ropeDimensions: 36, width: 160, headCount: 8, kvHeadCount: 4 },
  'gemma2 with windows and caps': {
    architecture: 'gemma2',
    layerCount: 3,
    slidingWindow: 7,
    attentionSoftCap: 2,
    logitSoftCap: 0.5,
    attentionScale: 0.3,
    vocabularySize: 101,
  },
  'gemma3 with linear scaling of global layers': {
    architecture: 'gemma3',
    layerCount: 7,
    slidingWindow: 5,
    windowRopeBase: 100,
    ropePositionScale: 0.125,
  },
  'qwen3moe, 3 of 5 experts of no whole panel': {
    architecture: 'qwen3moe',
    layerCount: 2,
    experts: { count: 5, used: 3 },
    feedForwardWidth: 96,
  },
}

describe('the WGSL engine and the CPU twin', () => {
  for (const [name, change] of Object.entries(cases)) {
    it(name, async () => {
      // Types without blocks fit any size.
      const model = randomModel({ seed: 11, types: ['F16', 'F32', 'BF16'], config: { ropeDimensions: 32, ...change } })
      const expected = await logitsOf(createCpuEngine({ nowMs: () => 0 }), model)
      expect(normalizedError(await logitsOf(await openEngine(), model), expected)).toBeLessThan(1e-8)
    })
  }
})

describe('small bindings', () => {
  const bindingBytesMax = 2.2e6
  const kvPositions = 64
  const span = { firstLayer: 0, endLayer: 1 }
  const wide = { layerCount: 1, width: 1024, feedForwardWidth: 512, headCount: 4, headSize: 64, ropeDimensions: 64 }

  for (const architecture of ['llama', 'qwen3moe', 'phi3'] as const) {
    it(`${architecture}: matrices in parts give equal bits`, async () => {
      const experts = architecture === 'qwen3moe' ? { count: 6, used: 2 } : null
      const model = randomModel({ seed: 12, types: ['F32'], config: { ...wide, architecture, experts } })
      const { gateUp } = required(planWeights(model.manifest, span, bindingBytesMax).layers[0], 'layer 0').feedForward
      expect(gateUp.parts.length).toBeGreaterThan(1)
      expect(gateUp.parts.every(({ bytes }) => bytes <= bindingBytesMax)).toBe(true)
      const whole = await logitsOf(await openEngine(), model, { kvPositions })
      expect(await logitsOf(await openEngine({ bindingBytesMax }), model, { kvPositions })).toEqual(whole)
    })
  }

  it('are refused where a buffer that cannot be cut is larger', async () => {
    const model = randomModel({ seed: 12, config: wide })
    const refused = logitsOf(await openEngine({ bindingBytesMax: 1e6 }), model, { kvPositions })
    await expect(refused).rejects.toMatchObject({ reason: 'does-not-fit' })
  })
})
