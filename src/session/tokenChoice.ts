/**
 * TokenChoice: the next token of an answer, drawn from the whole vocabulary, of which mostly the k best logits are known and the logsumexp. What they leave open is
 * bounded: no other token has a better logit than the last of them, and all others together have what is missing of the sum. Where every vocabulary
 * within these bounds gives the same token, that is it; else all logits have to be fetched. So the result is that over all logits, and seldom needs them.
 */

import { NAMED_TOKENS_MAX } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'
import type { Candidates } from './chain.ts'
import { drawOf, keptOf, type Sampling } from './sampler.ts'
import { allowedCount, isAllowed, type TokenSet } from './tokenConstraint.ts'
import { TokenScores } from './tokenScores.ts'

/** How far the logsumexp, a sum of 10⁵ weights in f32, may be off, of the sum. Wider only fetches more often. */
const SUM_SLACK = 1e-4

export interface TokenChoiceOptions {
  readonly sampling: Sampling
  readonly promptTokenIds: readonly number[]
  readonly vocabularySize: number
  /** Whether the logit of each token is wanted, of one too that has no alternative. */
  readonly wantsLogits?: boolean
}

/** Tokens of one position with their scores, best first, ties to the lowest id. */
interface Ranked {
  readonly ids: ArrayLike<number>
  readonly scores: ArrayLike<number>
}

/** The tokens that come before all others, and bounds for those others: weights are relative to the best's, which has 1. */
interface Bounds {
  readonly head: Ranked
  /** No other has a better score. */
  readonly scoreMax: number
  readonly others: number
  /** At temperature 1, of all others together. */
  readonly least: number
  readonly most: number
}

export class TokenChoice {
  /** Tokens that each row should name: those that are favoured, as many as there is room for. */
  readonly named: readonly number[]
  readonly #options: TokenChoiceOptions
  readonly #scores: TokenScores

  constructor(options: TokenChoiceOptions) {
    const { sampling, promptTokenIds } = options
    this.#options = options
    this.#scores = new TokenScores(sampling, promptTokenIds)
    const favoured = (sampling.logitBias ?? []).filter(({ bias }) => bias > 0).sort((a, b) => b.bias - a.bias || a.id - b.id)
    this.named = [...new Set(favoured.map(({ id }) => id))].slice(0, NAMED_TOKENS_MAX)
  }

  /** The answer's next token has become this one. */
  take(id: number): void {
    this.#scores.append(id)
  }

  /** The token for `position`, the place of the new one, of those that are `allowed`, null: all; null: all logits are needed. */
  choose(candidates: Candidates, position: number, allowed: TokenSet | null = null): number | null {
    const { sampling, wantsLogits = false } = this.#options
    if (allowed !== null && allowedCount(allowed) === 1 && !wantsLogits) return onlyOne(allowed)
    const isPlain = allowed === null && (candidates.named?.ids.length ?? 0) === 0 && this.#scores.areLogits
    if (isPlain && sampling.temperature === 0) return candidates.ids[0] ?? null
    const bounds = isPlain ? this.#plainBounds(candidates) : this.#bounds(candidates, allowed)
    if (bounds === null) return null
    const { head } = bounds
    if (sampling.temperature === 0) return head.ids[0] ?? 0
    const [least, most] = [indexAt(bounds, sampling, position, 'least'), indexAt(bounds, sampling, position, 'most')]
    return least === most && least < head.ids.length ? (head.ids[least] ?? 0) : null
  }

