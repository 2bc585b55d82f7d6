/**
 * Acceptance: how often drafted tokens turn out right. A drafter says how sure it is, and may be wrong about that; what is
 * measured here is how often it was right when it said so, each method and each class of likelihood apart.
 */

import { required } from '../shared/index.ts'
import type { DraftToken } from './drafter.ts'

/** Classes of likelihood that are measured apart. */
const CLASSES = 16

/** What is believed beforehand counts as so many measurements. */
const PRIOR_WEIGHT = 3

/** Older measurements fade: texts change. */
const FADING = 0.95

/** How often something came true lately. */
export class HitRate {
  #right = 0
  #all = 0

  /** 0 … 1, `prior` before anything was observed. */
  of(prior: number): number {
    return (this.#right + PRIOR_WEIGHT * prior) / (this.#all + PRIOR_WEIGHT)
  }

  observe(isRight: boolean): void {
    this.#right = FADING * this.#right + (isRight ? 1 : 0)
    this.#all = FADING * this.#all + 1
  }
}

export class Acceptance {
  readonly #classes = { lookup: hitRates(), model: hitRates() }

  /** 0 … 1. */
  of(token: DraftToken): number {
    return this.#classOf(token).of(likelihoodOf(token))
  }

  observe(token: DraftToken, isRight: boolean): void {
    this.#classOf(token).observe(isRight)
  }

  #classOf(token: DraftToken): HitRate {
    const index = Math.min(CLASSES - 1, Math.floor(CLASSES * likelihoodOf(token)))
    return required(this.#classes[token.method][index], `class ${index} of ${CLASSES}`)
  }
}

function hitRates(): readonly HitRate[] {
  return Array.from({ length: CLASSES }, () => new HitRate())
}

/** What a drafter states, brought into 0 … 1. */
function likelihoodOf({ likelihood }: DraftToken): number {
  return likelihood > 0 ? Math.min(1, likelihood) : 0
}
