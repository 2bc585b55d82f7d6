import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Candidates } from './chain.ts'
import { checkSampling, choiceMargin, GREEDY, type Sampling, sample } from './sampler.ts'

/** Candidates whose probabilities in the whole vocabulary are these; ids count from 100. */
function candidatesOf(probabilities: readonly number[]): Candidates {
  const shift = 5
  return {
    position: 0,
    logSumExp: shift,
    ids: Uint32Array.from(probabilities, (_, index) => 100 + index),
    logits: Float32Array.from(probabilities, (probability) => Math.log(probability) + shift),
  }
}

/** How often each id is drawn over many positions. */
function histogram(candidates: Candidates, sampling: Partial<Sampling>, draws = 4_000): Map<number, number> {
  const counts = new Map<number, number>()
  for (let position = 0; position < draws; position++) {
    const id = sample(candidates, { ...GREEDY, temperature: 1, seed: 1, ...sampling }, position)
    counts.set(id, (counts.get(id) ?? 0) + 1 / draws)
  }
  return counts
}

const kept = (candidates: Candidates, sampling: Partial<Sampling>) => [...histogram(candidates, sampling).keys()].sort()

describe('sample', () => {
  const some = candidatesOf([0.4, 0.3, 0.15, 0.1])

  it('takes the best at temperature 0: ties have come in the order of ids', () => {
    expect(sample(candidatesOf([0.3, 0.3, 0.1]), GREEDY, 5)).toBe(100)
  })

  it('draws the same again for the same seed and position, and others for others', () => {
    const draw = (seed: number) =>
      Array.from({ length: 50 }, (_, position) => sample(some, { ...GREEDY, temperature: 1, seed }, position)).join()
    expect(draw(3)).toBe(draw(3))
    expect(new Set([draw(3), draw(4), draw(2 ** 32 + 3), draw(Number.MAX_SAFE_INTEGER)]).size).toBe(4)
  })

  it('draws in proportion to the probabilities, renormalized over the candidates', () => {
    const counts = histogram(some, {}, 40_000)
    for (const [index, probability] of [0.4, 0.3, 0.15, 0.1].entries()) {
      expect(counts.get(100 + index)).toBeCloseTo(probability / 0.95, 1.7)
    }
  })

  it('sharpens below temperature 1 and flattens above', () => {
    const best = (temperature: number) => histogram(some, { temperature }).get(100) ?? 0
    expect(best(0.25)).toBeGreaterThan(best(1) + 0.1)
    expect(best(1)).toBeGreaterThan(best(4) + 0.05)
    expect(kept(some, { temperature: 1e-6 })).toEqual([100])
  })

  it('keeps top-k', () => {
    expect(kept(some, { topK: 2 })).toEqual([100, 101])
    expect(kept(some, { topK: 99 })).toEqual([100, 101, 102, 103])
  })

  it('keeps the fewest that reach top-p, measured over the whole vocabulary', () => {
    expect(kept(some, { topP: 0.39 })).toEqual([100])
    expect(kept(some, { topP: 0.41 })).toEqual([100, 101])
    expect(kept(some, { topP: 0.71 })).toEqual([100, 101, 102])
    expect(kept(some, { topP: 0.99 })).toEqual([100, 101, 102, 103])
  })

  it('measures top-p over what top-k kept, as llama.cpp does', () => {
    // 0.4 of 0.7 is 0.571: enough for 0.55, although 0.4 of 1 is not.
    expect(kept(some, { topK: 2, topP: 0.55 })).toEqual([100])
    expect(kept(some, { topP: 0.55 })).toEqual([100, 101])
  })

  it('keeps min-p: at least that fraction of the best', () => {
    expect(kept(some, { minP: 0.5 })).toEqual([100, 101])
    expect(kept(some, { minP: 0.2 })).toEqual([100, 101, 102, 103])
    expect(kept(some, { minP: 1 })).toEqual([100])
  })

  it('never draws anything but a candidate', () => {
    const logits = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e4, max: 1e4 }), { minLength: 1, maxLength: 20 })
    const options = fc.record({
      temperature: fc.double({ min: 0, max: 100, noNaN: true }),
      topP: fc.double({ min: 1e-6, max: 1, noNaN: true }),
      topK: fc.nat(30),
      minP: fc.double({ min: 0, max: 1, noNaN: true }),
      seed: fc.maxSafeNat(),
    })
    fc.assert(
      fc.property(logits, options, fc.nat(1_000_000), (values, sampling, position) => {
        const sorted = Float32Array.from(values).sort().reverse()
        const ids = Uint32Array.from(sorted, (_, index) => index)
        const logSumExp = (sorted[0] ?? 0) + 3
        checkSampling(sampling)
        expect(sample({ position, logSumExp, ids, logits: sorted }, sampling, position)).toBeLessThan(sorted.length)
      }),
    )
  })

  it('refuses options out of their range by name', () => {
    const bad: readonly [Partial<Sampling>, RegExp][] = [
      [{ temperature: -0.1 }, /temperature/],
      [{ temperature: Number.NaN }, /temperature/],
      [{ topP: 0 }, /top-p/],
      [{ topP: 1.01 }, /top-p/],
      [{ topK: 1.5 }, /top-k/],
      [{ minP: 2 }, /min-p/],
      [{ seed: -1 }, /seed/],
    ]
    for (const [change, message] of bad) expect(() => checkSampling({ ...GREEDY, ...change })).toThrow(message)
    expect(() => checkSampling(GREEDY)).not.toThrow()
  })
})