  /** The same by all `logits`, [vocabulary]. */
  chooseOfAll(logits: Float32Array, position: number, allowed: TokenSet | null = null): number {
    const { sampling } = this.#options
    const head = rankAll(logits, (id, logit) => this.#scores.of(id, logit), allowed)
    assert(head.ids.length > 0, 'no token may come next')
    if (sampling.temperature === 0) return head.ids[0] ?? 0
    const bounds = { head, scoreMax: Number.NEGATIVE_INFINITY, others: 0, least: 0, most: 0 }
    return head.ids[indexAt(bounds, sampling, position, 'most')] ?? 0
  }

  /** What `#bounds` gives where scores are logits and any token may come, as nearly always: the candidates are the head. */
  #plainBounds({ ids, logits, logSumExp }: Candidates): Bounds | null {
    if (ids.length === 0) return null
    const others = this.#options.vocabularySize - ids.length
    const head = { ids, scores: logits }
    if (others === 0) return { head, scoreMax: Number.NEGATIVE_INFINITY, others, least: 0, most: 0 }
    const [best, last] = [logits[0] ?? 0, logits[logits.length - 1] ?? 0]
    let knownMass = 0
    for (let rank = 0; rank < logits.length; rank++) knownMass += Math.exp((logits[rank] ?? 0) - best)
    const total = Math.exp(logSumExp - best)
    const most = Math.min(Math.max(0, total * (1 + SUM_SLACK) - knownMass), others * Math.exp(last - best))
    const least = Math.min(Math.max(0, total * (1 - SUM_SLACK) - knownMass), most)
    return { head, scoreMax: last, others, least, most }
  }

  /** Null: nothing is known to come before all others. */
  #bounds(candidates: Candidates, allowed: TokenSet | null): Bounds | null {
    const { vocabularySize } = this.#options
    const known = knownLogits(candidates)
    const [reference, last, lastId] = [candidates.logits[0] ?? 0, candidates.logits.at(-1) ?? 0, candidates.ids.at(-1) ?? 0]
    let knownMass = 0
    const ranked: { readonly id: number; readonly score: number }[] = []
    for (const [id, logit] of known) {
      knownMass += Math.exp(logit - reference)
      if (allowed === null || isAllowed(allowed, id)) ranked.push({ id, score: this.#scores.of(id, logit) })
    }
    ranked.sort((a, b) => b.score - a.score || a.id - b.id)
    const others = (allowed === null ? vocabularySize : allowedCount(allowed)) - ranked.length
    const tail = others === 0 ? NO_TAIL : this.#tail(known, last, reference, allowed)
    const isBefore = ({ id, score }: (typeof ranked)[number]) =>
      score > tail.scoreMax || (score === tail.scoreMax && !tail.isRaised && id <= lastId)
    const cut = ranked.findIndex((token) => !isBefore(token))
    const head = cut < 0 ? ranked : ranked.slice(0, cut)
    const [best] = head
    if (best === undefined) return null
    const total = Math.exp(candidates.logSumExp - reference)
    const scale = Math.exp(reference - best.score)
    const between = ranked.slice(head.length).reduce((sum, { score }) => sum + Math.exp(score - best.score), 0)
    const left = (slack: number) => Math.max(0, total * (1 + slack) - knownMass)
    const most = Math.min(left(SUM_SLACK) + tail.raised, others * Math.exp(tail.scoreMax - reference))
    const least = allowed === null ? Math.max(0, left(-SUM_SLACK) - tail.lowered) : 0
    return {
      head: { ids: head.map(({ id }) => id), scores: head.map(({ score }) => score) },
      scoreMax: tail.scoreMax,
      others: others + ranked.length - head.length,
      least: between + (others === 0 ? 0 : Math.min(least, most) * scale),
      most: between + (others === 0 ? 0 : most * scale),
    }
  }

  /** What penalties and biases can do to tokens that are not known, whose logits are `last` at most. Weights are relative to `reference`. */
  #tail(known: ReadonlyMap<number, number>, last: number, reference: number, allowed: TokenSet | null): Tail {
    const tail = { scoreMax: last, isRaised: false, raised: 0, lowered: 0 }
    for (const id of this.#scores.concerned()) {
      if (known.has(id) || (allowed !== null && !isAllowed(allowed, id))) continue
      // A score rises with its logit: none is above that of `last`. How much a lower one is lowered is not known.
      const score = this.#scores.of(id, last)
      tail.lowered += Math.exp(last - reference)
      if (score <= last) continue
      tail.isRaised = true
      tail.raised += Math.exp(score - reference)
      tail.scoreMax = Math.max(tail.scoreMax, score)
    }
    return tail
  }
}

