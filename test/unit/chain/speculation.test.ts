/** With drafts an answer is what it is without them: tokens, text, candidates, reason, and what the chain holds in the end. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Chain,
  createNgramDrafter,
  type Drafter,
  type DraftToken,
  type GenerateEvent,
  type GenerateRequest,
  type GenerateResult,
  generate,
  type Lap,
  openEngineChain,
} from '../../../src/session/index.ts'
import { required } from '../../../src/shared/index.ts'
import { knowingDrafter, strangeDrafter, timedChain } from './drafters.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { World } from './world.ts'

type Question = Omit<GenerateRequest, 'chain' | 'clock' | 'chunkRows' | 'onEvent' | 'drafter' | 'signal'> & {
  readonly maxPositions: number
  /** Cancelled as soon as there are so many tokens. */
  readonly cancelAt: number
}

interface Asked {
  readonly result: GenerateResult
  readonly laps: readonly Lap[]
  /** Without what may differ: when laps came, and what stages say of them. */
  readonly events: readonly object[]
  /** KV positions at the end. */
  readonly length: number
}

/** Asks one engine, without any network. */
async function ask({ maxPositions, cancelAt, ...question }: Question, drafter?: Drafter): Promise<Asked> {
  const engine = new FakeEngine()
  const span = { firstLayer: 0, endLayer: fakeConfig.layerCount }
  const { chain, clock, laps } = timedChain(openEngineChain({ stages: [{ engine, span }], maxPositions, topK: 8, rowEncoding: 'f32' }))
  const controller = new AbortController()
  const events: object[] = []
  const onEvent = (event: GenerateEvent) => {
    if (event.kind === 'lap') return
    // Laps are what drafts are to change.
    if (event.kind !== 'decoded') events.push(event.kind === 'token' ? { ...event, lapMs: null } : event)
    if (event.kind === 'token' && event.completionTokens === cancelAt) controller.abort()
  }
  const options = { chain, chunkRows: 5, clock, signal: controller.signal, onEvent }
  const result = await generate({ ...question, ...options, ...(drafter === undefined ? {} : { drafter }) })
  await new Promise((resolve) => setImmediate(resolve))
  const length = engine.length(0)
  chain.close()
  return { result, laps, events, length }
}

const prompt = Array.from({ length: 37 }, (_, index) => (index * 7 + 3) % 49)

const words = {
  vocabularySize: fakeConfig.vocabularySize,
  tokenBytes: (id: number) => new TextEncoder().encode(`${id} `),
  isEnd: () => false,
}

const plainQuestion: Question = {
  tokenizer: words,
  promptTokenIds: prompt,
  maxTokens: 40,
  maxPositions: 1_000,
  cancelAt: 0,
  sampling: { temperature: 1.5, topP: 1, topK: 8, minP: 0, seed: 7 },
  keepSteps: true,
}

const samplings = fc.record({
  temperature: fc.constantFrom(0, 0.4, 1.5, 20),
  topP: fc.constantFrom(0.3, 0.9, 1),
  topK: fc.constantFrom(0, 1, 3),
  minP: fc.constantFrom(0, 0.2),
  seed: fc.nat(),
})

/** Tokens whose bytes are anything: parts of characters, nothing, several words; and some that end the answer. */
const tokenizers = fc
  .record({
    pieces: fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.constantFrom(...['a', 'ab ', '€', ''].map((text) => new TextEncoder().encode(text)))),
      {
        minLength: fakeConfig.vocabularySize,
        maxLength: fakeConfig.vocabularySize,
      },
    ),
    ends: fc.uniqueArray(fc.nat(fakeConfig.vocabularySize - 1), { maxLength: 2 }),
  })
  .map(({ pieces, ends }) => ({
    vocabularySize: fakeConfig.vocabularySize,
    tokenBytes: (id: number) => pieces[id] ?? new Uint8Array(0),
    isEnd: (id: number) => ends.includes(id),
  }))

const draftTokens: fc.Arbitrary<DraftToken> = fc.record({
  id: fc.oneof(fc.nat(fakeConfig.vocabularySize - 1), fc.constantFrom(-1, 1.5, Number.NaN, fakeConfig.vocabularySize, 2 ** 40)),
  likelihood: fc.constantFrom(0, 0.5, 1, 9, -3, Number.NaN),
  method: fc.constantFrom('lookup', 'model'),
})

