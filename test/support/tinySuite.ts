/** Every tiny model against transformers in f32: all logits by NMSE, and 16 greedy tokens. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine, SegmentOutput, Slot } from '../../src/worker/index.ts'
import { loadRequest } from './engineSuite.ts'
import { openTinyModel, readTinyReference, type TinyReference, tinyModelNames } from './tinyModels.ts'

/** mean((a − b)²) / mean(b²). */
export function normalizedError(values: ArrayLike<number>, truth: ArrayLike<number>): number {
  expect(values.length).toBe(truth.length)
  let error = 0
  let power = 0
  for (let i = 0; i < truth.length; i++) {
    error += ((values[i] ?? Number.NaN) - (truth[i] ?? 0)) ** 2
    power += (truth[i] ?? 0) ** 2
  }
  return error / power
}

/** `nmseMax`: 1e-8 for f32, 1e-5 with f16 in the KV cache or in arithmetic. */
export function tinySuite(name: string, createEngine: () => Promise<Engine>, nmseMax: number): void {
  describe.each(tinyModelNames)(`${name}: %s`, (modelName) => {
    let engine: Engine
    let reference: TinyReference
    let vocabulary = 0
    let layerCount = 0

    beforeAll(async () => {
      const model = await openTinyModel(modelName)
      vocabulary = model.manifest.config.vocabularySize
      layerCount = model.manifest.config.layerCount
      reference = await readTinyReference(modelName)
      engine = await createEngine()
      await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
    })
    afterAll(() => engine.dispose())

    const open = (): Slot => {
      const opened = engine.open({ span: { firstLayer: 0, endLayer: layerCount }, maxPositions: 128 })
      if (!opened.ok) throw new Error('no room')
      return opened.value
    }
    const logitsOf = async (slot: Slot, kind: 'prompt' | 'decode', ids: readonly number[], resultCount: number): Promise<Float32Array> => {
      const { outputs } = await engine.forward([
        {
          slot,
          kind,
          firstPosition: engine.length(slot),
          input: { kind: 'tokens', ids: Uint32Array.from(ids) },
          output: { kind: 'logits', resultCount },
        },
      ])
      return valuesOf(outputs[0])
    }

    it(`computes the logits of 96 positions to NMSE ${nmseMax}, as one prompt`, async () => {
      const slot = open()
      const logits = await logitsOf(slot, 'prompt', reference.tokenIds, reference.tokenIds.length)
      expect(normalizedError(logits, reference.logits)).toBeLessThanOrEqual(nmseMax)
      engine.close(slot)
    })

    it(`computes them to NMSE ${nmseMax} row by row as decode`, async () => {
      const slot = open()
      const logits = new Float32Array(reference.logits.length)
      for (const [position, id] of reference.tokenIds.entries()) logits.set(await logitsOf(slot, 'decode', [id], 1), position * vocabulary)
      expect(normalizedError(logits, reference.logits)).toBeLessThanOrEqual(nmseMax)
      engine.close(slot)
    })

    it('gives the 16 greedy tokens after them', async () => {
      const slot = open()
      const answer: number[] = []
      let logits = await logitsOf(slot, 'prompt', reference.tokenIds, 1)
      while (answer.length < reference.greedyTokenIds.length) {
        const best = logits.indexOf(Math.max(...logits))
        answer.push(best)
        logits = await logitsOf(slot, 'decode', [best], 1)
      }
      expect(answer).toEqual(reference.greedyTokenIds)
      engine.close(slot)
    })
  })
}

function valuesOf(output: SegmentOutput | undefined): Float32Array {
  if (output?.kind !== 'logits') throw new Error(`expected logits, got ${output?.kind}`)
  return output.values
}
