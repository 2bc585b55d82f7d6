/**
 * Speeds: how fast peers decode, in multiply-accumulates a second. At first as they and equal adapters were probed, then as the passes of
 * sessions took: the median of the last reports, since a machine is busy with other things at times, no more than its kind can plausibly do, and
 * no more than the laps that drivers see leave to it, since probes and reports are claims.
 */

import type { Grant } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { Adapters } from './adapters.ts'
import type { ModelCosts } from './costs.ts'
import { HOP_MS } from './limits.ts'
import { Paces } from './paces.ts'
import type { PeerRecord, Pledge } from './peers.ts'

/** Passes of one decode row each, since the last report: all together. */
export interface PassReport {
  readonly layers: number
  readonly heads: number
  readonly ms: number
}

/** One session's laps of one decode row over its last chain: how many, and what the middle one took. */
export interface LapReport {
  readonly count: number
  readonly medianMs: number
}

/** What else is known of that session. */
export interface LapCircumstances {
  readonly grant: Grant
  /** Its driver's. */
  readonly origin: string
  readonly costs: ModelCosts
  readonly rttMs: (a: PeerId, b: PeerId) => number
  /** Sessions at one of its stages, itself among them, when there were most. */
  readonly sessionsAt: (peerId: PeerId) => number
  readonly nowMs: number
}

/** Reports that the median is of. */
const REPORTS_MAX = 9
/** Fewer than this say too little: shaders are compiled, clocks are raised. */
const REPORTS_MIN = 3
/** Times the speed that was probed: a probe beside other work may be that slow, hardly slower. */
const PLAUSIBLE_FACTOR = 4
/** A probe is one matrix that nothing else waits for: honest passes were up to four times as slow for their work, on a busy machine. */
const PROBE_OPTIMISM = 4
/** Laps of a session that say something: of two the faster one counts, and answers of three tokens have no more. */
const LAPS_MIN = 2

export class Speeds {
  readonly #peers: ReadonlyMap<PeerId, PeerRecord>
  readonly #adapters = new Adapters()
  readonly #paces = new Paces()

  constructor(peers: ReadonlyMap<PeerId, PeerRecord>) {
    this.#peers = peers
  }

  learn(peer: PeerRecord, costs: ModelCosts, { layers, heads, ms }: PassReport, nowMs: number): void {
    const macs = layers * costs.macsPerLayer + heads * costs.headMacs
    if (macs === 0 || ms === 0) return
    peer.speedReports = [...peer.speedReports, (macs * 1_000) / ms].slice(-REPORTS_MAX)
    this.follow(peer, nowMs)
  }

  /** Laps that went through these stages, as their driver saw them. Returns the stages that count as otherwise fast now. */
  see({ count, medianMs }: LapReport, { grant, origin, costs, rttMs, sessionsAt, nowMs }: LapCircumstances): readonly PeerRecord[] {
    if (count < LAPS_MIN) return []
    const stages = grant.stages.flatMap(({ peerId, firstLayer, endLayer }) => {
      const peer = this.#peers.get(peerId)
      if (peer === undefined) return []
      const macs = (endLayer - firstLayer) * costs.macsPerLayer + (endLayer === costs.layerCount ? costs.headMacs : 0)
      const optimism = peer.speedReports.length < REPORTS_MIN ? PROBE_OPTIMISM : 1
      return [{ peer, peerId, toldMs: (sessionsAt(peerId) * optimism * 1_000 * macs) / Math.max(1, peer.toldMacsPerSecond) }]
    })
    // Of who has gone nobody knows what it told: its part of the lap would be the others'.
    if (stages.length < grant.stages.length) return []
    const ring = [grant.driver, ...grant.stages.map(({ peerId }) => peerId), grant.driver]
    const linksMs = ring.slice(1).reduce((sum, peerId, at) => sum + HOP_MS + rttMs(ring[at] ?? peerId, peerId) / 2, 0)
    this.#paces.see({ origin, lapMs: medianMs, linksMs, stages, atMs: nowMs })
    return stages.flatMap(({ peer }) => (this.follow(peer, nowMs) ? [peer] : []))
  }

  /** One pledges. Returns those that count as otherwise fast now. */
  join(peer: PeerRecord, pledge: Pledge, nowMs: number): readonly PeerRecord[] {
    return this.#adapters.join(peer, pledge).filter((one) => this.follow(one, nowMs))
  }

  /** One has gone, or pledges no more. Returns those that count as otherwise fast now. */
  leave(peer: PeerRecord, pledge: Pledge, nowMs: number): readonly PeerRecord[] {
    return this.#adapters.leave(peer, pledge).filter((one) => this.follow(one, nowMs))
  }

  /** Takes into account what was probed, reported and seen; true where it counts as otherwise fast now. */
  follow(peer: PeerRecord, nowMs: number): boolean {
    const before = peer.macsPerSecond
    const { speedReports, probedMacsPerSecond } = peer
    const isKnown = speedReports.length >= REPORTS_MIN
    peer.toldMacsPerSecond = isKnown ? Math.min(medianOf(speedReports), PLAUSIBLE_FACTOR * probedMacsPerSecond) : probedMacsPerSecond
    peer.macsPerSecond = peer.toldMacsPerSecond / this.#paces.slowness(peer.peerId, nowMs)
    return peer.macsPerSecond !== before
  }

  forget(peerId: PeerId): void {
    this.#paces.forget(peerId)
  }
}

/** The upper one of two. */
function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