describe('choiceMargin', () => {
  it('is what lies between the two best logits where the best is taken', () => {
    expect(choiceMargin(candidatesOf([0.4, 0.1]), GREEDY, 3)).toBeCloseTo(Math.log(4), 5)
    expect(choiceMargin(candidatesOf([1]), GREEDY, 3)).toBe(Number.POSITIVE_INFINITY)
  })

  it('is how far the draw lies from where another token would be drawn', () => {
    const sampling = { ...GREEDY, temperature: 1, seed: 9 }
    for (let position = 0; position < 50; position++) {
      // Of two candidates the first is drawn below its probability: that tells the draw.
      const two = candidatesOf([0.9, 0.1])
      const margin = choiceMargin(two, sampling, position)
      const drawn = sample(two, sampling, position) === 100 ? 0.9 - margin : 0.9 + margin
      expect(choiceMargin(candidatesOf([0.7, 0.3]), sampling, position)).toBeCloseTo(Math.abs(drawn - 0.7), 5)
      const ends = Math.min(Math.abs(drawn - 0.5), Math.abs(drawn - 0.8))
      expect(choiceMargin(candidatesOf([0.5, 0.3, 0.2]), sampling, position)).toBeCloseTo(ends, 5)
    }
  })

  it('is what lies between the logits of the token and of one that would be in its place', () => {
    const sampling = { ...GREEDY, temperature: 1, seed: 9 }
    for (let position = 0; position < 50; position++)
      expect(choiceMargin(candidatesOf([0.251, 0.25, 0.25, 0.249]), sampling, position)).toBeLessThan(0.01)
  })

  it('is small where a rounding at a cut changes the token', () => {
    const cases = [
      [{ topP: 0.5 }, [0.4999, 0.3001, 0.1, 0.1], [0.5001, 0.2999, 0.1, 0.1]],
      [{ minP: 0.3 }, [0.6, 0.1801, 0.1], [0.6, 0.1799, 0.1]],
    ] as const
    let changes = 0
    for (const [change, one, other] of cases)
      for (let seed = 0; seed < 500; seed++) {
        const sampling = { ...GREEDY, temperature: 1, seed, ...change }
        const [first, second] = [candidatesOf([...one]), candidatesOf([...other])]
        if (sample(first, sampling, 5) === sample(second, sampling, 5)) continue
        changes++
        expect(Math.min(choiceMargin(first, sampling, 5), choiceMargin(second, sampling, 5))).toBeLessThan(0.01)
      }
    expect(changes).toBeGreaterThan(50)
  })
})
