/**
 * Demand: how many sessions are wanted of each model, told twice: as many as may be wanted at any moment, since they were a moment ago,
 * and as many as can be believed to be wanted still when layers have been loaded for them. What serves a model is kept for the first and
 * brought for the second, so that a crowd that comes and goes moves nobody back and forth.
 */

import type { ModelId } from '../../shared/index.ts'

/** Sessions wanted of a model. */
export interface Wanted {
  /** At any moment: the most that were open of late, and who was refused. */
  readonly most: number
  /** For long: what a few chats are hardly, and a crowd within minutes. Never above `most`. */
  readonly lasting: number
  /** For each session that is open so many lately found no room, though there was a chain. */
  readonly inVain: number
}

interface Noted {
  /** The most open at a time, and refusals; both fade. */
  peak: number
  refused: number
  /** What both are on average, the last minutes counting most. */
  open: number
  waiting: number
  /** Open since `atMs`. */
  openNow: number
  atMs: number
}

/** A model that nobody asks for is kept as if for one. */
const LEAST = 1
/** Halves of what is remembered go in this time: peers need minutes to follow, and conversations come in turns. */
const PEAK_HALF_LIFE_MS = 300_000
/** Who was refused asks again in seconds: counted for longer, one would count as many. */
const REFUSED_HALF_LIFE_MS = 10_000
/** Half of what lasts so long is believed to last: an answer takes seconds, a load a minute. */
const LASTING_HALF_LIFE_MS = 60_000
/** What is left of one refusal when nobody waits for it any more. */
const WAITING = 0.5

export class Demand {
  readonly #noted = new Map<ModelId, Noted>()

  refused(modelId: ModelId, nowMs: number): void {
    this.#faded(modelId, nowMs).refused++
  }

  /** Whether somebody was refused some seconds ago, and so may wait. */
  isRefused(modelId: ModelId, nowMs: number): boolean {
    return this.#faded(modelId, nowMs).refused >= WAITING
  }

  /** At least one session. `open`: now. */
  of(modelId: ModelId, open: number, nowMs: number): Wanted {
    const noted = this.#faded(modelId, nowMs)
    noted.peak = Math.max(noted.peak, open)
    noted.openNow = open
    const most = LEAST + noted.peak + noted.refused
    const isInVain = noted.waiting >= WAITING
    return {
      most,
      lasting: Math.min(most, LEAST + noted.open + noted.waiting),
      inVain: isInVain ? noted.waiting / Math.max(1, noted.open) : 0,
    }
  }

  #faded(modelId: ModelId, nowMs: number): Noted {
    const noted = this.#noted.get(modelId) ?? { peak: 0, refused: 0, open: 0, waiting: 0, openNow: 0, atMs: nowMs }
    this.#noted.set(modelId, noted)
    const left = (halfLifeMs: number) => 2 ** ((noted.atMs - nowMs) / halfLifeMs)
    const old = left(LASTING_HALF_LIFE_MS)
    noted.peak *= left(PEAK_HALF_LIFE_MS)
    noted.refused *= left(REFUSED_HALF_LIFE_MS)
    noted.open = old * noted.open + (1 - old) * noted.openNow
    noted.waiting = old * noted.waiting + (1 - old) * noted.refused
    noted.atMs = nowMs
    return noted
  }
}
