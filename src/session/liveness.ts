/**
 * Liveness: how long a driver waits for a chain that owes it rows. A lap takes 30 ms on one machine and a minute on
 * another, so the limit follows what this chain has taken so far; a lost link is noticed sooner, by the link.
 */

import type { CancelTimer, Clock } from '../shared/index.ts'

/** Until the first results: shaders compile, and a first pass on a software GPU took 60 s. */
export const FIRST_SILENCE_MS = 120_000

/** Afterwards at least this, */
export const SILENCE_MIN_MS = 60_000

/** or so many times the longest silence so far, whichever is longer. */
export const SILENCE_FACTOR = 20

export class Liveness {
  readonly #clock: Clock
  readonly #onSilence: (silentMs: number) => void
  #cancel: CancelTimer | null = null
  #sinceMs = 0
  #longestMs = 0
  #answered = false

  constructor(clock: Clock, onSilence: (silentMs: number) => void) {
    this.#clock = clock
    this.#onSilence = onSilence
  }

  /** Rows are under way: from now on something must be heard. */
  expect(): void {
    if (this.#cancel === null) this.#arm()
  }

  /** Something was heard; `outstanding` rows are still owed. */
  sign(outstanding: number): void {
    if (this.#cancel === null) return
    this.#longestMs = Math.max(this.#longestMs, this.#clock.nowMs() - this.#sinceMs)
    this.rest()
    if (outstanding > 0) this.#arm()
    else this.#answered = true
  }

  /** Nothing is owed. */
  rest(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  #arm(): void {
    this.#sinceMs = this.#clock.nowMs()
    const usualMs = Math.max(SILENCE_MIN_MS, SILENCE_FACTOR * this.#longestMs)
    const limitMs = this.#answered ? usualMs : Math.max(FIRST_SILENCE_MS, usualMs)
    this.#cancel = this.#clock.after(limitMs, () => {
      this.#cancel = null
      this.#onSilence(limitMs)
    })
  }
}
