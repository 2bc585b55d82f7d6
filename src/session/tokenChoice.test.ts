/** Choices by the k best logits and the logsumexp are those by all logits, or left open; and those are what the options say, spelled out. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Candidates } from './chain.ts'
import { GREEDY, type Sampling } from './sampler.ts'
import { TokenChoice } from './tokenChoice.ts'
import type { TokenSet } from './tokenConstraint.ts'

interface Case {
  readonly logits: Float32Array
  readonly k: number
  readonly sampling: Sampling
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
  /** Null: any token. */
  readonly allowed: ReadonlySet<number> | null
}

const at = (logits: Float32Array, id: number) => logits[id] ?? 0

function bestFirst(logits: ArrayLike<number>): number[] {
  return Array.from(logits, (_, id) => id).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
}

/** What a last stage sends; the sum in f32, as it travels. */
function candidatesOf({ logits, k }: Case, named: readonly number[]): Candidates {
  const ids = bestFirst(logits).slice(0, k)
  const best = at(logits, ids[0] ?? 0)
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - best), 0)
  const logitsOf = (wanted: readonly number[]) => Float32Array.from(wanted, (id) => at(logits, id))
  const found = { position: 6, logSumExp: Math.fround(best + Math.log(sum)), ids: Uint32Array.from(ids), logits: logitsOf(ids) }
  return named.length === 0 ? found : { ...found, named: { ids: Uint32Array.from(named), logits: logitsOf(named) } }
}

function setOf({ logits, allowed }: Case): TokenSet | null {
  if (allowed === null) return null
  const words = new Uint32Array(Math.ceil(logits.length / 32))
  for (const id of allowed) words[id >> 5] = ((words[id >> 5] ?? 0) | (1 << (id & 31))) >>> 0
  return words
}

function choiceOf({ logits, sampling, prompt, answer }: Case): TokenChoice {
  const choice = new TokenChoice({ sampling, promptTokenIds: prompt, vocabularySize: logits.length })
  for (const id of answer) choice.take(id)
  return choice
}

/** The options spelled out over all logits: weights of all tokens, at temperature 1 and as they are drawn, that are still in. */
function spelledOut({ logits, sampling, prompt, answer, allowed }: Case): Map<number, number> {
  const { presencePenalty = 0, frequencyPenalty = 0, repetitionPenalty = 1, logitBias = [], topK, topP, minP, temperature } = sampling
  const scores = Array.from(logits, (logit, id) => {
    const count = answer.filter((taken) => taken === id).length
    let score = logit
    if (count > 0 || prompt.includes(id)) score = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
    score -= count * frequencyPenalty + (count > 0 ? presencePenalty : 0)
    return Math.fround(score + (logitBias.find((bias) => bias.id === id)?.bias ?? 0))
  })
  let kept = bestFirst(scores).filter((id) => allowed === null || allowed.has(id))
  const score = (id: number) => scores[id] ?? 0
  const best = score(kept[0] ?? 0)
  if (temperature === 0) return new Map([[kept[0] ?? 0, 1]])
  if (topK > 0) kept = kept.slice(0, topK)
  const mass = kept.reduce((sum, id) => sum + Math.exp(score(id) - best), 0)
  let before = 0
  kept = kept.filter((id, rank) => {
    const isIn = rank === 0 || topP === 1 || before < topP * mass
    before += Math.exp(score(id) - best)
    return isIn
  })
  if (minP > 0) kept = kept.filter((id) => score(id) >= best + Math.log(minP))
  return new Map(kept.map((id) => [id, Math.exp((score(id) - best) / temperature)]))
}

const anyCase: fc.Arbitrary<Case> = fc
  .record({
    size: fc.constantFrom(3, 33, 50, 257, 1_500),
    seed: fc.integer(),
    spread: fc.constantFrom(0, 0.5, 2, 6),
    shift: fc.constantFrom(-30, 0, 20),
    k: fc.constantFrom(1, 2, 8, 40),
    ties: fc.boolean(),
    temperature: fc.constantFrom(0, 0.3, 0.7, 1, 1, 1.6),
    topK: fc.constantFrom(0, 0, 1, 5, 60),
    topP: fc.constantFrom(1, 1, 0.2, 0.9, 0.999),
    minP: fc.constantFrom(0, 0, 0.05, 0.9),
    drawSeed: fc.nat(),
    presencePenalty: fc.constantFrom(0, 0, 1.5, -2),
    frequencyPenalty: fc.constantFrom(0, 0, 0.5, -0.7),
    repetitionPenalty: fc.constantFrom(1, 1, 1.3, 0.7),
    biases: fc.constantFrom<readonly number[]>([], [], [5], [-100, 4, 3], Array(12).fill(2) as number[]),
    allowedShare: fc.constantFrom(null, null, 0.01, 0.3),
  })
  .map(({ size, seed, spread, shift, k, ties, drawSeed, biases, allowedShare, ...options }) => {
    const random = randomOf(seed)
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const logits = Float32Array.from({ length: size }, () => shift + (ties ? Math.round(spread * normal()) : spread * normal()))
    const id = () => Math.floor(random() * size)
    const allowed = new Set(Array.from({ length: Math.ceil(size * (allowedShare ?? 0)) }, id))
    const biased = new Map(biases.map((bias) => [id(), bias]))
    return {
      logits,
      k: Math.min(k, size),
      sampling: { ...options, seed: drawSeed, logitBias: [...biased].map(([token, bias]) => ({ id: token, bias })) },
      prompt: Array.from({ length: 6 }, id),
      answer: [bestFirst(logits)[0] ?? 0, id(), id(), id()],
      allowed: allowedShare === null ? null : allowed,
    }
  })

