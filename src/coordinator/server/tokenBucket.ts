/** TokenBucket: so many messages a second on average, so many at once. */

import type { Clock } from '../../shared/index.ts'

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export class TokenBucket {
  readonly #rate: Rate
  readonly #clock: Clock
  #tokens: number
  #filledMs: number

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.burst
    this.#filledMs = clock.nowMs()
  }

  /** False: one too many. */
  take(): boolean {
    const nowMs = this.#clock.nowMs()
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((nowMs - this.#filledMs) / 1_000) * this.#rate.perSecond)
    this.#filledMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
