/** Whether a peer can do what the plan wants of it: at once, after loading, or only when others have taken over what it gives up. */

import { coversSpan, type Span } from '../../model/index.ts'
import { type ModelId, required } from '../../shared/index.ts'
import { AWAY_AFTER_MS } from './limits.ts'
import { common, isChoosable, type PeerRecord } from './peers.ts'
import type { PlannedSpan } from './plan.ts'
import { uncovered } from './route.ts'
import type { SwarmModel } from './swarm.ts'

export interface SwarmState {
  readonly peers: Iterable<PeerRecord>
  readonly models: readonly SwarmModel[]
  readonly nowMs: number
}

export function isLoaded(peer: PeerRecord, modelId: ModelId, span: Span): boolean {
  return peer.loaded !== null && peer.loaded.modelId === modelId && coversSpan(peer.loaded.span, span)
}

/** Peers that say nothing any more and hold layers that nobody else serves. */
export function missedPeers(models: readonly SwarmModel[], peers: readonly PeerRecord[], nowMs: number): ReadonlySet<PeerRecord> {
  const missed = new Set<PeerRecord>()
  const isSilent = ({ served, heardMs }: PeerRecord) => served !== null && nowMs - heardMs >= AWAY_AFTER_MS
  if (!peers.some(isSilent)) return missed
  for (const { modelId, costs } of models) {
    const holders = peers.filter(({ served }) => served?.modelId === modelId)
    const present = holders.filter((peer) => !isSilent(peer)).flatMap(({ served }) => served?.span ?? [])
    for (const gap of uncovered(costs.layerCount, present))
      for (const peer of holders) {
        const shared = common(required(peer.served, 'what it serves').span, gap)
        if (isSilent(peer) && shared.firstLayer < shared.endLayer) missed.add(peer)
      }
  }
  return missed
}

/** In place of what it serves `target` would leave layers that nobody else serves yet: some of its own, or all while it loads. */
export function mustStay(peer: PeerRecord, target: PlannedSpan, { peers, models, nowMs }: SwarmState): boolean {
  const { served } = peer
  if (served === null) return false
  const keeps = served.modelId === target.model.modelId && coversSpan(served.span, target.span)
  const isReliable = (other: PeerRecord) => isChoosable(other, nowMs) && nowMs >= other.blockedUntilMs
  // What another was told to give up does not count, though it may still serve it.
  const others = [...peers].flatMap((other) =>
    other !== peer && other.served?.modelId === served.modelId && other.order?.modelId === served.modelId && isReliable(other)
      ? [common(other.served.span, other.order.span)]
      : [],
  )
  const { firstLayer, endLayer } = served.span
  const missed = uncovered(endLayer, [{ firstLayer: 0, endLayer: firstLayer }, ...(keeps ? [target.span] : []), ...others])
  if (missed.length === 0 || keeps) return missed.length > 0
  // A model with holes is of no use to anybody: who is to fill them need not wait.
  const model = required(
    models.find(({ modelId }) => modelId === served.modelId),
    `model ${served.modelId}`,
  )
  return uncovered(model.costs.layerCount, [served.span, ...others]).length === 0
}
