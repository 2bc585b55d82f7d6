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

/**
 * A short probe beside other work says too little: who was slower than half of the equal adapters counts as fast as those. Nobody is lowered by
 * what others claim, and one of them alone raises nobody. Returns those that count as otherwise fast now.
 */
export function levelSpeeds({ engine, adapter }: Pledge, peers: Iterable<PeerRecord>): readonly PeerRecord[] {
  const alike: PeerRecord[] = []
  for (const peer of peers) if (peer.pledge?.adapter === adapter && peer.pledge.engine === engine) alike.push(peer)
  const probed = alike.map(({ pledge }) => pledge?.macsPerSecond ?? 0).sort((a, b) => a - b)
  const usual = probed[(probed.length - 1) >> 1] ?? 0
  return alike.filter((peer) => {
    const before = peer.macsPerSecond
    peer.probedMacsPerSecond = Math.max(peer.pledge?.macsPerSecond ?? 0, usual)
    followSpeed(peer)
    return peer.macsPerSecond !== before
  })
}

/** Takes what was probed and reported into account. */
function followSpeed(peer: PeerRecord): void {
  const sorted = [...peer.speedReports].sort((a, b) => a - b)
  const median = sorted.length < REPORTS_MIN ? undefined : sorted[Math.floor(sorted.length / 2)]
  const most = PLAUSIBLE_FACTOR * peer.probedMacsPerSecond
  peer.macsPerSecond = median === undefined ? peer.probedMacsPerSecond : Math.min(median, most)
}
