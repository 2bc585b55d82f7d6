/** Time, handed in: only composition roots and adapters know the real one, so every wait can be driven by a test or a simulation. */

export type CancelTimer = () => void

export interface Clock {
  /** Milliseconds; only differences and comparisons with the same clock mean anything. */
  nowMs(): number
  /** Calls back once, at or after `delayMs`. */
  after(delayMs: number, callback: () => void): CancelTimer
}

/** A clock that stands still until it is told to move; timers fire in order of their time. */
export class ManualClock implements Clock {
  #nowMs = 0
  #sequence = 0
  readonly #timers = new Map<number, { atMs: number; callback: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    const id = this.#sequence++
    this.#timers.set(id, { atMs: this.#nowMs + Math.max(0, delayMs), callback })
    return () => this.#timers.delete(id)
  }

  /** Moves time forward and fires what is due, oldest first; a timer set while firing fires too when it is due. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.atMs <= endMs).sort(([a, x], [b, y]) => x.atMs - y.atMs || a - b)[0]
      if (due === undefined) break
      const [id, timer] = due
      this.#timers.delete(id)
      this.#nowMs = timer.atMs
      timer.callback()
    }
    this.#nowMs = endMs
  }
}
