/** Demand: how many sessions are wanted of each model: those that are open, that were a moment ago, and that were refused lately. */

import type { ModelId } from '../../shared/index.ts'

interface Wanted {
  /** The most open at a time, and refusals; both fade. */
  peak: number
  refused: number
  atMs: number
}

/** A model that nobody asks for is kept as if for one. */
const LEAST = 1
/** Halves of what is remembered go in this time: peers need minutes to follow, and conversations come in turns. */
const PEAK_HALF_LIFE_MS = 300_000
/** Who was refused asks again in seconds: counted for longer, one would count as many. */
const REFUSED_HALF_LIFE_MS = 10_000
/** What is left of one refusal when nobody waits for it any more. */
const WAITING = 0.5

export class Demand {
  readonly #wanted = new Map<ModelId, Wanted>()

  refused(modelId: ModelId, nowMs: number): void {
    this.#faded(modelId, nowMs).refused++
  }

  /** Whether somebody was refused some seconds ago, and so may wait. */
  isRefused(modelId: ModelId, nowMs: number): boolean {
    return this.#faded(modelId, nowMs).refused >= WAITING
  }

  /** Sessions wanted, at least one. `open`: now. */
  of(modelId: ModelId, open: number, nowMs: number): number {
    const wanted = this.#faded(modelId, nowMs)
    wanted.peak = Math.max(wanted.peak, open)
    return LEAST + wanted.peak + wanted.refused
  }

  #faded(modelId: ModelId, nowMs: number): Wanted {
    const wanted = this.#wanted.get(modelId) ?? { peak: 0, refused: 0, atMs: nowMs }
    this.#wanted.set(modelId, wanted)
    wanted.peak *= 2 ** ((wanted.atMs - nowMs) / PEAK_HALF_LIFE_MS)
    wanted.refused *= 2 ** ((wanted.atMs - nowMs) / REFUSED_HALF_LIFE_MS)
    wanted.atMs = nowMs
    return wanted
  }
}
