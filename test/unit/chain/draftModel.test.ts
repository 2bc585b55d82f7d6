/** A small model that drafts: what it drafts follows from the certain tokens alone, and it changes no answer, not even by failing. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createNgramDrafter,
  type DraftSource,
  GREEDY,
  generate,
  lookupFirst,
  ModelDrafter,
  openDraftSession,
  openEngineChain,
  type Sampling,
} from '../../../src/session/index.ts'
import { ManualClock, TabswarmError } from '../../../src/shared/index.ts'
import { timedChain } from './drafters.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'

const { layerCount, vocabularySize } = fakeConfig
const prompt = Array.from({ length: 37 }, (_, index) => (index * 7 + 3) % 49)
const DRAWN: Sampling = { temperature: 1.5, topP: 1, topK: 8, minP: 0, seed: 7 }
const tokenizer = { vocabularySize, tokenBytes: () => new Uint8Array(0), isEnd: () => false }

interface DraftModel {
  readonly engine: FakeEngine
  readonly source: DraftSource
}

/** All layers make the answer's own model, fewer another one with the same vocabulary. A width of 16,384 cuts prompts in chunks of 3. */
function draftModel({ layers = layerCount, sampling = GREEDY, maxPositions = 1_000, width = 4 } = {}): DraftModel {
  const engine = new FakeEngine()
  const config = { ...fakeConfig, layerCount: layers, width }
  return { engine, source: openDraftSession({ engine, config, maxPositions, sampling, topK: 8, clock: new ManualClock() }) }
}

interface How {
  readonly sampling?: Sampling
  readonly layers?: number
  readonly maxTokens?: number
  readonly maxPositions?: number
  readonly withLookup?: boolean
  /** Called before each call of the drafter's source, with how many there were. */
  readonly onCall?: (model: DraftModel, calls: number) => void
}

/** The answer with a draft model beside it, and without. */
async function both({ sampling = GREEDY, layers = layerCount, maxTokens = 60, maxPositions = 1_000, withLookup = false, onCall }: How) {
  const model = draftModel({ layers, sampling, maxPositions })
  const failures: unknown[] = []
  let calls = 0
  const source: DraftSource = {
    draft: (ids, count) => {
      onCall?.(model, calls++)
      return model.source.draft(ids, count)
    },
    close: () => model.source.close(),
  }
  const ask = (drafted: boolean) => {
    const stages = [{ engine: new FakeEngine(), span: { firstLayer: 0, endLayer: layerCount } }]
    const { chain, clock } = timedChain(openEngineChain({ stages, maxPositions: 1_000, topK: 8, rowEncoding: 'f32' }))
    // By a clock that stands still drafts cost nothing.
    const drafter = new ModelDrafter(source, new ManualClock(), (error) => failures.push(error))
    const request = { chain, tokenizer, promptTokenIds: prompt, maxTokens, sampling, chunkRows: 10, clock, keepSteps: true }
    return generate({ ...request, ...(drafted ? { drafter: withLookup ? lookupFirst(createNgramDrafter(), drafter) : drafter } : {}) })
  }
  const { timings: _plain, drafts: _none, ...plain } = await ask(false)
  const { timings: _drafted, drafts, ...answer } = await ask(true)
  return { plain, answer, drafts, failures, model }
}

const samplings: fc.Arbitrary<Sampling> = fc.record({
  temperature: fc.constantFrom(0, 0.7, 1.5, 20),
  topP: fc.constantFrom(0.5, 1),
  topK: fc.constantFrom(0, 3),
  minP: fc.constantFrom(0, 0.1),
  seed: fc.nat(),
})

describe('an answer with a draft model', () => {
  it('is the answer without, whatever the model, greedy and drawn with a seed, with lookup and alone', async () => {
    let [accepted, rejected] = [0, 0]
    await fc.assert(
      fc.asyncProperty(samplings, fc.integer({ min: 1, max: layerCount }), fc.boolean(), async (sampling, layers, withLookup) => {
        const { plain, answer, drafts, failures } = await both({ sampling, layers, withLookup })
        expect(answer).toEqual(plain)
        expect(failures).toEqual([])
        accepted += drafts.acceptedTokens
        rejected += drafts.draftedTokens - drafts.acceptedTokens
      }),
      { numRuns: 60 },
    )
    expect(accepted).toBeGreaterThan(0)
    expect(rejected).toBeGreaterThan(0)
  })

  it('takes every draft of the same model, also drawn ones: both draw with the same seed at the same position', async () => {
    for (const sampling of [GREEDY, DRAWN]) {
      const { drafts } = await both({ sampling })
      expect(drafts.draftedTokens).toBeGreaterThan(20)
      expect(drafts.acceptedTokens).toBe(drafts.draftedTokens)
    }
  })

  it('goes on without it when it fails, and says so once', async () => {
    for (const failsAt of [0, 1, 4]) {
      const onCall = ({ engine }: DraftModel, calls: number) => {
        if (calls >= failsAt) engine.failNext = new TabswarmError('device-lost', 'the GPU is gone')
      }
      const { plain, answer, failures, model } = await both({ onCall })
      expect(answer).toEqual(plain)
      expect(failures).toMatchObject([{ reason: 'device-lost', message: 'the GPU is gone' }])
      await expect.poll(() => model.engine.usage().openSlots).toBe(0)
    }
  })

  it('goes on alone where the model has no more positions', async () => {
    const { plain, answer, failures, model } = await both({ maxPositions: prompt.length + 20 })
    expect(answer).toEqual(plain)
    expect(failures).toEqual([])
    expect(model.engine.length(0)).toBeLessThanOrEqual(prompt.length + 20)
  })
})

