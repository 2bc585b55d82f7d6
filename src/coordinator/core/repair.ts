/**
 * Repair: fills the holes of one planned chain with as little movement as possible. In this order: a neighbor that still has
 * the layers in its memory; a spare peer; neighbors that load more. Placing a broken chain anew is the plan's last resort.
 */

import type { Span } from '../../model/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { endsOf, kvPositionsMin, layersThatFit, type ModelCosts, spanFits } from './costs.ts'
import { covers } from './peers.ts'
import { type Capacity, divide, type PlacedStage } from './placement.ts'

export interface RepairRequest {
  readonly costs: ModelCosts
  /** In order of layers; may have holes. */
  readonly stages: readonly PlacedStage[]
  readonly capacity: (peerId: PeerId) => Capacity
  /** The span of this model in the peer's memory. */
  readonly loaded: (peerId: PeerId) => Span | null
  readonly spares: readonly Capacity[]
  /** Whether neighbors may be asked to load more, which keeps them from new sessions meanwhile. */
  readonly mayGrow: boolean
}

/** Layers that no stage has. */
export function holesOf(layerCount: number, stages: readonly PlacedStage[]): Span[] {
  const holes: Span[] = []
  let firstLayer = 0
  for (const { span } of stages) {
    if (span.firstLayer > firstLayer) holes.push({ firstLayer, endLayer: span.firstLayer })
    firstLayer = span.endLayer
  }
  if (firstLayer < layerCount) holes.push({ firstLayer, endLayer: layerCount })
  return holes
}

/** The chain without holes, or null where there is not enough to make it whole now. */
export function repair(request: RepairRequest): PlacedStage[] | null {
  const { costs, mayGrow } = request
  let stages = [...request.stages]
  let spares = [...request.spares]
  for (let hole = holesOf(costs.layerCount, stages)[0]; hole !== undefined; hole = holesOf(costs.layerCount, stages)[0]) {
    const filled =
      fillFromMemory(request, stages, hole) ??
      fillWithSpare(costs, stages, hole, spares) ??
      (mayGrow ? growInto(request, stages, hole) : null)
    if (filled === null) return null
    stages = filled
    const used = new Set(filled.map((stage) => stage.peerId))
    spares = spares.filter((spare) => !used.has(spare.peerId))
  }
  return stages
}

function neighbors(stages: readonly PlacedStage[], hole: Span): { left: PlacedStage | undefined; right: PlacedStage | undefined } {
  return {
    left: stages.find(({ span }) => span.endLayer === hole.firstLayer),
    right: stages.find(({ span }) => span.firstLayer === hole.endLayer),
  }
}

function replaceSpan(stages: readonly PlacedStage[], peerId: PeerId, span: Span): PlacedStage[] {
  return stages.map((stage) => (stage.peerId === peerId ? { peerId, span } : stage))
}

function fillFromMemory(request: RepairRequest, stages: readonly PlacedStage[], hole: Span): PlacedStage[] | null {
  const { left, right } = neighbors(stages, hole)
  for (const neighbor of [left, right]) {
    if (neighbor === undefined) continue
    const span = join(neighbor.span, hole)
    const loaded = request.loaded(neighbor.peerId)
    if (loaded !== null && covers(loaded, span)) return replaceSpan(stages, neighbor.peerId, span)
  }
  return null
}

/** The fastest spare that can take it all. */
function fillWithSpare(costs: ModelCosts, stages: readonly PlacedStage[], hole: Span, spares: readonly Capacity[]): PlacedStage[] | null {
  const [best] = spares.filter((spare) => spanFits(costs, hole, spare)).sort((a, b) => b.macsPerSecond - a.macsPerSecond)
  return best === undefined ? null : inOrder([...stages, { peerId: best.peerId, span: hole }])
}

/** One neighbor alone if it can, so that the other is left in peace; else both. */
function growInto(request: RepairRequest, stages: readonly PlacedStage[], hole: Span): PlacedStage[] | null {
  const { costs, capacity } = request
  const { left, right } = neighbors(stages, hole)
  const alone = [left, right]
    .filter((neighbor) => neighbor !== undefined)
    .filter(({ peerId, span }) => spanFits(costs, join(span, hole), capacity(peerId)))
    .sort((a, b) => capacity(b.peerId).macsPerSecond - capacity(a.peerId).macsPerSecond)[0]
  if (alone !== undefined) return replaceSpan(stages, alone.peerId, join(alone.span, hole))
  if (left === undefined || right === undefined) return null
  const leftMost =
    layersThatFit(costs, capacity(left.peerId), { ...endsOf(costs, left.span), last: false }, kvPositionsMin(costs)) -
    (left.span.endLayer - left.span.firstLayer)
  const taken = Math.min(Math.max(0, leftMost), hole.endLayer - hole.firstLayer)
  const border = hole.firstLayer + taken
  const rightSpan = { firstLayer: border, endLayer: right.span.endLayer }
  if (!spanFits(costs, rightSpan, capacity(right.peerId))) return null
  return replaceSpan(replaceSpan(stages, left.peerId, { ...left.span, endLayer: border }), right.peerId, rightSpan)
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
    for (const spare of [...spares].sort((a, b) => b.macsPerSecond - a.macsPerSecond)) {
      const parts = divide(costs, stage.span, [capacity(stage.peerId), spare]) ?? divide(costs, stage.span, [spare, capacity(stage.peerId)])
      if (parts !== null) return inOrder([...stages.filter((other) => other !== stage), ...parts])
    }
  }
  return null
}

function join(a: Span, b: Span): Span {
  return { firstLayer: Math.min(a.firstLayer, b.firstLayer), endLayer: Math.max(a.endLayer, b.endLayer) }
}

function inOrder(stages: PlacedStage[]): PlacedStage[] {
  return stages.sort((a, b) => a.span.firstLayer - b.span.firstLayer)
}
