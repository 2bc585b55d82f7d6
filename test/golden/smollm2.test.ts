/**
 * The default model against transformers in f32. The answers are teacher-forced: each step is fed with the reference's token,
 * so that one near tie does not end the comparison. All prompts share their passes, as the sessions of a swarm do.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Span } from '../../src/model/index.ts'
import type { Engine, Segment, Slot } from '../../src/worker/index.ts'
import { cutSpans, loadRequest } from '../support/engineRuns.ts'
import { createGpuEngine } from '../support/gpuEngine.ts'
import { createTestSimdEngine } from '../support/simdEngine.ts'
import { isShortRun } from '../support/shortRun.ts'
import { openDefaultModel, type ReferenceCase, type ReferenceStep, readReferenceCases } from '../support/smollm2.ts'
import type { TestModel } from '../support/tinyModels.ts'

/** `all` computes the prompt of 1,342 tokens too: the test runner asks for it on the fastest adapter at hand. */
const withLongPrompt = process.env.TABSWARM_PROMPTS === 'all'
const LONG_PROMPT_TOKENS = 1_000
/** Of two adapters the slower one computes no answer further: past a KV block's end, with all prompts in a pass. */
const STEPS_MAX = isShortRun ? 16 : Number.POSITIVE_INFINITY
/** Answers that it computes in f16 too. */
const SHORT_ANSWER_STEPS = 8
/** Of a prompt, where only bits are compared. */
const BITS_TOKENS = 20
/** Rows of one prompt segment. */
const CHUNK_ROWS = 128

interface Precision {
  readonly name: string
  readonly createEngine: () => Promise<Engine>
  readonly rows: 'f32' | 'f16e'
  readonly spanCount: number
  /** Largest difference of a log-probability. */
  readonly bound: number
  /** Below it the best token may be another one. */
  readonly marginMin: number
  /** Whether it computes a prompt and its answer. The long prompt takes longer than the rest together. */
  readonly takes: (reference: ReferenceCase) => boolean
}

const any = () => true
/** Of two adapters lavapipe, whose own type it is, computes every answer with an f16 cache. */
const inF16 = ({ promptTokenIds, steps }: ReferenceCase) =>
  isShortRun ? steps.length <= SHORT_ANSWER_STEPS : promptTokenIds.length < LONG_PROMPT_TOKENS

/** Whatever the adapter is: of two, the other run does it. */
const withoutGpu: Precision = { name: 'without a GPU, f32 rows between 2 spans', createEngine: () => createTestSimdEngine(2), rows: 'f32', spanCount: 2, bound: 0.012, marginMin: 0.024, takes: any }

const precisions: readonly Precision[] = [
  { name: 'f32 throughout', createEngine: () => createGpuEngine('f32'), rows: 'f32', spanCount: 1, bound: 1e-3, marginMin: 0.002, takes: any },
  { name: 'f16 KV, f16 rows between 3 spans', createEngine: () => createGpuEngine('f16'), rows: 'f16e', spanCount: 3, bound: 0.03, marginMin: 0.05, takes: inF16 },
  ...(isShortRun ? [] : [withoutGpu]),
]

interface Session {
  readonly reference: ReferenceCase
  /** One slot a span. */
  readonly slots: readonly Slot[]
}

let model: TestModel
let cases: readonly ReferenceCase[]
beforeAll(async () => {
  model = await openDefaultModel()
  cases = (await readReferenceCases()).filter(({ promptTokenIds }) => withLongPrompt || promptTokenIds.length < LONG_PROMPT_TOKENS)
  expect(cases.length).toBeGreaterThanOrEqual(7)
})

