/**
 * RunningAnswers: the answers that are under way, and the end of them all: who stops the coordinator lets them finish for a while, and leaves no client
 * with a bare end.
 */

import type { Clock } from '../../shared/index.ts'
import { ApiError } from './apiError.ts'
import type { Attempt } from './attempt.ts'

/** As long as those who stop processes wait, by their usual settings, before they kill. */
const FINISH_MS = 20_000
/** An answer that was cut off ends within a lap; where its driver hangs nobody waits for it. */
const CUT_MS = 3_000
const RETRY_MS = 10_000

export class RunningAnswers {
  readonly #clock: Clock
  readonly #attempts = new Set<Attempt>()
  #isClosing = false
  #onEmpty: () => void = () => undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#attempts.size
  }

  get isClosing(): boolean {
    return this.#isClosing
  }

  /** Returns what is to be called once it is over. */
  enter(attempt: Attempt): () => void {
    this.#attempts.add(attempt)
    return () => {
      this.#attempts.delete(attempt)
      if (this.#attempts.size === 0) this.#onEmpty()
    }
  }

  /** Nothing new is begun any more; resolves once all has finished, or was cut off. */
  async drain(): Promise<void> {
    this.#isClosing = true
    if (this.#attempts.size === 0) return
    await new Promise<void>((resolve) => {
      const cancels = [
        this.#clock.after(FINISH_MS, () => {
          for (const attempt of this.#attempts) attempt.cutOff()
        }),
        this.#clock.after(FINISH_MS + CUT_MS, resolve),
      ]
      this.#onEmpty = () => {
        for (const cancel of cancels) cancel()
        resolve()
      }
    })
  }
}

/** What is asked of a coordinator that ends, and what it cuts off. */
export function shuttingDown(): ApiError {
  return new ApiError(503, 'the coordinator is shutting down; ask again when it is back', { code: 'shutting-down', retryAfterMs: RETRY_MS })
}
