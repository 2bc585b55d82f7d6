/**
 * RateLimits: how often somebody may ask, each by a bucket that fills evenly and holds a minute's worth. It counts what this process sees: behind
 * several coordinators a client may get as many times its rate.
 */

import { err, ok, type Result } from '../../shared/index.ts'
import { AccountError } from './errors.ts'

interface Bucket {
  /** Requests that may come at once; may be a fraction. */
  left: number
  atMs: number
}

const MINUTE_MS = 60_000
/** Those who asked longest ago are forgotten first, which at worst gives them a full bucket again. */
const BUCKETS_MAX = 100_000

export class RateLimits {
  /** In the order in which they were asked for last. */
  readonly #buckets = new Map<string, Bucket>()

  /** Counts a request of `who`, or says when the next may come. `nowMs` is coordinator time. */
  take(who: string, aMinute: number, nowMs: number): Result<null, AccountError> {
    const before = this.#buckets.get(who) ?? { left: aMinute, atMs: nowMs }
    const filled = before.left + (Math.max(0, nowMs - before.atMs) * aMinute) / MINUTE_MS
    const left = Math.min(aMinute, filled)
    const isFree = left >= 1
    this.#buckets.delete(who)
    this.#buckets.set(who, { left: isFree ? left - 1 : left, atMs: nowMs })
    this.#forget()
    if (isFree) return ok(null)
    const seconds = Math.ceil(((1 - left) * MINUTE_MS) / aMinute / 1_000)
    return err(
      new AccountError('too-many-requests', `${aMinute} requests a minute are allowed; ask again in ${seconds} s`, 1_000 * seconds),
    )
  }

  #forget(): void {
    for (const who of this.#buckets.keys()) {
      if (this.#buckets.size <= BUCKETS_MAX) return
      this.#buckets.delete(who)
    }
  }
}
