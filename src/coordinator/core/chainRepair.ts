/**
 * Chain repair: an open session has lost stages. Those that are left keep their layers and what they computed; others fill the holes, of
 * the same numeric class where there is one. Where that gives no chain, one of other stages altogether is taken.
 */

import type { Grant } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { freeCandidates } from './admission.ts'
import { isChoosable, isThere, type PeerRecord } from './peers.ts'
import type { PlacedStage } from './placement.ts'
import { chooseChain, type LostStage } from './route.ts'
import type { OpenSessions } from './sessions.ts'
import type { SwarmModel } from './swarm.ts'

export interface ChainRepairRequest {
  readonly grant: Grant
  /** Of the grant's stages, as they were when it was issued. */
  readonly numericClasses: readonly string[]
  readonly lostPeerIds: ReadonlySet<PeerId>
  readonly model: SwarmModel
  readonly peers: Iterable<PeerRecord>
  readonly sessions: OpenSessions
  readonly stagesMin: number
  readonly rttMs: (a: PeerId, b: PeerId) => number
  readonly nowMs: number
}

/** Stages for the session's next grant; null while layers are missing. */
export function repairChain(request: ChainRepairRequest): readonly PlacedStage[] | null {
  const { grant, numericClasses, lostPeerIds, model, sessions, stagesMin, rttMs, nowMs } = request
  const { layerCount } = model.costs
  const peers = [...request.peers]
  const present = peers.filter((peer) => isChoosable(peer, nowMs))
  const stages = grant.stages.map(({ peerId, firstLayer, endLayer }) => ({ peerId, span: { firstLayer, endLayer } }))
  const there = new Set(peers.filter((peer) => isThere(peer, nowMs)).map(({ peerId }) => peerId))
  const isLeft = ({ peerId }: PlacedStage) => !lostPeerIds.has(peerId) && there.has(peerId)
  const keep = stages.filter(isLeft)
  const lost = stages.flatMap((stage, index): LostStage[] =>
    isLeft(stage) ? [] : [{ span: stage.span, numericClass: numericClasses[index] ?? '' }],
  )
  const candidatesOf = (peers: readonly PeerRecord[]) =>
    freeCandidates({ model, peers, sessions, positions: grant.maxPositions, requester: grant.driver })
  const others = candidatesOf(present.filter(({ peerId }) => !lostPeerIds.has(peerId)))
  const options = { stagesMin, driver: grant.driver, rttMs }
  // Who was given up for lost and answers again may come back, as long as nobody else is there.
  return (
    chooseChain(layerCount, others, { ...options, keep, lost }) ??
    chooseChain(layerCount, others, { ...options, lost }) ??
    chooseChain(layerCount, candidatesOf(present), { ...options, keep, lost })
  )
}
