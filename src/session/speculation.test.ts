/** When drafts are sent, over texts that are known and laps that take what the test says. What they change: generate.test.ts. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/index.ts'
import type { Drafter, DraftToken } from './drafter.ts'
import { lookupFirst } from './lookupFirst.ts'
import { DRAFT_TOKENS_MAX, Speculation } from './speculation.ts'
import { createNgramDrafter } from './speculationNgrams.ts'

const { signal } = new AbortController()

interface Chain {
  readonly oneRowMs: number
  /** What each row beyond the first adds, in laps of one row. */
  readonly rowLaps: number
}

/** Three hops of 20 ms, 12 ms of compute, and 3 ms for each row more. */
const FAR: Chain = { oneRowMs: 72, rowLaps: 3 / 72 }
const NEAR: Chain = { oneRowMs: 30, rowLaps: 0.5 }

/** Answers token by token what `answer` says; how long that took, and what was drafted for it. */
async function replay(drafterOf: (clock: ManualClock) => Drafter, prompt: readonly number[], answer: readonly number[], chain: Chain) {
  const clock = new ManualClock()
  const speculation = new Speculation(drafterOf(clock), clock)
  speculation.append(prompt)
  const sentCounts: number[] = []
  for (let done = 0; done < answer.length; ) {
    const draft = await speculation.draft({ room: answer.length - done - 1, countUsable: (ids) => ids.length, signal })
    const wrong = draft.findIndex((id, index) => id !== answer[done + index])
    const accepted = wrong < 0 ? draft.length : wrong
    const lapMs = chain.oneRowMs * (1 + chain.rowLaps * draft.length)
    clock.advance(lapMs)
    speculation.observe(answer.slice(done, done + accepted + 1), lapMs)
    sentCounts.push(draft.length)
    done += accepted + 1
  }
  return { sentCounts, speedup: (answer.length * chain.oneRowMs) / clock.nowMs() }
}

/** Reproducible ids below 1,000, hardly any pair of them twice. */
function noise(count: number, seed: number): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state % 1_000
  })
}

/** A text with every tenth word changed. */
const edited = (text: readonly number[]) => text.map((id, index) => (index % 10 === 9 ? 1_000 + id : id))

/** Of a drafter that guesses for nothing. */
const token = (id: number, likelihood: number): DraftToken => ({ id, likelihood, method: 'lookup' })

const drafterOf = (draft: () => readonly DraftToken[]): Drafter => ({ append: () => undefined, draft })

