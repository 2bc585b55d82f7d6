/**
 * Places: who makes room when all are taken. Keys cost nothing, so that one machine could take every place; addresses do. So a newcomer takes
 * the place of a tab from where the most come from: of one that does nothing; and where somebody has far more than a share, of one that serves.
 * Who has a session is left in peace. Pure.
 */

import { CROWD_MIN } from './limits.ts'
import type { PeerRecord } from './peers.ts'

export interface Newcomer {
  /** See PeerRecord. */
  readonly origin: string
  /** Who drives a session, or is a stage of one. */
  readonly engaged: ReadonlySet<PeerRecord['peerId']>
}

/** Whose place the newcomer gets; null: nobody's. */
export function whoYields(peers: Iterable<PeerRecord>, { origin, engaged }: Newcomer): PeerRecord | null {
  const byOrigin = new Map<string, PeerRecord[]>()
  for (const peer of peers) {
    const alike = byOrigin.get(peer.origin)
    if (alike === undefined) byOrigin.set(peer.origin, [peer])
    else alike.push(peer)
  }
  // After it there must still be more of them than of the newcomer's: else the two would take each other's places for ever.
  const own = byOrigin.get(origin)?.length ?? 0
  const crowds = [...byOrigin.values()].filter(({ length }) => length > own + 1).sort((a, b) => b.length - a.length)
  const isFree = ({ peerId }: PeerRecord) => !engaged.has(peerId)
  for (const crowd of crowds) {
    // Who has done nothing for the longest: who came just now is about to pledge, or to ask.
    const idle = crowd.find((peer) => peer.order === null && peer.served === null && isFree(peer))
    if (idle !== undefined) return idle
  }
  const [largest = []] = crowds
  return largest.length < CROWD_MIN ? null : (largest.findLast(isFree) ?? null)
}
