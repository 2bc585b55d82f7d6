/**
 * Turns: several answers over one engine, a lap at a time, whoever is behind next. Each has a clock that stands while it is not
 * its turn, so that all are timed within the same second and whatever else the machine does slows all alike.
 */

import type { Chain } from '../session/index.ts'
import type { CancelTimer, Clock } from '../shared/index.ts'

export class Turns {
  #players: number
  readonly #waiting: { readonly progress: number; readonly start: () => void }[] = []

  /** Nobody begins before so many wait. */
  constructor(players: number) {
    this.#players = players
  }

  /** Gives one's turn up, and waits for the next: once all wait, the one with the least progress goes on. */
  next(progress: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ progress, start: resolve })
      this.#choose()
    })
  }

  /** Gives one's turn up for good. */
  leave(): void {
    this.#players--
    this.#choose()
  }

  #choose(): void {
    if (this.#waiting.length < this.#players) return
    this.#waiting.sort((a, b) => a.progress - b.progress)
    this.#waiting.shift()?.start()
  }
}

/** A clock that runs only between `start` and `stop`. */
class StopWatch implements Clock {
  readonly #clock: Clock
  #passedMs = 0
  #sinceMs: number | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  nowMs(): number {
    return this.#passedMs + (this.#sinceMs === null ? 0 : this.#clock.nowMs() - this.#sinceMs)
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    return this.#clock.after(delayMs, callback)
  }

  start(): void {
    this.#sinceMs = this.#clock.nowMs()
  }

  stop(): void {
    this.#passedMs = this.nowMs()
    this.#sinceMs = null
  }

  /** As if so much time had passed. */
  add(durationMs: number): void {
    this.#passedMs += durationMs
  }
}

/** The chain, waiting for its turn before the prompt and before each lap of the answer; links of `delayMs` a lap are added to its clock. */
export function inTurns(chain: Chain, turns: Turns, delayMs: number, clock: Clock): { readonly chain: Chain; readonly clock: Clock } {
  const watch = new StopWatch(clock)
  const timed: Chain = {
    maxPositions: chain.maxPositions,
    listen: (events) =>
      chain.listen({
        ...events,
        onResults: (results) => {
          watch.add(delayMs)
          events.onResults(results)
        },
      }),
    logits: (candidates) => chain.logits(candidates),
    async submit(lap) {
      if (lap.kind === 'decode' || lap.firstPosition === 0) {
        watch.stop()
        await turns.next(lap.firstPosition)
        watch.start()
      }
      await chain.submit(lap)
    },
    truncate: (length) => chain.truncate(length),
    close: () => chain.close(),
  }
  return { chain: timed, clock: watch }
}
