/**
 * The default model against transformers in f32. The answers are teacher-forced: each step is fed with the reference's token,
 * so that one near tie does not end the comparison. All prompts share their passes, as the sessions of a swarm do.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Span } from '../../src/model/index.ts'
import type { RowEncoding } from '../../src/protocol/index.ts'
import type { Engine, Segment, Slot } from '../../src/worker/index.ts'
import { cutSpans, loadRequest } from './engineRuns.ts'
import { openDefaultModel, type ReferenceCase, type ReferenceStep, readReferenceCases } from './smollm2.ts'
import type { TestModel } from './tinyModels.ts'

/** All logits of the long prompt would take longer than the rest together; its answer depends on all of it anyway. */
const LONG_PROMPT_TOKENS = 1_000
/** Rows of one prompt segment. */
const CHUNK_ROWS = 128

export interface GoldenSuite {
  readonly createEngine: () => Promise<Engine>
  readonly rows: RowEncoding
  readonly spanCount: number
  /** Largest difference of a log-probability. */
  readonly bound: number
  /** Below it the best token may be another one. */
  readonly marginMin: number
  /** Whether it computes a prompt and its answer. */
  readonly takes: (reference: ReferenceCase) => boolean
  /** Of each answer. */
  readonly stepsMax: number
}

/** One session of a prompt of the references. */
export interface GoldenSession {
  readonly reference: ReferenceCase
  /** One slot a span. */
  readonly slots: readonly Slot[]
}

export const isLongPrompt = ({ promptTokenIds }: ReferenceCase) => promptTokenIds.length >= LONG_PROMPT_TOKENS

export function goldenSuite(name: string, { createEngine, rows, spanCount, bound, marginMin, takes, stepsMax }: GoldenSuite): void {
  describe(`SmolLM2-135M-Instruct, ${name}`, () => {
    let model: TestModel
    let engine: Engine
    let spans: readonly Span[]
    const sessions: GoldenSession[] = []
    let first: readonly Float32Array[] = []

    beforeAll(async () => {
      model = await openDefaultModel()
      const { layerCount } = model.manifest.config
      spans = cutSpans(layerCount, spanCount)
      engine = await createEngine()
      const positions = (reference: ReferenceCase) => 32 * Math.ceil((reference.promptTokenIds.length + reference.steps.length) / 32)
      const own = (await readReferenceCases()).filter(takes)
      expect(own.length).toBeGreaterThan(1)
      const kvPositions = spanCount * own.reduce((sum, reference) => sum + positions(reference), 0)
      await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }, { kvPositions }))
      for (const reference of own) {
        const slots = spans.map((span) => openSlot(engine, span, positions(reference)))
        sessions.push({ reference, slots })
      }
    })
    afterAll(() => engine.dispose())

    it('gives the probabilities of each prompt token, and the first best ones', async () => {
      const last: Float32Array[] = []
      for (const session of sessions) {
        const { promptTokenIds, promptLogprobs } = session.reference
        const all = !isLongPrompt(session.reference)
        let logits: Float32Array | undefined
        for (let at = 0; at < promptTokenIds.length; at += CHUNK_ROWS) {
          const ids = promptTokenIds.slice(at, at + CHUNK_ROWS)
          const rowsOut = await runGoldenPass(model, engine, spans, rows, [
            { session, kind: 'prompt', ids, resultCount: all ? ids.length : 1 },
          ])
          const [values = []] = rowsOut
          if (all)
            for (const [index, row] of values.entries()) {
              const next = promptTokenIds[at + index + 1]
              if (next === undefined) continue
              const difference = logProbability(row, next) - (promptLogprobs[at + index] ?? Number.NaN)
              expect(Math.abs(difference), `${session.reference.name}, prompt position ${at + index}`).toBeLessThan(bound)
            }
          logits = values.at(-1)
        }
        if (logits === undefined) throw new Error('no logits')
        last.push(logits)
        compareStep(session.reference, 0, logits, bound, marginMin)
      }
      first = last
    })

    it('gives the ten best probabilities of each step, and its best token', async () => {
      expect(first, 'the prompts must have been computed').toHaveLength(sessions.length)
      for (let step = 1; step < stepsMax; step++) {
        const going = sessions.filter(({ reference }) => step < reference.steps.length)
        if (going.length === 0) break
        const passes = going.map((session) => ({
          session,
          kind: 'decode' as const,
          ids: [session.reference.steps[step - 1]?.id ?? 0],
          resultCount: 1,
        }))
        const results = await runGoldenPass(model, engine, spans, rows, passes)
        going.forEach(({ reference }, index) => {
          const logits = results[index]?.[0]
          if (logits === undefined) throw new Error('no logits')
          compareStep(reference, step, logits, bound, marginMin)
        })
      }
    })
  })
}