describe.each(precisions)('SmolLM2-135M-Instruct, $name', ({ createEngine, rows, spanCount, bound, marginMin, takes }) => {
  let engine: Engine
  let spans: readonly Span[]
  const sessions: Session[] = []
  let first: readonly Float32Array[] = []

  beforeAll(async () => {
    const { layerCount } = model.manifest.config
    spans = cutSpans(layerCount, spanCount)
    engine = await createEngine()
    const positions = (reference: ReferenceCase) => 32 * Math.ceil((reference.promptTokenIds.length + reference.steps.length) / 32)
    const own = cases.filter(takes)
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
      // All logits of the long prompt would take longer than the rest together; its answer depends on all of it anyway.
      const all = promptTokenIds.length < LONG_PROMPT_TOKENS
      let logits: Float32Array | undefined
      for (let at = 0; at < promptTokenIds.length; at += CHUNK_ROWS) {
        const ids = promptTokenIds.slice(at, at + CHUNK_ROWS)
        const rowsOut = await runPass(engine, spans, rows, [{ session, kind: 'prompt', ids, resultCount: all ? ids.length : 1 }])
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
    for (let step = 1; step < STEPS_MAX; step++) {
      const going = sessions.filter(({ reference }) => step < reference.steps.length)
      if (going.length === 0) break
      const passes = going.map((session) => ({
        session,
        kind: 'decode' as const,
        ids: [session.reference.steps[step - 1]?.id ?? 0],
        resultCount: 1,
      }))
      const results = await runPass(engine, spans, rows, passes)
      going.forEach(({ reference }, index) => {
        const logits = results[index]?.[0]
        if (logits === undefined) throw new Error('no logits')
        compareStep(reference, step, logits, bound, marginMin)
      })
    }
  })
})

it('gives the same bits whether 1, 2, 3 or 5 spans hold the layers', async () => {
  const engine = await createGpuEngine('f32')
  const { layerCount } = model.manifest.config
  await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
  const [reference] = cases
  if (reference === undefined) throw new Error('no reference')
  const answers: number[][] = []
  for (const count of [1, 2, 3, 5]) {
    const spans = cutSpans(layerCount, count)
    const session = { reference, slots: spans.map((span) => openSlot(engine, span, 64)) }
    const bits: number[] = []
    let next: { ids: readonly number[]; kind: 'prompt' | 'decode' } = { ids: reference.promptTokenIds.slice(0, BITS_TOKENS), kind: 'prompt' }
    for (let step = 0; step < 4; step++) {
      const [[logits] = []] = await runPass(engine, spans, 'f32', [{ session, ...next, resultCount: 1 }])
      if (logits === undefined) throw new Error('no logits')
      bits.push(bestId(logits), ...new Uint32Array(logits.buffer, logits.byteOffset, logits.length))
      next = { ids: [bestId(logits)], kind: 'decode' }
    }
    answers.push(bits)
    for (const slot of session.slots) engine.close(slot)
  }
  const [whole] = answers
  for (const answer of answers) expect(answer.every((word, index) => word === whole?.[index])).toBe(true)
  engine.dispose()
})

interface SessionPass {
  readonly session: Session
  readonly kind: 'prompt' | 'decode'
  readonly ids: readonly number[]
  readonly resultCount: number
}

/** Carries the rows of several sessions through all spans together; the logits of each session's results. */
async function runPass(
  engine: Engine,
  spans: readonly Span[],
  encoding: 'f32' | 'f16e',
  passes: readonly SessionPass[],
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

function openSlot(engine: Engine, span: Span, maxPositions: number): Slot {
  const opened = engine.open({ span, maxPositions })
  if (!opened.ok) throw new Error('no room')
  return opened.value
}

function bestId(logits: Float32Array): number {
  let best = 0
  for (const [id, logit] of logits.entries()) if (logit > (logits[best] ?? 0)) best = id
  return best
}

function logProbability(logits: Float32Array, id: number): number {
  return (logits[id] ?? Number.NaN) - logSumExp(logits)
}

function logSumExp(logits: Float32Array): number {
  let maximum = Number.NEGATIVE_INFINITY
  for (const logit of logits) maximum = Math.max(maximum, logit)
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - maximum)
  return maximum + Math.log(sum)
}
