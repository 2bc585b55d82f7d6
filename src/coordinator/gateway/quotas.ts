/** Quotas: how many requests of one API key are answered at once. */

import { ApiError } from './apiError.ts'

/** Enough for a program with a few threads; a swarm has tens of places, and other keys. */
const REQUESTS_AT_ONCE_MAX = 16
const RETRY_MS = 2_000

export class Quotas {
  readonly #open = new Map<string, number>()

  /** Returns what is to be called once it is over. Throws an ApiError. */
  enter(keyId: string): () => void {
    const open = this.#open.get(keyId) ?? 0
    if (open >= REQUESTS_AT_ONCE_MAX)
      throw new ApiError(429, `${open} requests of this key are answered already; wait for one`, {
        code: 'rate_limit_exceeded',
        retryAfterMs: RETRY_MS,
      })
    this.#open.set(keyId, open + 1)
    return () => {
      const left = (this.#open.get(keyId) ?? 1) - 1
      if (left > 0) this.#open.set(keyId, left)
      else this.#open.delete(keyId)
    }
  }
}