describe('Speculation', () => {
  it('drafts nothing before it knows what a lap takes, and long drafts once they were right', async () => {
    const text = noise(60, 1)
    const { sentCounts } = await replay(createNgramDrafter, text, text, FAR)
    expect(sentCounts.slice(0, 3)).toEqual([0, 0, 0])
    expect(Math.max(...sentCounts)).toBeGreaterThan(10)
  })

  it('makes an editing task at least 1.5 times as fast where links are far, and faster where they are near', async () => {
    for (const seed of [1, 2, 3]) {
      const text = noise(200, seed)
      expect((await replay(createNgramDrafter, text, edited(text), FAR)).speedup).toBeGreaterThan(1.5)
      expect((await replay(createNgramDrafter, text, edited(text), NEAR)).speedup).toBeGreaterThan(1.1)
    }
  })

  it('keeps 0.97 of the speed on a text without repeats, whatever rows cost', async () => {
    const text = fc.record({
      rowLaps: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.integer({ min: 100, max: 300 }),
      seed: fc.nat(),
    })
    await fc.assert(
      fc.asyncProperty(text, async ({ rowLaps, length, seed }) => {
        // Of so few words that one comes back every 50 tokens, with something else behind it.
        const ids = noise(100 + length, seed).map((id) => id % 50)
        const { speedup } = await replay(createNgramDrafter, ids.slice(0, 100), ids.slice(100), { oneRowMs: 50, rowLaps })
        expect(speedup).toBeGreaterThan(0.97)
      }),
      { numRuns: 200 },
    )
  })

  it('loses at most a hundredth and five laps, whatever is drafted and how sure the drafter says it is', async () => {
    const mixed = fc.record({
      length: fc.integer({ min: 1, max: 400 }),
      rowLaps: fc.double({ min: 0, max: 1, noNaN: true }),
      likelihood: fc.constantFrom(0, 0.3, 0.9, 1, 7, -1, Number.NaN),
      /** Share of drafted tokens that are right. */
      right: fc.constantFrom(0, 0.1, 0.5, 0.8, 0.95),
      seed: fc.nat(),
    })
    await fc.assert(
      fc.asyncProperty(mixed, async ({ length, rowLaps, likelihood, right, seed }) => {
        const answer = noise(length, seed)
        const luck = noise(length, seed + 1).map((value) => value < 1_000 * right)
        let known = 0
        const drafter: Drafter = {
          append: (ids) => {
            known += ids.length
          },
          draft: ({ limit }) =>
            Array.from({ length: limit + 5 }, (_, index) => {
              const id = answer[known + index] ?? 0
              return token(luck[known + index] === true ? id : id + 1, likelihood)
            }),
        }
        const { speedup } = await replay(() => drafter, [], answer, { oneRowMs: 50, rowLaps })
        // The bound itself is reached; times are summed in floating point.
        expect(length / speedup).toBeLessThan(1.01 * length + 5 + 1e-6)
      }),
      {
        numRuns: 200,
        examples: [
          // It reached the bound to the last digit.
          [{ length: 169, rowLaps: 0.9899999999999991, likelihood: 1, right: 0.95, seed: 1_694_840_313 }],
          // What rows cost was measured so long ago that the prior was believed again: 13 of them for 9.7 laps.
          [{ length: 400, rowLaps: 1, likelihood: 1, right: 0.95, seed: 28 }],
        ],
      },
    )
  })

  it('stops drafting where rows cost as much as laps, however right the drafts are', async () => {
    const text = noise(300, 4)
    const { sentCounts, speedup } = await replay(createNgramDrafter, text, text, { oneRowMs: 30, rowLaps: 1 })
    expect(sentCounts.filter((count) => count > 0).length).toBeLessThan(20)
    expect(speedup).toBeGreaterThan(0.97)
  })

  it('learns from drafts that it does not send: a drafter that is sure of nothing is believed once it was right', async () => {
    const text = noise(120, 5)
    const shy = (shift: number) => (): Drafter => {
      const lookup = createNgramDrafter()
      return {
        append: (ids) => lookup.append(ids),
        draft: async (request) => (await lookup.draft(request)).map(({ id }) => token(id + shift, 0)),
      }
    }
    expect((await replay(shy(0), text, text, FAR)).speedup).toBeGreaterThan(1.5)
    const { sentCounts } = await replay(shy(1), text, text, FAR)
    expect(sentCounts).toEqual(text.map(() => 0))
  })

  it('waits for a drafter that takes time, counts that time, and asks no more where it costs too much', async () => {
    let asked = 0
    const slow = (clock: ManualClock): Drafter =>
      drafterOf(() => {
        asked++
        clock.advance(20)
        return [token(5_000, 0.1)]
      })
    const { speedup } = await replay(slow, [], noise(200, 6), { oneRowMs: 50, rowLaps: 0.1 })
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(20)
    expect(speedup).toBeGreaterThan(0.97)
  })

  describe('with a drafter that needs time', () => {
    /** Drafts as many as it is told are worth `tokenMs` each, of which so many are right. */
    function modelOf(answer: readonly number[], tokenMs: number, right: number, seed: number) {
      const asked: number[] = []
      const luck = noise(answer.length + DRAFT_TOKENS_MAX, seed).map((value) => value < 1_000 * right)
      const drafterOn = (clock: ManualClock): Drafter => {
        let known = 0
        return {
          append: (ids) => {
            known += ids.length
          },
          draft: async ({ countWorth }) => {
            const count = countWorth(tokenMs, right)
            if (count > 0) asked.push(count)
            clock.advance(count * tokenMs)
            return Array.from({ length: count }, (_, index) => {
              const id = answer[known + index] ?? 0
              return { id: luck[known + index] === true ? id : id + 1, likelihood: right, method: 'model' }
            })
          },
        }
      }
      return { drafterOn, asked }
    }

    it('is faster where a good drafter costs less than the links, and asks for several tokens at a time', async () => {
      const answer = noise(200, 7)
      const { drafterOn, asked } = modelOf(answer, 6, 0.8, 8)
      expect((await replay(drafterOn, [], answer, FAR)).speedup).toBeGreaterThan(1.5)
      expect(Math.max(...asked)).toBeGreaterThan(3)
    })

    it('asks for nothing before laps are measured, nor where a token costs what a lap does', async () => {
      const answer = noise(300, 9)
      const { drafterOn, asked } = modelOf(answer, 30, 1, 10)
      const { speedup, sentCounts } = await replay(drafterOn, [], answer, NEAR)
      expect(sentCounts.slice(0, 3)).toEqual([0, 0, 0])
      expect(asked).toEqual([])
      expect(speedup).toBe(1)
    })

    it('loses at most a hundredth and five laps, whatever a token costs and however wrong it is', async () => {
      const drafters = fc.record({
        length: fc.integer({ min: 1, max: 300 }),
        tokenMs: fc.double({ min: 0.1, max: 200, noNaN: true }),
        right: fc.constantFrom(0, 0.1, 0.5, 0.9),
        rowLaps: fc.double({ min: 0, max: 1, noNaN: true }),
        seed: fc.nat(),
      })
      await fc.assert(
        fc.asyncProperty(drafters, async ({ length, tokenMs, right, rowLaps, seed }) => {
          const answer = noise(length, seed)
          const { drafterOn } = modelOf(answer, tokenMs, right, seed + 1)
          const { speedup } = await replay(drafterOn, [], answer, { oneRowMs: 50, rowLaps })
          expect(length / speedup).toBeLessThan(1.01 * length + 5 + 1e-6)
        }),
        { numRuns: 200 },
      )
    })

    it('a useless one beside it takes little from the lookup', async () => {
      const prompt = noise(100, 11)
      // A hundred tokens of nothing, and then the prompt again.
      const answer = [...noise(100, 12), ...prompt]
      const { drafterOn } = modelOf(answer, 6, 0, 13)
      const both = (clock: ManualClock) => lookupFirst(createNgramDrafter(), drafterOn(clock))
      const alone = await replay(createNgramDrafter, prompt, answer, FAR)
      expect((await replay(both, prompt, answer, FAR)).speedup).toBeGreaterThan(0.95 * alone.speedup)
    })

    it('goes on without a draft that does not come in the time that may be lost', async () => {
      const clock = new ManualClock()
      let asked = 0
      const never = () => {
        asked++
        return new Promise<readonly DraftToken[]>(() => undefined)
      }
      const speculation = new Speculation(
        { append: () => undefined, draft: (request) => (request.countWorth(1, 1) > 0 ? never() : []) },
        clock,
      )
      const draft = () => speculation.draft({ room: 100, countUsable: (ids) => ids.length, signal })
      for (let lap = 0; lap < 3; lap++) {
        expect(await draft()).toEqual([])
        clock.advance(50)
        speculation.observe([lap], 50)
      }
      const late = draft()
      // 0.43 laps that may be lost, and one more.
      clock.advance(71)
      expect(await Promise.race([late, Promise.resolve('waits')])).toBe('waits')
      clock.advance(1)
      expect(await late).toEqual([])
      speculation.observe([3], 50)
      expect(await draft()).toEqual([])
      expect(asked).toBe(1)
    })
  })

  it('sends no more than there is room for, and nothing that the answer has no use for', async () => {
    const clock = new ManualClock()
    const speculation = new Speculation(
      drafterOf(() => Array.from({ length: 100 }, (_, id) => token(id, 1))),
      clock,
    )
    const limits: number[] = []
    const draft = (room: number, usable: number) =>
      speculation.draft({
        room,
        countUsable: (ids) => {
          limits.push(ids.length)
          return usable
        },
        signal,
      })
    for (let lap = 0; lap < 10; lap++) {
      const accepted = (await draft(DRAFT_TOKENS_MAX, 100)).length
      speculation.observe(
        Array.from({ length: accepted + 1 }, (_, id) => id),
        10,
      )
    }
    expect(await draft(1_000, 100)).toHaveLength(DRAFT_TOKENS_MAX)
    expect(await draft(DRAFT_TOKENS_MAX, 3)).toEqual([0, 1, 2])
    expect(await draft(2, 100)).toEqual([0, 1])
    expect(await draft(0, 100)).toEqual([])
    expect(await draft(-1, 100)).toEqual([])
    expect(Math.max(...limits)).toBe(DRAFT_TOKENS_MAX)
  })
})
