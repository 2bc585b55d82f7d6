/**
 * RequestGate: answers what peers ask of the store, each at a bounded rate, so many at once, and every failure with a word: the reason where there is one to
 * tell, else that accounts do not answer.
 */

import type { ServerMessage } from '../../protocol/index.ts'
import type { Clock, PeerId } from '../../shared/index.ts'
import { AccountError } from '../accounts/index.ts'
import { type Rate, TokenBuckets } from '../core/index.ts'
import { RETRY_REQUEST_MS, RETRY_STORE_MS } from './limits.ts'

export interface RequestGateOptions {
  /** Of one peer. */
  readonly rate: Rate
  /** Of all peers. */
  readonly atOnce: number
  /** What a peer is told that asks too often. */
  readonly tooMany: { readonly reason: string; readonly message: string }
  readonly clock: Clock
  readonly log: (line: string) => void
}

export type Refused = Extract<ServerMessage, { type: 'refused' }>

export class RequestGate {
  readonly #options: RequestGateOptions
  readonly #buckets: TokenBuckets
  #reading = 0

  constructor(options: RequestGateOptions) {
    this.#options = options
    this.#buckets = new TokenBuckets(options.rate)
  }

  /** What `read` resolves to, or why not. Never rejects. */
  async answer<Answer>(peerId: PeerId, requestId: string, read: () => Promise<Answer>): Promise<Answer | Refused> {
    const { clock, log, tooMany, atOnce } = this.#options
    const nowMs = clock.nowMs()
    const refused = (reason: string, message: string, retryAfterMs: number | null): Refused => {
      return { type: 'refused', requestId, reason, message, retryAfterMs }
    }
    const bucket = this.#buckets.of(peerId, nowMs)
    if (!bucket.take(nowMs)) return refused(tooMany.reason, tooMany.message, bucket.waitMs(nowMs))
    if (this.#reading >= atOnce) return refused('busy', 'the coordinator answers others now; try again in a moment', RETRY_REQUEST_MS)
    this.#reading++
    try {
      return await read()
    } catch (error) {
      if (error instanceof AccountError) return refused(error.reason, error.message, null)
      log(`a request about an account failed: ${String(error)}`)
      return refused('no-accounts', 'the coordinator’s accounts do not answer; try again in a moment', RETRY_STORE_MS)
    } finally {
      this.#reading--
    }
  }

  tick(nowMs: number): void {
    this.#buckets.forgetFull(nowMs)
  }
}