/** Given prompt and answer: drafters that know them and err, look them up, or know nothing at all. */
const drafters: fc.Arbitrary<(ids: readonly number[]) => Drafter> = fc.oneof(
  fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }).map((errs) => (ids: readonly number[]) => {
    return knowingDrafter(ids, (place) => errs[place % errs.length] === true)
  }),
  fc.constant(() => createNgramDrafter()),
  fc.record({ drafts: fc.array(fc.array(draftTokens, { maxLength: 40 }), { maxLength: 9 }), turns: fc.nat(3) }).map(({ drafts, turns }) => {
    return () => strangeDrafter(drafts, turns)
  }),
)

const questions = fc.record({
  tokenizer: tokenizers,
  promptTokenIds: fc.array(fc.nat(fakeConfig.vocabularySize - 1), { minLength: 1, maxLength: 12 }),
  maxTokens: fc.integer({ min: 1, max: 60 }),
  maxPositions: fc.integer({ min: 12, max: 80 }),
  cancelAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })),
  sampling: samplings,
  stripLeadingSpace: fc.boolean(),
})

describe('an answer with drafts', () => {
  it('is the answer without: tokens, text, steps, reason, events, and the KV cache', async () => {
    const sum = { accepted: 0, rejected: 0, stopped: 0 }
    await fc.assert(
      fc.asyncProperty(questions, drafters, fc.nat(), fc.integer({ min: 1, max: 6 }), async (asked, drafterOf, stopAt, stopLength) => {
        const question = { ...asked, keepSteps: true }
        const free = await ask(question)
        const stop = free.result.text.slice(stopAt % Math.max(1, free.result.text.length)).slice(0, stopLength)
        for (const stops of [[], stop === '' ? [] : [stop]]) {
          const expected = await ask({ ...question, stop: stops })
          const { completionTokenIds } = expected.result
          const drafted = await ask({ ...question, stop: stops }, drafterOf([...question.promptTokenIds, ...completionTokenIds]))
          const { timings: _timings, drafts, ...result } = drafted.result
          const { timings: _expectedTimings, drafts: _none, ...expectedResult } = expected.result
          expect(result).toEqual(expectedResult)
          expect(drafted.events).toEqual(expected.events)
          expect(drafted.length).toBe(expected.length)
          expectUsefulDrafts(drafted, { ...question, stop: stops })
          sum.accepted += drafts.acceptedTokens
          sum.rejected += drafts.draftedTokens - drafts.acceptedTokens
          if (stops.length > 0 && result.finishReason === 'stop') sum.stopped++
        }
      }),
      { numRuns: 300 },
    )
    expect(sum.accepted).toBeGreaterThan(100)
    expect(sum.rejected).toBeGreaterThan(100)
    expect(sum.stopped).toBeGreaterThan(10)
  })

  it('takes as many laps less as drafts were right', async () => {
    const expected = await ask(plainQuestion)
    const { result } = await ask(
      plainQuestion,
      knowingDrafter([...prompt, ...expected.result.completionTokenIds], () => false),
    )
    expect(result.completionTokenIds).toHaveLength(40)
    expect(expected.result.drafts).toEqual({ laps: 39, draftedTokens: 0, acceptedTokens: 0 })
    expect(result.drafts.laps).toBe(39 - result.drafts.acceptedTokens)
    expect(result.drafts.laps).toBeLessThan(12)
  })

  it('[S9] is the same over links, whatever the split, and frees everything', async () => {
    const { result: expected } = await ask(plainQuestion)
    const ids = [...prompt, ...expected.completionTokenIds]
    for (const stageCount of [1, 2, 3, 5]) {
      const world = new World(stageCount)
      const chain = await world.open(world.grant())
      const drafter = knowingDrafter(ids, (place) => place % 5 === 0)
      const { result, drafts } = await answerOver(world, chain, drafter)
      expect(result).toEqual(expected.completionTokenIds)
      expect(drafts.acceptedTokens).toBeGreaterThan(5)
      expect(drafts.draftedTokens).toBeGreaterThan(drafts.acceptedTokens)
      chain.close()
      await world.settle()
      expect(world.openSlots()).toBe(0)
    }
  })

  it('[W5] goes on when far more rows were tried than a window has', async () => {
    const question = { ...plainQuestion, maxTokens: 600 }
    const { result: expected } = await ask(question)
    const ids = [...prompt, ...expected.completionTokenIds]
    const world = new World(2)
    const chain = await world.open(world.grant())
    const { result, drafts } = await answerOver(
      world,
      chain,
      knowingDrafter(ids, (place) => place % 12 === 0),
      600,
    )
    expect(result).toEqual(expected.completionTokenIds)
    expect(drafts.draftedTokens).toBeGreaterThan(1_024)
  })

  it('[S19] in any order of delivery, beside other sessions, is the same', async () => {
    const { result: expected } = await ask({ ...plainQuestion, maxTokens: 120 })
    const ids = [...prompt, ...expected.completionTokenIds]
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000)),
        fc.array(fc.integer({ min: 2, max: 100 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(1, 2, 3),
        async (order, errsEvery, stageCount) => {
          const picks = order[Symbol.iterator]()
          const world = new World(stageCount, { pick: (count) => (picks.next().value ?? 0) % Math.max(1, count) })
          for (const { engine } of world.stages) engine.passTurns = 4
          const chains: Chain[] = []
          for (const _session of errsEvery) chains.push(await world.open(world.grant()))
          const answers = chains.map((chain, index) => {
            const every = errsEvery[index] ?? 2
            const drafter = knowingDrafter(ids, (place) => place % every === 0)
            return generate(requestOver(chain, drafter, 120))
          })
          for (const { completionTokenIds } of await world.run(Promise.all(answers))) {
            expect(completionTokenIds).toEqual(expected.completionTokenIds)
          }
          for (const chain of chains) chain.close()
          await world.settle()
          expect(world.openSlots()).toBe(0)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('[S13] is the same where laps come back in parts, since others fill the passes', async () => {
    const { result: expected } = await ask({ ...plainQuestion, maxTokens: 200 })
    const ids = [...prompt, ...expected.completionTokenIds]
    const world = new World(1)
    const engine = required(world.stages[0], 'stage').engine
    engine.passTurns = 15
    const chains = await Promise.all([1, 2, 3, 4, 5].map(() => world.open(world.grant())))
    const answers = chains.map((chain) => {
      const drafter = knowingDrafter(ids, () => false)
      return generate(requestOver(chain, drafter, 200))
    })
    for (const { completionTokenIds } of await world.run(Promise.all(answers))) {
      expect(completionTokenIds).toEqual(expected.completionTokenIds)
    }
    // Of the fourth lap of 17 rows the pass of 64 has room for 13.
    expect(engine.passes).toContainEqual([17, 17, 17, 13])
  })

  it('ends when it is cancelled or its chain breaks while it waits for a draft', async () => {
    const never: Drafter = { append: () => undefined, draft: () => new Promise(() => undefined) }
    const world = new World(2)
    const controller = new AbortController()
    const cancelled = generate({ ...requestOver(await world.open(world.grant()), never), signal: controller.signal })
    const broken = generate(requestOver(await world.open(world.grant()), never)).catch((error: unknown) => error)
    await world.settle()
    controller.abort()
    expect(await world.run(cancelled)).toMatchObject({ finishReason: 'cancelled' })
    void world.stages[1]?.host.stop()
    expect(await world.run(broken)).toMatchObject({ reason: 'stopped' })
  })

  it('fails with what its drafter throws', async () => {
    const broken: Drafter = { append: () => undefined, draft: () => Promise.reject(new Error('no GPU is left')) }
    await expect(ask(plainQuestion, broken)).rejects.toThrow('no GPU is left')
  })
})

/** No lap carries a row that the answer can have no use for. */
function expectUsefulDrafts({ result, laps }: Asked, question: Question): void {
  const { promptTokenIds, tokenizer, maxTokens, maxPositions, stop = [] } = question
  for (const { firstPosition, ids, kind, resultCount } of laps) {
    if (kind === 'prompt') continue
    expect(resultCount).toBe(ids.length)
    expect(firstPosition + ids.length).toBeLessThanOrEqual(Math.min(maxPositions, promptTokenIds.length + maxTokens - 1))
    const known = result.completionTokenIds.slice(0, firstPosition - promptTokenIds.length)
    expect([...ids].some((id) => tokenizer.isEnd(id))).toBe(false)
    const bytes = [...known, ...ids].flatMap((id) => [...tokenizer.tokenBytes(id)])
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes), { stream: true })
    const shown = question.stripLeadingSpace === true && text.startsWith(' ') ? text.slice(1) : text
    for (const end of stop) expect(shown).not.toContain(end)
  }
}

function requestOver(chain: Chain, drafter: Drafter, maxTokens = 40): GenerateRequest {
  const { tokenizer, sampling } = plainQuestion
  return { ...timedChain(chain), tokenizer, promptTokenIds: prompt, maxTokens, sampling, chunkRows: 10, drafter }
}

async function answerOver(world: World, chain: Chain, drafter: Drafter, maxTokens = 40) {
  const { completionTokenIds: result, drafts } = await world.run(generate(requestOver(chain, drafter, maxTokens)))
  return { result, drafts }
}
