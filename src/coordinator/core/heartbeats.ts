/**
 * Heartbeats: who is there. Everybody is pinged, who is silent for too long is dropped, and who a driver says is lost is not chosen before it
 * has answered. Drivers err, since their own networks fail, and may lie: so a suspicion ends with the first answer to a ping sent since, costs
 * its driver credit unless it proves right, and does not touch who has just proved alive. What a driver's word is good for beside this, its
 * own repair, does not depend on it.
 */

import type { Effects } from './effects.ts'
import { AWAY_AFTER_MS, DROP_AFTER_MS, GHOST_MS, PING_INTERVAL_MS, PROVEN_MS, SUSPICION_RATE } from './limits.ts'
import type { PeerRecord } from './peers.ts'
import { TokenBuckets } from './tokenBucket.ts'

export class Heartbeats {
  readonly #effects: Effects
  /** Suspicions that each driver has left. */
  readonly #credits = new TokenBuckets(SUSPICION_RATE)

  constructor(effects: Effects) {
    this.#effects = effects
  }

  /**
   * Pings the peer where one is due. Where it was silent for too long, the limit that it has passed, milliseconds; else null. Less is too long
   * for one that is missed: somebody waits for layers that nobody else serves.
   */
  check(peer: PeerRecord, isMissed: boolean, nowMs: number): number | null {
    const { suspicion } = peer
    let limitMs = isMissed ? AWAY_AFTER_MS : DROP_AFTER_MS
    if (suspicion !== null) limitMs = GHOST_MS
    const silentMs = nowMs - (suspicion === null ? peer.heardMs : suspicion.sinceMs)
    if (silentMs >= limitMs) return limitMs
    if (nowMs - peer.pingSentMs >= PING_INTERVAL_MS) this.#ping(peer, nowMs)
    return null
  }

  /** A driver says that `peer`, of a chain of its own, is lost: it is not chosen before it has answered a ping that is sent now. */
  suspect(peer: PeerRecord, { peerId: driver, share }: Pick<PeerRecord, 'peerId' | 'share'>, nowMs: number): void {
    if (peer.suspicion !== null || nowMs < peer.provenUntilMs) return
    if (!this.#credits.of(driver, nowMs, share).take(nowMs)) return
    peer.suspicion = { sequence: peer.pingSequence + 1, sinceMs: nowMs, driver }
    this.#ping(peer, nowMs)
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

  #ping(peer: PeerRecord, nowMs: number): void {
    peer.pingSequence++
    peer.pingSentMs = nowMs
    this.#effects.send(peer.peerId, { type: 'ping', sequence: peer.pingSequence, timeMs: nowMs })
  }
}
