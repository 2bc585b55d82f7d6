/** Every tensor type in every place of a model, through a whole engine: compared with the CPU twin on random weights. */

import { describe, expect, it } from 'vitest'
import { tensorTypes } from '../../src/model/index.ts'
import type { Engine } from '../../src/worker/index.ts'
import { createCpuEngine } from '../../src/worker/index.ts'
import { loadRequest } from './engineRuns.ts'
import { type RandomModelOptions, randomModel } from './randomModel.ts'
import { normalizedError } from './tinySuite.ts'

const PROMPT_ROWS = 24

/** Logits of a prompt's rows and of two decode rows behind them. Ends the engine. */
async function logitsOf(engine: Engine, options: RandomModelOptions): Promise<Float32Array> {
  const model = randomModel(options)
  const { config } = model.manifest
  const span = { firstLayer: 0, endLayer: config.layerCount }
  await engine.load(loadRequest(model, span))
  const opened = engine.open({ span, maxPositions: 64 })
  if (!opened.ok) throw new Error('no room')
  const slot = opened.value
  const all: Float32Array[] = []
  const ids = Uint32Array.from({ length: PROMPT_ROWS }, (_, i) => (i * 7 + 1) % config.vocabularySize)
  for (const [kind, part] of [
    ['prompt', ids],
    ['decode', Uint32Array.of(3)],
    ['decode', Uint32Array.of(4)],
  ] as const) {
    const output = { kind: 'logits', resultCount: part.length } as const
    const { outputs } = await engine.forward([
      { slot, kind, firstPosition: engine.length(slot), input: { kind: 'tokens', ids: part }, output },
    ])
    const [first] = outputs
    if (first?.kind !== 'logits') throw new Error(`expected logits, got ${first?.kind}`)
    all.push(first.values)
  }
  engine.dispose()
  return Float32Array.from(all.flatMap((values) => [...values]))
}

/** `nmseMax`: 1e-8 for an engine that computes in f32. */
export function typesSuite(name: string, createEngine: () => Promise<Engine>, nmseMax: number): void {
  const same = async (options: RandomModelOptions) => {
    const expected = await logitsOf(createCpuEngine({ nowMs: () => 0 }), options)
    expect(expected).toHaveLength((PROMPT_ROWS + 2) * 334)
    expect(normalizedError(await logitsOf(await createEngine(), options), expected)).toBeLessThan(nmseMax)
  }

  describe(`${name} and the CPU twin agree`, () => {
    it.each(tensorTypes)('on a layer, embedding and head in %s', async (type) => {
      await same({ seed: 21, types: [type], embeddingType: type, config: { layerCount: 1 } })
    })

    it('on experts in the types that a file of 4 bits mixes', async () => {
      const experts = { count: 6, used: 2 }
      await same({
        seed: 22,
        types: ['Q4_K', 'Q6_K', 'Q5_0', 'MXFP4', 'Q8_0'],
        config: { architecture: 'qwen3moe', layerCount: 2, experts },
      })
    })

    it('on fused projections, biases, norms and caps in them', async () => {
      await same({ seed: 23, types: ['Q4_K', 'Q6_K'], config: { architecture: 'phi3', layerCount: 2 } })
      await same({ seed: 24, types: ['Q5_K', 'IQ4_XS'], config: { architecture: 'qwen2', layerCount: 2 } })
      const gemma = { architecture: 'gemma2', layerCount: 2, slidingWindow: 7, attentionSoftCap: 20, logitSoftCap: 10 } as const
      await same({ seed: 25, types: ['Q3_K', 'Q4_0', 'Q2_K'], config: gemma })
    })
  })
}