interface Tail {
  readonly scoreMax: number
  readonly isRaised: boolean
  readonly raised: number
  readonly lowered: number
}

const NO_TAIL: Tail = { scoreMax: Number.NEGATIVE_INFINITY, isRaised: false, raised: 0, lowered: 0 }

function knownLogits({ ids, logits, named }: Candidates): Map<number, number> {
  const known = new Map<number, number>()
  for (const [rank, id] of ids.entries()) known.set(id, logits[rank] ?? 0)
  for (const [index, id] of named?.ids.entries() ?? []) known.set(id, named?.logits[index] ?? 0)
  return known
}

/** Which of the head is drawn where the others weigh the least, or the most, that they can; its length: one of the others. */
function indexAt({ head, scoreMax, others, least, most }: Bounds, sampling: Sampling, position: number, end: 'least' | 'most'): number {
  const { topK, topP, minP, temperature } = sampling
  const { scores } = head
  const count = scores.length
  const best = scores[0] ?? 0
  const weightMax = Math.exp(scoreMax - best)
  // Of the others, those that top-k has room for.
  const room = topK > 0 ? Math.min(others, topK - count) : others
  const behind = end === 'most' ? Math.min(most, room * weightMax) : topK > 0 ? 0 : least
  let headMass = 0
  for (let index = 0; index < Math.min(count, topK > 0 ? topK : count); index++) headMass += Math.exp((scores[index] ?? 0) - best)
  const mass = headMass + (room > 0 ? behind : 0)
  const kept = keptOf(scores, mass, sampling)
  const isCut = kept < count || room <= 0 || (topP < 1 && headMass >= topP * mass) || (minP > 0 && best + Math.log(minP) > scoreMax)
  if (isCut) return drawOf(kept, scores, sampling, position).index
  const areAllKept = topP === 1 && minP === 0 && topK === 0
  if (end === 'least' && !areAllKept) return drawOf(kept, scores, sampling, position).index
  return drawOf(kept, scores, sampling, position, heated(behind, { room, weightMax, temperature, end })).index
}

/**
 * What weights of so much together, each `weightMax` at most, have at a temperature, at least or at most: few that are as large as can be, or all alike, which of the
 * two it is depends on whether the power is convex.
 */
function heated(
  mass: number,
  { room, weightMax, temperature, end }: { room: number; weightMax: number; temperature: number; end: 'least' | 'most' },
): number {
  if (temperature === 1 || mass === 0) return mass
  const power = 1 / temperature
  const few = mass * weightMax ** (power - 1)
  const alike = room * (mass / room) ** power
  return end === 'most' ? Math.max(few, alike) : Math.min(few, alike)
}

function onlyOne(allowed: TokenSet): number {
  const word = allowed.findIndex((bits) => bits !== 0)
  return 32 * word + 31 - Math.clz32(allowed[word] ?? 0)
}

/** Ids of 20 bits below an f32's order: a double holds both exactly, and doubles are sorted without a call each. */
const ID_SPAN = 2 ** 20

/** All allowed tokens. */
function rankAll(logits: Float32Array, scoreOf: (id: number, logit: number) => number, allowed: TokenSet | null): Ranked {
  assert(logits.length <= ID_SPAN, `a vocabulary of ${logits.length}`)
  const scores = new Float32Array(logits.length)
  const bits = new Uint32Array(scores.buffer)
  const keys = new Float64Array(logits.length)
  let count = 0
  for (const [id, logit] of logits.entries()) {
    if (allowed !== null && !isAllowed(allowed, id)) continue
    // Adding 0 makes both zeros one.
    scores[id] = scoreOf(id, logit) + 0
    const word = bits[id] ?? 0
    const rising = word >>> 31 === 1 ? ~word >>> 0 : (word | 0x80000000) >>> 0
    keys[count++] = (2 ** 32 - 1 - rising) * ID_SPAN + id
  }
  const ids = Uint32Array.from(keys.subarray(0, count).sort(), (key) => key % ID_SPAN)
  return { ids, scores: Float32Array.from(ids, (id) => scores[id] ?? 0) }
}