export interface GoldenPass {
  readonly session: Pick<GoldenSession, 'slots'>
  readonly kind: 'prompt' | 'decode'
  readonly ids: readonly number[]
  readonly resultCount: number
}

/** Carries the rows of several sessions through all spans together; the logits of each session's results. */
export async function runGoldenPass(
  model: TestModel,
  engine: Engine,
  spans: readonly Span[],
  encoding: RowEncoding,
  passes: readonly GoldenPass[],
): Promise<Float32Array[][]> {
  let inputs: Segment['input'][] = passes.map(({ ids }) => ({ kind: 'tokens', ids: Uint32Array.from(ids) }))
  for (const stage of spans.keys()) {
    const isLast = stage === spans.length - 1
    const segments = passes.map(({ session, kind, resultCount }, index): Segment => {
      const slot = session.slots[stage]
      const input = inputs[index]
      if (slot === undefined || input === undefined) throw new Error('a stage is missing')
      const output: Segment['output'] = isLast ? { kind: 'logits', resultCount } : { kind: 'rows', encoding }
      return { slot, kind, firstPosition: engine.length(slot), input, output }
    })
    const { outputs } = await engine.forward(segments)
    if (isLast)
      return outputs.map((output) => {
        if (output.kind !== 'logits') throw new Error(`expected logits, got ${output.kind}`)
        const { vocabularySize } = model.manifest.config
        return Array.from({ length: output.values.length / vocabularySize }, (_, row) =>
          output.values.slice(row * vocabularySize, (row + 1) * vocabularySize),
        )
      })
    inputs = outputs.map((output, index) => {
      if (output.kind !== 'rows') throw new Error(`expected rows, got ${output.kind}`)
      return { kind: 'rows', encoding, rowCount: passes[index]?.ids.length ?? 0, bytes: output.bytes }
    })
  }
  throw new Error('no spans')
}

function compareStep(reference: ReferenceCase, index: number, logits: Float32Array, bound: number, marginMin: number): void {
  const step: ReferenceStep | undefined = reference.steps[index]
  if (step === undefined) throw new Error(`${reference.name} has no step ${index}`)
  const logSum = logSumExp(logits)
  for (const [id, logit] of step.top) {
    const difference = (logits[id] ?? Number.NaN) - logSum - (logit - step.logSumExp)
    expect(Math.abs(difference), `${reference.name}, step ${index}, token ${id}`).toBeLessThan(bound)
  }
  if (step.margin >= marginMin) expect(bestId(logits), `${reference.name}, step ${index}`).toBe(step.id)
}

export function openSlot(engine: Engine, span: Span, maxPositions: number): Slot {
  const opened = engine.open({ span, maxPositions })
  if (!opened.ok) throw new Error('no room')
  return opened.value
}

export function bestId(logits: Float32Array): number {
  let best = 0
  for (const [id, logit] of logits.entries()) if (logit > (logits[best] ?? 0)) best = id
  return best
}

export function logProbability(logits: Float32Array, id: number): number {
  return (logits[id] ?? Number.NaN) - logSumExp(logits)
}

function logSumExp(logits: Float32Array): number {
  let maximum = Number.NEGATIVE_INFINITY
  for (const logit of logits) maximum = Math.max(maximum, logit)
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - maximum)
  return maximum + Math.log(sum)
}
