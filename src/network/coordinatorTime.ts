/** The coordinator's clock, as far as its messages tell: each said a time when it was sent, and came a little later. */

import { assert, type Clock } from '../shared/index.ts'

/** Of the last observations the one that travelled fastest counts; older ones are forgotten, since clocks drift. */
const OBSERVATIONS_MAX = 16

export class CoordinatorTime {
  readonly #clock: Clock
  #offsetsMs: number[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A message that says `timeMs` has just come. */
  observe(timeMs: number): void {
    this.#offsetsMs.push(timeMs - this.#clock.nowMs())
    if (this.#offsetsMs.length > OBSERVATIONS_MAX) this.#offsetsMs.shift()
  }

  /** Behind the truth by the fastest message's way, never ahead. */
  nowMs(): number {
    assert(this.#offsetsMs.length > 0, 'the coordinator has not said its time yet')
    return this.#clock.nowMs() + Math.max(...this.#offsetsMs)
  }
}
