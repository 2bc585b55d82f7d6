/** Pacer: a rate in bytes. What goes faster is told how long to wait; nothing is dropped. */

import type { Clock } from '../../shared/index.ts'

export interface ByteRate {
  readonly bytesPerSecond: number
  /** So much may go at once after a rest. */
  readonly burstBytes: number
}

export class Pacer {
  readonly #rate: ByteRate
  readonly #clock: Clock
  /** When everything spent so far is paid off at the rate. */
  #paidMs = Number.NEGATIVE_INFINITY

  constructor(rate: ByteRate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
  }

  /** Milliseconds to wait before more is taken, once these have gone; 0 within the burst. */
  spend(bytes: number): number {
    const { bytesPerSecond, burstBytes } = this.#rate
    const nowMs = this.#clock.nowMs()
    this.#paidMs = Math.max(this.#paidMs, nowMs) + (bytes / bytesPerSecond) * 1_000
    return Math.max(0, this.#paidMs - nowMs - (burstBytes / bytesPerSecond) * 1_000)
  }
}
