/**
 * Repair: fills the holes of one swarm with as little movement as possible. In this order: a peer that still has the layers in
 * its memory; a spare; a peer whose own layers others hold too; neighbors that load more. Placing what cannot be repaired anew
 * is the plan's last resort.
 */

import { coversSpan, type Span } from '../../model/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { endsOf, kvPositionsMin, layersThatFit, type ModelCosts, spanFits } from './costs.ts'
import { type Capacity, divide, type PlacedStage } from './placement.ts'

export interface RepairRequest {
  readonly costs: ModelCosts
  /** In order of layers; may have holes, and may overlap. */
  readonly stages: readonly PlacedStage[]
  readonly hole: Span
  readonly capacity: (peerId: PeerId) => Capacity
  /** The span of this model in the peer's memory. */
  readonly loaded: (peerId: PeerId) => Span | null
  readonly spares: readonly Capacity[]
  /** Peers of this swarm or another that leave no hole, those first that are missed least. */
  readonly redundant: readonly Capacity[]
  /** Whether neighbors may be asked to load more, which keeps them from new sessions meanwhile. */
  readonly mayGrow: boolean
}

/** New spans of the peers that fill the hole, or null where it cannot be filled now. */
export function repair(request: RepairRequest): PlacedStage[] | null {
  const { costs, hole, spares, redundant, mayGrow } = request
  return (
    fillFromMemory(request) ??
    fillWith(costs, hole, bySpeed(spares)) ??
    fillWith(costs, hole, redundant) ??
    (mayGrow ? growInto(request) : null)
  )
}

function neighbors({ stages, hole }: RepairRequest): { left: PlacedStage[]; right: PlacedStage[] } {
  return {
    left: stages.filter(({ span }) => span.endLayer === hole.firstLayer),
    right: stages.filter(({ span }) => span.firstLayer === hole.endLayer),
  }
}

function fillFromMemory(request: RepairRequest): PlacedStage[] | null {
  const { left, right } = neighbors(request)
  for (const { peerId, span } of [...left, ...right]) {
    const grown = join(span, request.hole)
    const loaded = request.loaded(peerId)
    if (loaded !== null && coversSpan(loaded, grown)) return [{ peerId, span: grown }]
  }
  return null
}

/** The first that can take it all. */
function fillWith(costs: ModelCosts, hole: Span, peers: readonly Capacity[]): PlacedStage[] | null {
  const peer = peers.find((candidate) => spanFits(costs, hole, candidate))
  return peer === undefined ? null : [{ peerId: peer.peerId, span: hole }]
}

/** One neighbor alone if it can, so that the other is left in peace; else one from each side. */
function growInto(request: RepairRequest): PlacedStage[] | null {
  const { costs, capacity, hole } = request
  const { left, right } = neighbors(request)
  const speed = ({ peerId }: PlacedStage) => capacity(peerId).macsPerSecond
  const alone = [...left, ...right]
    .filter(({ peerId, span }) => spanFits(costs, join(span, hole), capacity(peerId)))
    .sort((a, b) => speed(b) - speed(a))[0]
  if (alone !== undefined) return [{ peerId: alone.peerId, span: join(alone.span, hole) }]
  for (const a of left) {
    for (const b of right) {
      const leftMost =
        layersThatFit(costs, capacity(a.peerId), { ...endsOf(costs, a.span), last: false }, kvPositionsMin(costs)) -
        (a.span.endLayer - a.span.firstLayer)
      const border = hole.firstLayer + Math.min(Math.max(0, leftMost), hole.endLayer - hole.firstLayer)
      const spanOfB = { firstLayer: border, endLayer: b.span.endLayer }
      if (!spanFits(costs, spanOfB, capacity(b.peerId))) continue
      const both = [
        { peerId: a.peerId, span: { ...a.span, endLayer: border } },
        { peerId: b.peerId, span: spanOfB },
      ]
      return both
    }
  }
  return null
}

/**
 * One stage more: the stage with the most layers gives a part to a spare. What it keeps lies in its memory already, so
 * nothing stops. Null where no spare can take a part.
 */
export function splitLargest(
  costs: ModelCosts,
  stages: readonly PlacedStage[],
  capacity: (id: PeerId) => Capacity,
  spares: readonly Capacity[],
): PlacedStage[] | null {
  const size = ({ span }: PlacedStage) => span.endLayer - span.firstLayer
  for (const stage of [...stages].sort((a, b) => size(b) - size(a))) {
    for (const spare of bySpeed(spares)) {
      const parts = divide(costs, stage.span, [capacity(stage.peerId), spare]) ?? divide(costs, stage.span, [spare, capacity(stage.peerId)])
      if (parts !== null) return parts
    }
  }
  return null
}

function bySpeed(peers: readonly Capacity[]): Capacity[] {
  return [...peers].sort((a, b) => b.macsPerSecond - a.macsPerSecond)
}

function join(a: Span, b: Span): Span {
  return { firstLayer: Math.min(a.firstLayer, b.firstLayer), endLayer: Math.max(a.endLayer, b.endLayer) }
}
