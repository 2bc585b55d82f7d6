/**
 * Ghosts: volunteers that answer every ping and serve nobody. Drivers tell by their repairs and by how sessions end; a report that
 * contradicts what is granted tells by itself. Drivers err and lie, and there are as many of them as somebody likes: so their word makes a
 * peer the last choice, for themselves or where those of two origins agree, and has others load its layers, but takes no place from it. It
 * serves who has no other choice, and a finished session clears it.
 */

import type { Grant } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import {
  ACCUSED_MAX,
  AVOIDED_MS,
  AVOIDED_MS_MAX,
  AWAY_AFTER_MS,
  CARRIED_MS,
  FAILURES_BY_ONE_MIN,
  FAILURES_KEPT,
  FAILURES_SPAN_MS,
  FAILURES_WITHIN_MS,
  GIVEN_UP_MS,
  GIVEN_UP_TIMES_MAX,
  REPORTS_CHECK_INTERVAL_MS,
  SUSPICION_RATE,
  UNHELD_MS,
} from './limits.ts'
import { type Doubts, NO_DOUBTS, type PeerRecord } from './peers.ts'
import type { PendingRepairs } from './pendingRepairs.ts'
import { wholeBlocks } from './room.ts'
import type { OpenSessions } from './sessions.ts'
import { TokenBuckets } from './tokenBucket.ts'

export interface GhostPorts {
  readonly peers: ReadonlyMap<PeerId, PeerRecord>
  readonly open: OpenSessions
  readonly repairs: PendingRepairs
  /** Others are to load what it serves. */
  readonly onGivenUp: (peerId: PeerId) => void
}

export class Ghosts {
  readonly #ports: GhostPorts
  /** Failures that each driver may still tell of. */
  readonly #credits = new TokenBuckets(SUSPICION_RATE)
  #checkedMs = 0

  constructor(ports: GhostPorts) {
    this.#ports = ports
  }

  /** A session of `driver` failed over the peer, so its driver says; its repair, if there is one, is pending. */
  failed(peer: PeerRecord, driver: PeerRecord, nowMs: number): void {
    if (peer.served === null || peer.draining) return
    driver.accused.add(peer.peerId)
    if (!this.#credits.of(driver.peerId, nowMs, driver.share).take(nowMs)) return
    const failure = { driver: driver.peerId, origin: driver.origin, atMs: nowMs }
    const failures = [...recent(peer.doubts, nowMs), failure].slice(-FAILURES_KEPT)
    const avoidedMs = Math.min(AVOIDED_MS_MAX, AVOIDED_MS * 2 ** (failures.length - 1))
    peer.doubts = { ...peer.doubts, failures, avoidedUntilMs: Math.max(peer.doubts.avoidedUntilMs, nowMs + avoidedMs) }
    if (this.#servesNobody(peer, nowMs)) this.#giveUp(peer, nowMs)
  }

  /** A driver has its whole answer: all stages of its last chain serve, and the driver's failures elsewhere were not its own. */
  finished({ driver, stages }: Grant): void {
    const { peers } = this.#ports
    peers.get(driver)?.accused.clear()
    for (const { peerId } of stages) {
      const peer = peers.get(peerId)
      if (peer === undefined || peer.doubts.failures.length === 0) continue
      if (peer.doubts.givenUp > 0 && peer.served !== null) peer.blockedUntilMs = 0
      peer.doubts = NO_DOUBTS
    }
  }

  tick(nowMs: number): void {
    this.#credits.forgetFull(nowMs)
    if (nowMs - this.#checkedMs < REPORTS_CHECK_INTERVAL_MS) return
    this.#checkedMs = nowMs
    const reserved = this.#ports.open.reserved(nowMs)
    for (const peer of this.#ports.peers.values()) this.#checkReport(peer, reserved.get(peer.peerId)?.all.kvPositions ?? 0, nowMs)
  }

  /** Whose failures count, of at least two origins, or again and again of one that alone uses it; over a while in which nobody got through. */
  #servesNobody(peer: PeerRecord, nowMs: number): boolean {
    const { peers, open, repairs } = this.#ports
    if (nowMs < peer.blockedUntilMs) return false
    const failures = peer.doubts.failures.filter(({ driver }) => (peers.get(driver)?.accused.size ?? 0) <= ACCUSED_MAX)
    const [first] = failures
    if (first === undefined || nowMs - first.atMs < FAILURES_SPAN_MS) return false
    const working = open.over(peer.peerId).filter(({ sessionId }) => !repairs.has(sessionId))
    if (working.some(({ issuedAtMs }) => nowMs - issuedAtMs >= CARRIED_MS)) return false
    if (failures.some(({ origin }) => origin !== first.origin)) return true
    return failures.length >= FAILURES_BY_ONE_MIN && working.every(({ driver }) => peers.get(driver)?.origin === first.origin)
  }

  /** More than half of its KV is taken, so it says, by what nobody was granted, for longer than a stage may keep what was forgotten. */
  #checkReport(peer: PeerRecord, grantedPositions: number, nowMs: number): void {
    const { report, served, doubts } = peer
    const isHeard = report !== null && nowMs - report.atMs < AWAY_AFTER_MS
    const capacity = wholeBlocks(served?.kvPositions ?? 0)
    if (served === null || !isHeard || capacity - report.kvPositionsFree - grantedPositions <= capacity / 2) {
      if (doubts.unexplainedSinceMs !== null) peer.doubts = { ...doubts, unexplainedSinceMs: null }
      if (served !== null && doubts.unexplainedSinceMs !== null && doubts.failures.length === 0) peer.blockedUntilMs = 0
      return
    }
    const sinceMs = doubts.unexplainedSinceMs ?? nowMs
    peer.doubts = { ...doubts, unexplainedSinceMs: sinceMs }
    if (nowMs - sinceMs >= UNHELD_MS && nowMs >= peer.blockedUntilMs) this.#giveUp(peer, nowMs)
  }

  /** As if it could not load its layers: it gets no others for a while, longer each time, and others get these. It goes on serving. */
  #giveUp(peer: PeerRecord, nowMs: number): void {
    const { givenUp } = peer.doubts
    peer.blockedUntilMs = nowMs + GIVEN_UP_MS * 2 ** Math.min(givenUp, GIVEN_UP_TIMES_MAX)
    peer.doubts = { ...peer.doubts, givenUp: givenUp + 1 }
    this.#ports.onGivenUp(peer.peerId)
  }
}

function recent({ failures }: Doubts, nowMs: number) {
  return failures.filter(({ atMs }) => nowMs - atMs < FAILURES_WITHIN_MS)
}
