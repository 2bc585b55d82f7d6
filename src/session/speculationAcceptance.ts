/**
 * Acceptance: how often drafted tokens turn out right. A drafter says how sure it is, and may be wrong about that; what is
 * measured here is how often it was right when it said so, each class of likelihood apart.
 */

import { assert } from '../shared/index.ts'
import type { DraftToken } from './drafter.ts'

/** Classes of likelihood that are measured apart. */
const CLASSES = 16

/** The drafter's own word counts as so many measurements. */
const PRIOR_WEIGHT = 3

/** Older measurements fade: texts change. */
const FADING = 0.95

export class Acceptance {
  readonly #classes = Array.from({ length: CLASSES }, () => ({ right: 0, all: 0 }))

  /** 0 … 1. */
  of(token: DraftToken): number {
    const { right, all } = this.#classOf(token)
    return (right + PRIOR_WEIGHT * likelihoodOf(token)) / (all + PRIOR_WEIGHT)
  }

  observe(token: DraftToken, isRight: boolean): void {
    const known = this.#classOf(token)
    known.right = FADING * known.right + (isRight ? 1 : 0)
    known.all = FADING * known.all + 1
  }

  #classOf(token: DraftToken): { right: number; all: number } {
    const index = Math.min(CLASSES - 1, Math.floor(CLASSES * likelihoodOf(token)))
    const known = this.#classes[index]
    assert(known !== undefined, `class ${index} of ${CLASSES}`)
    return known
  }
}

/** What a drafter states, brought into 0 … 1. */
function likelihoodOf({ likelihood }: DraftToken): number {
  return likelihood > 0 ? Math.min(1, likelihood) : 0
}
