/**
 * Speeds: how fast peers decode, in multiply-accumulates a second. At first as they and equal adapters were probed, then as the passes of
 * sessions took: the median of the last reports, since a machine is busy with other things at times, and no more than its kind
 * can plausibly do, since reports are claims.
 */

import type { ModelCosts } from './costs.ts'
import type { PeerRecord, Pledge } from './peers.ts'

/** Passes of one decode row each, since the last report: all together. */
export interface PassReport {
  readonly layers: number
  readonly heads: number
  readonly ms: number
}

/** Reports that the median is of. */
const REPORTS_MAX = 9
/** Fewer than this say too little: shaders are compiled, clocks are raised. */
const REPORTS_MIN = 3
/** Times the speed that was probed: a probe beside other work may be that slow, hardly slower. */
const PLAUSIBLE_FACTOR = 4

export function learnSpeed(peer: PeerRecord, costs: ModelCosts, { layers, heads, ms }: PassReport): void {
  const macs = layers * costs.macsPerLayer + heads * costs.headMacs
  if (macs === 0 || ms === 0) return
  peer.speedReports = [...peer.speedReports, (macs * 1_000) / ms].slice(-REPORTS_MAX)
  followSpeed(peer)
}

interface Alike {
  readonly peers: Set<PeerRecord>
  /** As they were probed, in order. */
  readonly probed: number[]
  /** What those that were slower have counted as since the last look. */
  usual: number
}

/**
 * Volunteers by their adapters. A short probe beside other work says too little: who was slower than half of the equal adapters counts as fast as
 * those. Nobody is lowered by what others claim, and one of them alone raises nobody.
 */
export class Adapters {
  readonly #alike = new Map<string, Alike>()

  /** One pledges. Returns those that count as otherwise fast now, it among them. */
  join(peer: PeerRecord, pledge: Pledge): readonly PeerRecord[] {
    const key = keyOf(pledge)
    const alike = this.#alike.get(key) ?? { peers: new Set(), probed: [], usual: 0 }
    this.#alike.set(key, alike)
    alike.peers.add(peer)
    const { probed } = alike
    probed.splice(probed.findLastIndex((other) => other <= pledge.macsPerSecond) + 1, 0, pledge.macsPerSecond)
    follow(peer, alike.usual)
    return [peer, ...level(alike)]
  }

  /** One has gone, or pledges no more. Returns those that count as otherwise fast now. */
  leave(peer: PeerRecord, pledge: Pledge): readonly PeerRecord[] {
    const key = keyOf(pledge)
    const alike = this.#alike.get(key)
    if (alike?.peers.delete(peer) !== true) return []
    alike.probed.splice(alike.probed.indexOf(pledge.macsPerSecond), 1)
    if (alike.peers.size === 0) this.#alike.delete(key)
    return level(alike)
  }
}

function keyOf({ engine, adapter }: Pledge): string {
  return `${engine} ${adapter}`
}

function level(alike: Alike): PeerRecord[] {
  const { peers, probed } = alike
  const usual = probed[(probed.length - 1) >> 1] ?? 0
  if (usual === alike.usual) return []
  alike.usual = usual
  return [...peers].filter((peer) => {
    const before = peer.macsPerSecond
    follow(peer, usual)
    return peer.macsPerSecond !== before
  })
}

function follow(peer: PeerRecord, usual: number): void {
  peer.probedMacsPerSecond = Math.max(peer.pledge?.macsPerSecond ?? 0, usual)
  followSpeed(peer)
}

/** Takes what was probed and reported into account. */
function followSpeed(peer: PeerRecord): void {
  const { speedReports, probedMacsPerSecond } = peer
  const isKnown = speedReports.length >= REPORTS_MIN
  peer.macsPerSecond = isKnown ? Math.min(medianOf(speedReports), PLAUSIBLE_FACTOR * probedMacsPerSecond) : probedMacsPerSecond
}

/** The upper one of two. */
function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
