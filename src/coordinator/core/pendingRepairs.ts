/** PendingRepairs: broken sessions whose drivers wait for another chain, one repair a session; and how often a driver may ask. */

import type { PeerId, SessionId } from '../../shared/index.ts'
import type { PendingRepair } from './chainRepair.ts'
import { REPAIR_RATE } from './limits.ts'
import { TokenBuckets } from './tokenBucket.ts'

export class PendingRepairs {
  #waiting: PendingRepair[] = []
  readonly #rates = new TokenBuckets(REPAIR_RATE)

  /** How long the driver, who stands for `share` requesters, has to wait before it may ask, milliseconds; where it may, this was one request. */
  ask(driver: PeerId, share: number, nowMs: number): number {
    const bucket = this.#rates.of(driver, nowMs, share)
    return bucket.take(nowMs) ? 0 : Math.ceil(bucket.waitMs(nowMs))
  }

  /** The older one of the same session, which is superseded; null: there is none. */
  add(pending: PendingRepair): PendingRepair | null {
    const older = this.#waiting.find(({ sessionId }) => sessionId === pending.sessionId) ?? null
    this.#waiting = [...this.#waiting.filter((other) => other !== older), pending]
    return older
  }

  has(sessionId: SessionId): boolean {
    return this.#waiting.some((pending) => pending.sessionId === sessionId)
  }

  get sessionIds(): readonly SessionId[] {
    return this.#waiting.map(({ sessionId }) => sessionId)
  }

  /** It asks again when it comes back (rule C13). */
  dropOf(driver: PeerId): void {
    this.#waiting = this.#waiting.filter((pending) => pending.driver !== driver)
  }

  /** Keeps those that `isSettled` says no to. */
  settle(isSettled: (pending: PendingRepair) => boolean): void {
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((pending) => !isSettled(pending))
  }

  forgetSettled(nowMs: number): void {
    this.#rates.forgetFull(nowMs)
  }
}
