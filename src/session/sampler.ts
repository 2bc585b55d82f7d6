/**
 * Sampler: what filters keep of scores, best first, and which of those is drawn. The order of the filters is llama.cpp's: top-k, top-p,
 * min-p, then temperature; https://github.com/ggml-org/llama.cpp/blob/master/tools/main/README.md.
 *
 * `sample` draws from the k best logits of a position alone: for drafts, which may be anything. An answer's tokens are drawn from the whole
 * vocabulary, see tokenChoice.ts.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus'
import { assert } from '../shared/index.ts'
import type { Candidates } from './chain.ts'
import { SessionError } from './errors.ts'

export interface Sampling {
  /** 0 is greedy: the best logit, ties to the lowest id. */
  readonly temperature: number
  /** Keeps the fewest best candidates whose probabilities reach this sum; 1 keeps all. */
  readonly topP: number
  /** Keeps this many best candidates; 0 keeps all. */
  readonly topK: number
  /** Keeps candidates at least this fraction as probable as the best; 0 keeps all. */
  readonly minP: number
  /** Subtracted from the logits of tokens that the answer has, −2 … 2; left out: 0. */
  readonly presencePenalty?: number
  /** The same for each time that it has them. */
  readonly frequencyPenalty?: number
  /** Logits of tokens that prompt or answer have are divided by it where they are positive, else multiplied; left out: 1. */
  readonly repetitionPenalty?: number
  /** Added to logits, −100 … 100, after the penalties. */
  readonly logitBias?: readonly LogitBias[]
  /** Integer ≥ 0. A draw depends on the seed and the position alone, so that a replay draws the same. */
  readonly seed: number
}

export interface LogitBias {
  readonly id: number
  readonly bias: number
}

export const GREEDY: Sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0 }

/** Throws SessionError `bad-request` naming the option that is out of its range. */
export function checkSampling(sampling: Sampling): void {
  const { temperature, topP, topK, minP, seed } = sampling
  const refuse = (name: string, value: number, range: string) => {
    throw new SessionError('bad-request', `${name} is ${value}; it must be ${range}`)
  }
  if (!(temperature >= 0 && temperature <= 100)) refuse('temperature', temperature, 'between 0 and 100')
  if (!(topP > 0 && topP <= 1)) refuse('top-p', topP, 'above 0 and at most 1')
  if (!(Number.isSafeInteger(topK) && topK >= 0)) refuse('top-k', topK, 'a whole number, 0 for no limit')
  if (!(minP >= 0 && minP <= 1)) refuse('min-p', minP, 'between 0 and 1')
  if (!(Number.isSafeInteger(seed) && seed >= 0)) refuse('seed', seed, 'a whole number, 0 or more')
  const { presencePenalty = 0, frequencyPenalty = 0, repetitionPenalty = 1, logitBias = [] } = sampling
  if (!(Math.abs(presencePenalty) <= 2)) refuse('presence-penalty', presencePenalty, 'between -2 and 2')
  if (!(Math.abs(frequencyPenalty) <= 2)) refuse('frequency-penalty', frequencyPenalty, 'between -2 and 2')
  if (!(repetitionPenalty >= 0.01 && repetitionPenalty <= 100)) refuse('repetition-penalty', repetitionPenalty, 'between 0.01 and 100')
  const wild = logitBias.find(({ bias }) => !(Math.abs(bias) <= 100))
  if (wild !== undefined) refuse(`the bias of token ${wild.id}`, wild.bias, 'between -100 and 100')
}

/** The id drawn for `position`, the place of the new token. `candidates` are best first, at least one, all finite. */
export function sample(candidates: Candidates, sampling: Sampling, position: number): number {
  return candidates.ids[draw(candidates, sampling, position).index] ?? 0
}

/**
 * How little another engine's rounding would have to change for another token. Greedy: what lies between the two best logits. Sampled: the least of how
 * far the draw in [0, 1) is from the nearer end of what its token is drawn for, the logits of those beside it, and how far the cuts of top-p and min-p
 * are from keeping one candidate more or less, where that would change the token. Infinite where there is one candidate.
 */
