/** TokenBucket: so many messages a second on average, so many at once. */

import type { PeerId } from '../../shared/index.ts'

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export class TokenBucket {
  readonly #rate: Rate
  #tokens: number
  #filledMs: number

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#filledMs = nowMs
  }

  /** False: one too many. */
  take(nowMs: number): boolean {
    this.#fill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** What was taken counts no more. */
  giveBack(): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + 1)
  }

  /** Until the next one may be taken, milliseconds. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs)
    return Math.max(0, ((1 - this.#tokens) / this.#rate.perSecond) * 1_000)
  }

  isFull(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens === this.#rate.burst
  }

  #fill(nowMs: number): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((nowMs - this.#filledMs) / 1_000) * this.#rate.perSecond)
    this.#filledMs = nowMs
  }
}

/** Of who stands for `share`. */
export function rateOf({ perSecond, burst }: Rate, share: number): Rate {
  return { perSecond: share * perSecond, burst: share * burst }
}

/** A bucket for each peer: those that are full say nothing, and are forgotten. */
export class TokenBuckets {
  readonly #rate: Rate
  readonly #buckets = new Map<PeerId, TokenBucket>()

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /** `share`: so many times the rate, where the peer stands for so many. */
  of(peerId: PeerId, nowMs: number, share = 1): TokenBucket {
    const bucket = this.#buckets.get(peerId) ?? new TokenBucket(rateOf(this.#rate, share), nowMs)
    this.#buckets.set(peerId, bucket)
    return bucket
  }

  /** Nothing to do where the peer's bucket is full. */
  giveBack(peerId: PeerId): void {
    this.#buckets.get(peerId)?.giveBack()
  }

  forgetFull(nowMs: number): void {
    for (const [peerId, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(peerId)
  }
}
