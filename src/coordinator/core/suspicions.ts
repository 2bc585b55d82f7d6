/**
 * Suspicions: who is not chosen because a driver said that it is lost. Drivers err, since their own networks fail, and may lie: so a
 * suspicion ends with the first answer to a ping sent since, costs its driver credit unless it proves right, and does not touch who
 * has just proved alive. What a driver's word is good for beside this, its own repair, does not depend on it.
 */

import type { PeerId } from '../../shared/index.ts'
import { PROVEN_MS, SUSPICION_RATE } from './limits.ts'
import type { PeerRecord } from './peers.ts'
import { TokenBuckets } from './tokenBucket.ts'

export class Suspicions {
  /** What each driver has left. */
  readonly #credits = new TokenBuckets(SUSPICION_RATE)

  /** `driver` says that `peer`, of a chain of its own, is lost. True where the peer has to be pinged: it is suspected from that ping on. */
  accuse(peer: PeerRecord, driver: PeerId, nowMs: number): boolean {
    if (peer.suspicion !== null || nowMs < peer.provenUntilMs) return false
    if (!this.#credits.of(driver, nowMs).take(nowMs)) return false
    peer.suspicion = { sequence: peer.pingSequence + 1, sinceMs: nowMs, driver }
    return true
  }

  /** The peer answers a ping. Only one that was sent since it is suspected can clear it, and only one that was sent at all. */
  answered(peer: PeerRecord, sequence: number, nowMs: number): void {
    const { suspicion, pingSequence } = peer
    if (suspicion === null || sequence < suspicion.sequence || sequence > pingSequence) return
    peer.suspicion = null
    peer.provenUntilMs = nowMs + PROVEN_MS
  }

  /** The peer is gone: who suspected it was right. */
  left({ suspicion }: PeerRecord): void {
    if (suspicion !== null) this.#credits.giveBack(suspicion.driver)
  }

  forgetSettled(nowMs: number): void {
    this.#credits.forgetFull(nowMs)
  }
}
