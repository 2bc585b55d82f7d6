/** How tests of engines load a model, ask it, and name what a call is refused for. The model is random, see randomModel.ts. */

import { expect } from 'vitest'
import type { Span } from '../../src/model/index.ts'
import { type Candidates, type Engine, EngineError, type LoadRequest, type Segment, type Slot } from '../../src/worker/index.ts'
import { randomModel } from './randomModel.ts'
import type { TestModel } from './tinyModels.ts'

const GENEROUS_BYTES = 2 ** 30
export const KV_POSITIONS = 512
export const model = randomModel({ seed: 7, twinTokens: true })
export const { config } = model.manifest
export const whole: Span = { firstLayer: 0, endLayer: config.layerCount }

export function loadRequest(testModel: TestModel, span: Span, more: Partial<LoadRequest> = {}): LoadRequest {
  return {
    manifest: testModel.manifest,
    span,
    loadTensor: testModel.loadTensor,
    memoryBytesMax: GENEROUS_BYTES,
    kvPositions: KV_POSITIONS,
    onProgress: () => undefined,
    signal: new AbortController().signal,
    ...more,
  }
}

export const tokens = (count: number, seed = 1) =>
  Uint32Array.from({ length: count }, (_, i) => (i * 37 + seed * 101) % config.vocabularySize)

export function openSlot(engine: Engine, span: Span = whole, maxPositions = 64): Slot {
  const opened = engine.open({ span, maxPositions })
  if (!opened.ok) throw new Error('no room')
  return opened.value
}

interface Ask {
  readonly kind?: 'prompt' | 'decode'
  readonly resultCount?: number
  readonly topK?: number
}

export function tokenSegment(
  engine: Engine,
  slot: Slot,
  ids: Uint32Array,
  { kind = 'prompt', resultCount = ids.length, topK = 8 }: Ask = {},
): Segment {
  return {
    slot,
    kind,
    firstPosition: engine.length(slot),
    input: { kind: 'tokens', ids },
    output: { kind: 'candidates', resultCount, topK },
  }
}

export async function run(engine: Engine, segment: Segment): Promise<readonly Candidates[]> {
  const { outputs } = await engine.forward([segment])
  return candidatesOf(outputs[0])
}

export function candidatesOf(output: Awaited<ReturnType<Engine['forward']>>['outputs'][number] | undefined): readonly Candidates[] {
  if (output?.kind !== 'candidates') throw new Error(`expected candidates, got ${output?.kind}`)
  return output.positions
}

/** The whole of `ids` in one prompt segment of a fresh slot: what everything else is compared with. */
export async function plainRun(engine: Engine, ids: Uint32Array, ask: Ask = {}): Promise<readonly Candidates[]> {
  const slot = openSlot(engine)
  const result = await run(engine, tokenSegment(engine, slot, ids, ask))
  engine.close(slot)
  return result
}

/** Carries `ids` through slots of consecutive spans with f32 rows between them; the candidates of all rows. */
export async function runSpans(
  stages: readonly { engine: Engine; slot: Slot }[],
  ids: Uint32Array,
  kind: 'prompt' | 'decode',
): Promise<readonly Candidates[]> {
  let input: Segment['input'] = { kind: 'tokens', ids }
  for (const [index, { engine, slot }] of stages.entries()) {
    const last = index === stages.length - 1
    const output: Segment['output'] = last ? { kind: 'candidates', resultCount: ids.length, topK: 8 } : { kind: 'rows', encoding: 'f32' }
    const { outputs } = await engine.forward([{ slot, kind, firstPosition: engine.length(slot), input, output }])
    const [first] = outputs
    if (last) return candidatesOf(first)
    if (first?.kind !== 'rows') throw new Error(`expected rows, got ${first?.kind}`)
    input = { kind: 'rows', encoding: 'f32', rowCount: ids.length, bytes: first.bytes }
  }
  throw new Error('no stages')
}

/** Spans that cut the layers into `count` parts, as equal as can be. */
export function cutSpans(layerCount: number, count: number): Span[] {
  return Array.from({ length: count }, (_, index) => ({
    firstLayer: Math.floor((layerCount * index) / count),
    endLayer: Math.floor((layerCount * (index + 1)) / count),
  }))
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it was accepted'),
    (error: unknown) => error,
  )
}

export async function expectReason(promise: Promise<unknown>, reason: string): Promise<void> {
  const error = await rejection(promise)
  expect(error).toBeInstanceOf(EngineError)
  expect(error).toMatchObject({ reason })
}
