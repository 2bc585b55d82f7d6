/**
 * Spares: who serves a span not, and could load it for a while beside what it holds, by what it has pledged. A peer that is about to load anything else
 * is none. Pure.
 */

import type { Span } from '../../model/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { endsOf, heldBytes, layersThatFit } from './costs.ts'
import { isPlaceable, isThere, type PeerRecord, serves } from './peers.ts'
import type { SwarmModel } from './swarm.ts'

export interface Spare {
  readonly peerId: PeerId
  /** What it has left of its pledge. */
  readonly memoryBytes: number
}

export interface SpareRequest {
  readonly model: SwarmModel
  readonly span: Span
  readonly kvPositions: number
  readonly models: readonly SwarmModel[]
  readonly nowMs: number
}

export function sparesFor({ model, span, kvPositions, models, nowMs }: SpareRequest, peers: Iterable<PeerRecord>): Spare[] {
  const spares: Spare[] = []
  for (const peer of peers) {
    // An order that is not served yet takes what there is.
    const isSettled = peer.order === null || peer.served !== null
    if (!isSettled || serves(peer, model.modelId, span) || !isPlaceable(peer, nowMs) || !isThere(peer, nowMs)) continue
    const memoryBytes = peer.memoryBytes - takenBytes(peer, models)
    const { weightForm } = peer
    if (layersThatFit(model.costs, { memoryBytes, weightForm }, endsOf(model.costs, span), kvPositions) >= span.endLayer - span.firstLayer)
      spares.push({ peerId: peer.peerId, memoryBytes })
  }
  return spares
}

function takenBytes({ loaded, weightForm }: PeerRecord, models: readonly SwarmModel[]): number {
  const costs = models.find(({ modelId }) => modelId === loaded?.modelId)?.costs
  return loaded === null || costs === undefined ? 0 : heldBytes(costs, loaded.span, { weightForm, kvPositions: loaded.kvPositions })
}
