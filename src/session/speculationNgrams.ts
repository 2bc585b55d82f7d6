/**
 * Prompt lookup: the tokens that followed when the text ended like this before. A text that is edited, quoted, summed up or
 * written as code repeats its prompt or itself for long stretches, and a table is all it takes to guess them.
 * https://github.com/apoorvumang/prompt-lookup-decoding
 *
 * The matcher is deflate's: chains of earlier places whose last tokens are equal, newest first, visited up to a bound. So a
 * token costs the same however long the text is.
 */

import { assert } from '../shared/index.ts'
import type { Drafter, DraftRequest, DraftToken } from './drafter.ts'

/** Places are chained by their last token, and by their last three: common tokens have too many places to look at all. */
const SHORT_GRAM = 1
const LONG_GRAM = 3

/** Places of a chain that are compared. 32 × MATCH_MAX comparisons take microseconds. */
const VISITS_MAX = 32

/** A longer match says nothing more. */
const MATCH_MAX = 16

export function createNgramDrafter(): Drafter {
  return new NgramDrafter()
}

class NgramDrafter implements Drafter {
  readonly #ids: number[] = []
  readonly #shortChains = new GramChains(SHORT_GRAM)
  readonly #longChains = new GramChains(LONG_GRAM)
  /** How far back the place is that the last draft continued. */
  #distance = 0

  append(ids: readonly number[]): void {
    for (const id of ids) {
      this.#ids.push(id)
      this.#shortChains.append(this.#ids)
      this.#longChains.append(this.#ids)
    }
  }

  draft({ limit }: Pick<DraftRequest, 'limit'>): readonly DraftToken[] {
    const match = this.#longestMatch()
    this.#distance = match.distance
    if (match.length === 0) return []
    const draft: DraftToken[] = []
    while (draft.length < limit) {
      // Beyond the end of the text the draft continues itself: a loop of `distance` tokens.
      const at = this.#ids.length - match.distance + draft.length
      const id = this.#ids[at] ?? draft[at - this.#ids.length]?.id
      assert(id !== undefined, `no token ${match.distance} before the end of ${this.#ids.length}`)
      // Where a token was right, the match has become longer by it.
      draft.push({ id, likelihood: likelihoodOf(match.length + draft.length), method: 'lookup' })
    }
    return draft
  }

  /** The place that was followed before stays where others match no better, so that one passage is followed to its end. */
  #longestMatch(): { readonly length: number; readonly distance: number } {
    let best = { length: 0, distance: 0 }
    const visit = (distance: number) => {
      const length = this.#matchLength(distance)
      if (length > best.length) best = { length, distance }
    }
    if (this.#distance > 0) visit(this.#distance)
    for (const distance of this.#longChains.distances()) visit(distance)
    if (best.length >= LONG_GRAM) return best
    for (const distance of this.#shortChains.distances()) visit(distance)
    return best
  }

  /** How many tokens before the end equal those `distance` before them; at most MATCH_MAX. */
  #matchLength(distance: number): number {
    const ids = this.#ids
    let length = 0
    for (let at = ids.length - 1; length < MATCH_MAX && at >= distance && ids[at] === ids[at - distance]; at--) length++
    return length
  }
}

/** For each position the one before it that ends with the same `gram` tokens. */
class GramChains {
  readonly #gram: number
  readonly #newest = new Map<number, number>()
  /** −1 ends a chain. */
  readonly #previous: number[] = []

  constructor(gram: number) {
    this.#gram = gram
  }

  /** `ids` has become longer by one. */
  append(ids: readonly number[]): void {
    const end = ids.length - 1
    if (end + 1 < this.#gram) {
      this.#previous.push(-1)
      return
    }
    const key = this.#keyOf(ids)
    this.#previous.push(this.#newest.get(key) ?? -1)
    this.#newest.set(key, end)
  }

  /** How far back the places of the last gram are, nearest first. */
  *distances(): Iterable<number> {
    const end = this.#previous.length - 1
    let place = this.#previous[end] ?? -1
    for (let visits = 0; visits < VISITS_MAX && place >= 0; visits++) {
      yield end - place
      place = this.#previous[place] ?? -1
    }
  }

  /** Vocabularies have up to 2^18 ids: two grams may share a key beyond 2^53, which a comparison then tells apart. */
  #keyOf(ids: readonly number[]): number {
    let key = 0
    for (const id of ids.slice(-this.#gram)) key = key * 2 ** 18 + id
    return key
  }
}

/** How often a token is right that followed an equal stretch of `length` tokens. Measured: docs/benchmarks/speculation-5.md. */
function likelihoodOf(length: number): number {
  return length / (length + 3)
}