/** mulberry32: fast-check shrinks its seed, and needs no thousand draws a case. */
function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('a choice by the k best logits', () => {
  it('is that by all logits, or is left open', () => {
    const counts = { decided: 0, open: 0 }
    fc.assert(
      fc.property(anyCase, fc.nat(10_000), (some, position) => {
        const choice = choiceOf(some)
        const chosen = choice.choose(candidatesOf(some, choice.named), position, setOf(some))
        counts[chosen === null ? 'open' : 'decided']++
        if (chosen !== null) expect(chosen).toBe(choice.chooseOfAll(some.logits, position, setOf(some)))
      }),
      { numRuns: 6_000 },
    )
    // Control: both come about.
    expect(counts.open).toBeGreaterThan(500)
    expect(counts.decided).toBeGreaterThan(2_000)
  })

  it('by all logits draws in proportion to what the options leave of them', () => {
    fc.assert(
      fc.property(anyCase, (some) => {
        const choice = choiceOf(some)
        const weights = spelledOut(some)
        const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0)
        const draws = 60
        let surprise = 0
        for (let position = 0; position < draws; position++) {
          const id = choice.chooseOfAll(some.logits, position, setOf(some))
          expect(weights.has(id), `token ${id} of ${[...weights.keys()].slice(0, 9).join()}`).toBe(true)
          surprise += Math.log(total / (weights.get(id) ?? 0))
        }
        // The mean surprise is the entropy, but for what so few draws deviate.
        const shares = [...weights.values()].map((weight) => weight / total)
        const entropy = shares.reduce((sum, share) => sum - share * Math.log(share), 0)
        const variance = shares.reduce((sum, share) => sum + share * (Math.log(share) + entropy) ** 2, 0)
        expect(Math.abs(surprise / draws - entropy)).toBeLessThan(6 * Math.sqrt(variance / draws) + 0.35)
      }),
      { numRuns: 400 },
    )
  })

  const logits = Float32Array.from({ length: 1_000 }, (_, id) => 10 - id / 50)
  const plain = (change: Partial<Sampling>, more: Partial<Case> = {}): Case => ({
    logits,
    k: 128,
    sampling: { ...GREEDY, seed: 5, ...change },
    prompt: [],
    answer: [],
    allowed: null,
    ...more,
  })
  const openShare = (some: Case) => {
    const choice = choiceOf(some)
    const candidates = candidatesOf(some, choice.named)
    return (
      Array.from({ length: 400 }, (_, position) => choice.choose(candidates, position, setOf(some))).filter((id) => id === null).length /
      400
    )
  }

  it('is open where the draw falls behind the k best, as often as they lack of the sum', () => {
    // Of e^(−id ÷ 50) the first 128 ids have 92.3 %.
    expect(openShare(plain({ temperature: 1 }))).toBeCloseTo(0.077, 1)
    expect(openShare(plain({ temperature: 1, topP: 0.9 }))).toBe(0)
    expect(openShare(plain({ temperature: 1, topK: 128 }))).toBe(0)
    expect(openShare(plain({ temperature: 1, minP: 0.2 }))).toBe(0)
    expect(openShare(plain({}))).toBe(0)
  })

  it('is open where every one of the k best is forbidden, unless one token alone is allowed', () => {
    expect(openShare(plain({}, { allowed: new Set([700, 800]) }))).toBe(1)
    const one = plain({}, { allowed: new Set([700]) })
    expect(choiceOf(one).choose(candidatesOf(one, []), 3, setOf(one))).toBe(700)
    expect(openShare(plain({}, { allowed: new Set([3, 800]) }))).toBe(0)
  })

  it('names the favoured tokens, and so needs no more for up to eight of them', () => {
    const logitBias = [900, 901, 902].map((id) => ({ id, bias: 30 }))
    const some = plain({ temperature: 1, topP: 0.9, logitBias })
    expect(choiceOf(some).named).toEqual([900, 901, 902])
    expect(openShare(some)).toBe(0)
    const many = plain({ logitBias: Array.from({ length: 20 }, (_, index) => ({ id: 900 + index, bias: 30 })) })
    expect(choiceOf(many).named).toHaveLength(8)
  })
})