export function choiceMargin(candidates: Candidates, sampling: Sampling, position: number): number {
  const { logits } = candidates
  const gap = (index: number) => (logits[index] ?? Number.POSITIVE_INFINITY) - (logits[index + 1] ?? Number.NEGATIVE_INFINITY)
  if (sampling.temperature === 0) return gap(0)
  const kept = keptOf(logits, massOf(candidates, sampling), sampling)
  const { index, margin } = drawOf(kept, logits, sampling, position)
  const most = sampling.topK > 0 ? Math.min(sampling.topK, logits.length) : logits.length
  const cuts = [kept - 1, kept + 1]
    .filter((count) => count >= 1 && count <= most && drawOf(count, logits, sampling, position).index !== index)
    .map((count) => cutMargin(candidates, sampling, Math.min(count, kept)))
  return Math.min(margin, index === 0 ? Number.POSITIVE_INFINITY : gap(index - 1), gap(index), ...cuts)
}

function draw(candidates: Candidates, sampling: Sampling, position: number): { readonly index: number } {
  assert(candidates.logits.length > 0, 'no candidates to sample from')
  if (sampling.temperature === 0) return { index: 0 }
  return drawOf(keptOf(candidates.logits, massOf(candidates, sampling), sampling), candidates.logits, sampling, position)
}

/**
 * The draw among the `kept` best of `scores`, and others of so much weight together, where the best has 1, behind them: of those the index is `kept`. `margin`: how far
 * the draw in [0, 1) is from another.
 */
export function drawOf(
  kept: number,
  scores: ArrayLike<number>,
  { temperature, seed }: Sampling,
  position: number,
  behind = 0,
): { readonly index: number; readonly margin: number } {
  const best = scores[0] ?? 0
  const weights = new Float64Array(kept)
  let total = behind
  for (let index = 0; index < kept; index++) {
    const weight = Math.exp(((scores[index] ?? 0) - best) / temperature)
    weights[index] = weight
    total += weight
  }
  let left = uniform(seed, position) * total
  for (let index = 0; index < kept; index++) {
    const below = index === 0 ? Number.POSITIVE_INFINITY : left
    left -= weights[index] ?? 0
    const above = index === kept - 1 && behind === 0 ? Number.POSITIVE_INFINITY : -left
    if (left < 0) return { index, margin: Math.min(below, above) / total }
  }
  return { index: behind > 0 ? kept : kept - 1, margin: 0 }
}

/** How far top-p or min-p, whichever is nearer, is from deciding otherwise on candidate `index`. */
function cutMargin(candidates: Candidates, sampling: Sampling, index: number): number {
  const { logits, logSumExp } = candidates
  const before = logits.subarray(0, index).reduce((sum, logit) => sum + Math.exp(logit - logSumExp), 0)
  const mass = massOf(candidates, sampling) * Math.exp((logits[0] ?? 0) - logSumExp)
  const byTopP = sampling.topP < 1 ? Math.abs(sampling.topP * mass - before) : Number.POSITIVE_INFINITY
  const share = Math.exp((logits[index] ?? 0) - (logits[0] ?? 0))
  return Math.min(byTopP, sampling.minP > 0 ? Math.abs(share - sampling.minP) : Number.POSITIVE_INFINITY)
}

/** llama.cpp renormalizes over what top-k kept; without top-k that is the whole vocabulary, which logSumExp stands for. The best has 1. */
function massOf({ logits, logSumExp }: Candidates, { topK }: Sampling): number {
  const best = logits[0] ?? 0
  return topK > 0 ? logits.subarray(0, topK).reduce((sum, logit) => sum + Math.exp(logit - best), 0) : Math.exp(logSumExp - best)
}

/** How many of the best scores pass top-k, top-p of `mass`, where the best has 1, and min-p; at least one. */
export function keptOf(scores: ArrayLike<number>, mass: number, { topK, topP, minP }: Sampling): number {
  const best = scores[0] ?? 0
  let kept = topK > 0 ? Math.min(topK, scores.length) : scores.length
  if (topP < 1) {
    let sum = 0
    let count = 0
    while (count < kept && sum < topP * mass) sum += Math.exp((scores[count++] ?? 0) - best)
    kept = Math.max(1, count)
  }
  if (minP > 0) {
    const least = best + Math.log(minP)
    let count = 1
    while (count < kept && (scores[count] ?? 0) >= least) count++
    kept = count
  }
  return kept
}

/** In [0, 1), a function of (seed, position): the generator's state is mixed from both, its first value is the draw. */
function uniform(seed: number, position: number): number {
  const low = mix(seed >>> 0)
  const high = mix(low ^ Math.floor(seed / 2 ** 32))
  const first = mix(high ^ position)
  const second = mix(first + 0x9e3779b9)
  return uniformFloat64(xoroshiro128plusFromState([first, second, mix(second ^ low), mix(second ^ high) | 1]))
}

/** MurmurHash3's 32-bit finalizer: every bit of the input changes half of the output's. */
function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
