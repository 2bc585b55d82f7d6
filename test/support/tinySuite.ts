/** Every tiny model against transformers in f32: all logits by NMSE, and 16 greedy tokens. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Span } from '../../src/model/index.ts'
import type { Engine, Segment, SegmentOutput, Slot } from '../../src/worker/index.ts'
import { loadRequest } from './engineRuns.ts'
import { openTinyModel, readTinyReference, type TestModel, type TinyReference, tinyModelNames } from './tinyModels.ts'

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
    let model: TestModel
    let reference: TinyReference
    let vocabulary = 0
    let layerCount = 0

    beforeAll(async () => {
      model = await openTinyModel(modelName)
      vocabulary = model.manifest.config.vocabularySize
      layerCount = model.manifest.config.layerCount
      reference = await readTinyReference(modelName)
      engine = await createEngine()
      await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
    })
    afterAll(() => engine.dispose())

    const open = (span: Span = { firstLayer: 0, endLayer: layerCount }, of: Engine = engine): Slot => {
      const opened = of.open({ span, maxPositions: 128 })
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

    it('gives equal bits where another engine has the later layers, beyond a window too', async () => {
      const cut = Math.ceil(layerCount / 2)
      const later = await createEngine()
      await later.load(loadRequest(model, { firstLayer: cut, endLayer: layerCount }))
      const whole = open()
      const stages = [
        { engine, slot: open({ firstLayer: 0, endLayer: cut }) },
        { engine: later, slot: open({ firstLayer: cut, endLayer: layerCount }, later) },
      ] as const
      for (const [kind, ids] of [
        ['prompt', reference.tokenIds.slice(0, 40)],
        ['decode', reference.tokenIds.slice(40, 41)],
      ] as const) {
        const expected = await logitsOf(whole, kind, ids, ids.length)
        expect(await throughStages(stages, kind, ids)).toEqual(expected)
      }
      for (const stage of stages) stage.engine.close(stage.slot)
      engine.close(whole)
      later.dispose()
    })

    it('has no slot to close of what it has unloaded, and its owner may close it all the same', async () => {
      const other = await createEngine()
      await other.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
      const slot = open(undefined, other)
      other.unload()
      other.close(slot)
      await other.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
      expect(other.usage().openSlots).toBe(0)
      const last = open(undefined, other)
      other.dispose()
      other.close(last)
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

/** The logits of all rows, carried from the first span to the second as f32. */
async function throughStages(
  [first, second]: readonly [{ engine: Engine; slot: Slot }, { engine: Engine; slot: Slot }],
  kind: 'prompt' | 'decode',
  ids: readonly number[],
): Promise<Float32Array> {
  const input: Segment['input'] = { kind: 'tokens', ids: Uint32Array.from(ids) }
  const firstPosition = first.engine.length(first.slot)
  const { outputs } = await first.engine.forward([
    { slot: first.slot, kind, firstPosition, input, output: { kind: 'rows', encoding: 'f32' } },
  ])
  const [rows] = outputs
  if (rows?.kind !== 'rows') throw new Error(`expected rows, got ${rows?.kind}`)
  const carried: Segment['input'] = { kind: 'rows', encoding: 'f32', rowCount: ids.length, bytes: rows.bytes }
  const last = await second.engine.forward([
    { slot: second.slot, kind, firstPosition, input: carried, output: { kind: 'logits', resultCount: ids.length } },
  ])
  return valuesOf(last.outputs[0])
}

function valuesOf(output: SegmentOutput | undefined): Float32Array {
  if (output?.kind !== 'logits') throw new Error(`expected logits, got ${output?.kind}`)
  return output.values
}