describe('a draft session', () => {
  it('drafts what one would that was told the same at once, however much of its drafts came true', async () => {
    const steps = fc.array(
      fc.record({ accepted: fc.nat(6), more: fc.array(fc.nat(vocabularySize - 1), { maxLength: 12 }), count: fc.nat(6) }),
      {
        maxLength: 8,
      },
    )
    await fc.assert(
      fc.asyncProperty(steps, samplings, fc.constantFrom(4, 16_384), async (all, sampling, width) => {
        const { engine, source } = draftModel({ sampling, width })
        const told = [...prompt]
        let drafted = await source.draft(told, 3)
        for (const { accepted, more, count } of all) {
          const next = [...drafted.slice(0, accepted).map(({ id }) => id), ...more]
          told.push(...next)
          drafted = await source.draft(next, count)
          expect(drafted).toEqual(await draftModel({ sampling }).source.draft(told, count))
          expect(engine.length(0)).toBe(told.length + Math.max(0, drafted.length - 1))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('computes a pass a token: what came true is not computed again', async () => {
    const { engine, source } = draftModel({ sampling: DRAWN })
    const drafted = await source.draft(prompt, 4)
    expect(engine.passes.flat()).toEqual([37, 1, 1, 1])
    engine.passes.length = 0
    // Two were right, then came something else.
    await source.draft([...drafted.slice(0, 2).map(({ id }) => id), 3], 2)
    expect(engine.passes.flat()).toEqual([1, 1])
    engine.passes.length = 0
    await source.draft([4, 5], 0)
    expect(engine.passes.flat()).toEqual([2])
  })

  it('is sure of itself as its model is, and stops where that is hardly at all', async () => {
    const { source } = draftModel()
    const drafted = await source.draft(prompt, 31)
    const before = drafted.slice(0, -1).reduce((product, { likelihood }) => product * likelihood, 1)
    expect(before).toBeGreaterThanOrEqual(0.2)
    expect(drafted.length).toBeLessThan(31)
    for (const { likelihood } of drafted) expect(likelihood > 0 && likelihood <= 1).toBe(true)
  })

  it('ends a draft under way when it is closed, and frees its slot', async () => {
    const { engine, source } = draftModel()
    let open: () => void = () => undefined
    engine.gate = new Promise((resolve) => {
      open = resolve
    })
    const drafting = source.draft(prompt, 4)
    source.close()
    expect(await drafting).toEqual([])
    open()
    await expect.poll(() => engine.usage().openSlots).toBe(0)
  })
})

describe('ModelDrafter', () => {
  /** A source that takes 30 ms a token by this clock and drafts 7, 7, 7 …; with what it was asked. */
  function slowSource(clock: ManualClock) {
    const calls: { readonly ids: readonly number[]; readonly count: number }[] = []
    const source: DraftSource = {
      async draft(ids, count) {
        calls.push({ ids, count })
        clock.advance(30 * count)
        return Array.from({ length: count }, () => ({ id: 7, likelihood: 0.9, method: 'model' }))
      },
      close: () => undefined,
    }
    return { source, calls }
  }

  const settled = () => new Promise((resolve) => setImmediate(resolve))

  async function prepared() {
    const clock = new ManualClock()
    const { source, calls } = slowSource(clock)
    const drafter = new ModelDrafter(source, clock, () => undefined)
    drafter.append(prompt)
    await settled()
    return { drafter, calls, takeCalls: () => calls.splice(0) }
  }

  const request = (count: number, seen: number[] = []) => ({
    limit: 31,
    countWorth: (tokenMs: number, likelihood: number) => {
      seen.push(tokenMs, likelihood)
      return count
    },
    signal: new AbortController().signal,
  })

  it('computes the prompt before it is asked for anything, and knows then what a token takes', async () => {
    const { drafter, takeCalls } = await prepared()
    expect(takeCalls()).toEqual([
      { ids: prompt, count: 0 },
      { ids: [], count: 2 },
    ])
    const seen: number[] = []
    drafter.append([1])
    expect(await drafter.draft(request(3, seen))).toHaveLength(3)
    expect(seen[0]).toBe(30)
    expect(takeCalls()).toEqual([{ ids: [1], count: 3 }])
  })

  it('lets nobody wait where it is not worth it, and learns beside the laps how often it is right, at last at every eighth', async () => {
    const { drafter, takeCalls } = await prepared()
    takeCalls()
    const seen: number[] = []
    for (let lap = 0; lap < 32; lap++) {
      drafter.append([7])
      expect(drafter.draft(request(0, seen))).toEqual([])
      await settled()
    }
    const likelihoods = seen.filter((_, index) => index % 2 === 1)
    expect(likelihoods[0]).toBe(0.6)
    expect(likelihoods[8]).toBeGreaterThan(0.85)
    expect(takeCalls().map(({ count }) => count)).toEqual(Array.from({ length: 11 }, () => 1))
  })

  it('catches up beside a lap where it is far behind, and drafts at the next', async () => {
    const { drafter, takeCalls } = await prepared()
    takeCalls()
    drafter.append(prompt)
    expect(drafter.draft(request(4))).toEqual([])
    await settled()
    drafter.append([7])
    expect(await drafter.draft(request(4))).toHaveLength(4)
    expect(takeCalls()).toEqual([
      { ids: prompt, count: 1 },
      { ids: [7], count: 4 },
    ])
  })

  it('drafts nothing while it computes the prompt', () => {
    const clock = new ManualClock()
    const drafter = new ModelDrafter(slowSource(clock).source, clock, () => undefined)
    drafter.append(prompt)
    expect(drafter.draft(request(4))).toEqual([])
  })
})
