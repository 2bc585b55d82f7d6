/** Chance: draws of one seeded stream. Each part of a simulation has a stream of its own, so that one more draw here moves nothing there. */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'

/** Streams of one seed lie this far apart: the 32-bit golden ratio. */
const STREAM_STEP = 0x9e3779b9

export class Chance {
  readonly #random: RandomGenerator

  constructor(seed: number, stream: number) {
    this.#random = xoroshiro128plus((Math.imul(seed, 0x85ebca6b) ^ Math.imul(stream + 1, STREAM_STEP)) | 0)
  }

  /** In [0, 1). */
  unit(): number {
    return uniformFloat64(this.#random)
  }

  /** A whole number, 0 … `max`. */
  upTo(max: number): number {
    return uniformInt(this.#random, 0, max)
  }

  happens(probability: number): boolean {
    return this.unit() < probability
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.unit()
  }

  /** Each power of ten as often as the next: a whole number from `least` to `most`. */
  logBetween(least: number, most: number): number {
    return Math.min(most, Math.floor(least * ((most + 1) / least) ** this.unit()))
  }

  /** A whole number from `least` to `most`, n as often as 1 ÷ n². */
  mostlyShort(least: number, most: number): number {
    return Math.floor(least / (1 - this.unit() * (1 - least / (most + 1))))
  }

  /** Time to the next of events that come independently, `mean` apart on average. */
  wait(mean: number): number {
    return -mean * Math.log(1 - this.unit())
  }

  /** One of them; undefined where there is none. */
  pick<Item>(items: readonly Item[]): Item | undefined {
    return items.length === 0 ? undefined : items[this.upTo(items.length - 1)]
  }

  /** An index, each as often as its weight says; 0 where there are no weights. */
  weighted(weights: readonly number[]): number {
    const at = this.unit() * weights.reduce((sum, weight) => sum + weight, 0)
    let below = 0
    for (const [index, weight] of weights.entries()) {
      below += weight
      if (at < below) return index
    }
    return 0
  }
}
