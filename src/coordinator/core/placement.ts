/**
 * Placement: who gets which layers. Pure arithmetic over capacities; keeping what is there and repairing it is the plan's
 * matter (plan.ts). Fewest stages that fit, since each hop costs a lap its delay; within them each next layer goes to
 * whoever would be done first, so that layers follow measured speed and the head counts as work.
 */

import type { Manifest, Span } from '../../model/index.ts'
import { STAGES_MAX } from '../../protocol/index.ts'
import { assert, type PeerId, required } from '../../shared/index.ts'
import { costsOf, endsOf, fixedBytes, kvPositionsMin, layersThatFit, type ModelCosts, type Room, type WeightForm } from './costs.ts'
import { CoordinatorError } from './errors.ts'
import { KV_POSITIONS_WANTED } from './limits.ts'

export interface Capacity extends Room {
  readonly peerId: PeerId
  readonly macsPerSecond: number
}

export interface PlacedStage {
  readonly peerId: PeerId
  readonly span: Span
}

/**
 * A chain over all layers out of `peers`, of at least `stagesMin` stages, or null where they cannot hold the model. Takes
 * the fastest peers where they fit, else the largest.
 */
export function placeChain(costs: ModelCosts, peers: readonly Capacity[], stagesMin: number): PlacedStage[] | null {
  const whole = { firstLayer: 0, endLayer: costs.layerCount }
  const bySpeed = [...peers].sort((a, b) => b.macsPerSecond - a.macsPerSecond)
  const byMemory = [...peers].sort((a, b) => b.memoryBytes - a.memoryBytes)
  const stagesMax = Math.min(peers.length, costs.layerCount, STAGES_MAX)
  for (let stages = Math.max(1, stagesMin); stages <= stagesMax; stages++) {
    for (const ranked of [bySpeed, byMemory]) {
      const placed = divide(costs, whole, largestAtTheEnds(ranked.slice(0, stages)))
      if (placed !== null) return placed
    }
  }
  return null
}

/**
 * `range` cut into one span for each of `peers`, in their order, each at least one layer and within its memory; null where
 * that cannot be. With as much KV as they can all have, out of three sizes.
 */
export function divide(costs: ModelCosts, range: Span, peers: readonly Capacity[]): PlacedStage[] | null {
  const layers = range.endLayer - range.firstLayer
  if (peers.length === 0 || layers < peers.length) return null
  for (const kvPositions of kvSizes(costs)) {
    const counts = shareLayers(costs, range, peers, kvPositions)
    if (counts === null) continue
    let firstLayer = range.firstLayer
    return peers.map(({ peerId }, index) => {
      const span = { firstLayer, endLayer: firstLayer + (counts[index] ?? 0) }
      firstLayer = span.endLayer
      return { peerId, span }
    })
  }
  return null
}

/** Stages of the shortest chain of peers like this one, at least `stagesMin`; Infinity where it holds no layer of an end or between. */
export function stagesNeeded(costs: ModelCosts, peer: Capacity, stagesMin: number): number {
  const { layerCount } = costs
  const most = (first: boolean, last: boolean) => layersThatFit(costs, peer, { first, last }, kvPositionsMin(costs))
  const least = Math.min(stagesMin, layerCount)
  if (least === 1 && most(true, true) >= layerCount) return 1
  const between = Math.max(0, layerCount - most(true, false) - most(false, true))
  return Math.max(least, 2 + (between === 0 ? 0 : Math.ceil(between / most(false, false))))
}

/**
 * Layers divided among as few peers like this one as hold them, at least `stagesMin` for a whole model; empty where they cannot.
 */
export function evenSpans(costs: ModelCosts, range: Span, peer: Capacity, stagesMin: number): Span[] {
  const layers = range.endLayer - range.firstLayer
  const stages =
    layers === costs.layerCount
      ? stagesNeeded(costs, peer, stagesMin)
      : Math.ceil(layers / layersThatFit(costs, peer, { first: false, last: false }, kvPositionsMin(costs)))
  if (stages < 1 || stages > Math.min(layers, STAGES_MAX)) return []
  const alike = Array.from({ length: stages }, () => peer)
  return divide(costs, range, alike)?.map(({ span }) => span) ?? []
}

/** A span with as many more layers on both sides as leave so much KV, and the least: what each does may be chosen session by session. */
export function widened(costs: ModelCosts, span: Span, peer: Capacity, kvWanted: number): Span {
  const kvPositions = Math.max(kvWanted, kvPositionsMin(costs))
  const fits = (wide: Span) => layersThatFit(costs, peer, endsOf(costs, wide), kvPositions) >= wide.endLayer - wide.firstLayer
  let wide = span
  for (let grows = true; grows; ) {
    grows = false
    const left = { ...wide, firstLayer: Math.max(0, wide.firstLayer - 1) }
    if (left.firstLayer > 0 && left.firstLayer < wide.firstLayer && fits(left)) [wide, grows] = [left, true]
    const right = { ...wide, endLayer: wide.endLayer + 1 }
    if (right.endLayer < costs.layerCount && fits(right)) [wide, grows] = [right, true]
  }
  return wide
}

/**
 * The largest spans that a peer holds, at each place, none inside another; at most a layer more than a chain of `stagesMin`
 * stages would give each by work.
 */
export function joinSpans(costs: ModelCosts, peer: Capacity, stagesMin: number): Span[] {
  const { layerCount, macsPerLayer, headMacs } = costs
  const shareMacs = (layerCount * macsPerLayer + headMacs) / Math.min(stagesMin, layerCount) + (stagesMin > 1 ? macsPerLayer : 0)
  const most = (first: boolean, last: boolean) => {
    const byWork = stagesMin === 1 ? layerCount : Math.ceil((shareMacs - (last ? headMacs : 0)) / macsPerLayer) - 1
    return Math.min(layerCount, layersThatFit(costs, peer, { first, last }, kvPositionsMin(costs)), Math.max(1, byWork))
  }
  const spans: Span[] = []
  for (let firstLayer = 0; firstLayer < layerCount; firstLayer++) {
    const first = firstLayer === 0
    const reachesEnd = firstLayer + most(first, true) >= layerCount
    const endLayer = reachesEnd ? layerCount : Math.min(layerCount - 1, firstLayer + most(first, false))
    if (endLayer > Math.max(firstLayer, spans.at(-1)?.endLayer ?? 0)) spans.push({ firstLayer, endLayer })
    if (reachesEnd) break
  }
  return spans
}

/** How much KV a division may give everybody, most first. */
function kvSizes(costs: ModelCosts): readonly number[] {
  const least = kvPositionsMin(costs)
  const most = Math.max(least, Math.min(KV_POSITIONS_WANTED, costs.contextLength))
  return [most, Math.max(least, Math.floor(most / 2)), least]
}

/** Layers of each peer, or null. */
function shareLayers(costs: ModelCosts, range: Span, peers: readonly Capacity[], kvPositions: number): number[] | null {
  const shares = peers.map((peer, index) => {
    const ends = {
      first: range.firstLayer === 0 && index === 0,
      last: range.endLayer === costs.layerCount && index === peers.length - 1,
    }
    return {
      layers: 1,
      layersMax: layersThatFit(costs, peer, ends, kvPositions),
      macs: costs.macsPerLayer + (ends.last ? costs.headMacs : 0),
      macsPerSecond: Math.max(1, peer.macsPerSecond),
    }
  })
  if (shares.some((share) => share.layersMax < 1)) return null
  for (let left = range.endLayer - range.firstLayer - shares.length; left > 0; left--) {
    let best: (typeof shares)[number] | null = null
    let bestSeconds = Number.POSITIVE_INFINITY
    for (const share of shares) {
      const seconds = (share.macs + costs.macsPerLayer) / share.macsPerSecond
      if (share.layers < share.layersMax && seconds < bestSeconds) [best, bestSeconds] = [share, seconds]
    }
    if (best === null) return null
    best.layers++
    best.macs += costs.macsPerLayer
  }
  return shares.map((share) => share.layers)
}

/** The ends hold embedding and head beside their layers. */
function largestAtTheEnds(peers: readonly Capacity[]): Capacity[] {
  const [last, first, ...middle] = [...peers].sort((a, b) => b.memoryBytes - a.memoryBytes)
  return [...(first === undefined ? [] : [first]), ...middle, ...(last === undefined ? [] : [last])]
}

/** How many more bytes `peers` must pledge before the model has a home; 0 when it has one. */
export function missingBytes(costs: ModelCosts, peers: readonly Capacity[]): number {
  if (placeChain(costs, peers, 1) !== null) return 0
  const kvPositions = kvPositionsMin(costs)
  // As GPUs count it: who else might come is not known, and most have one.
  const form = costs.forms.blocks
  const perLayer = form.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer
  const ordered = largestAtTheEnds(peers).slice(-STAGES_MAX)
  const layers = ordered.reduce((sum, peer, index) => {
    const ends = { first: index === 0 && ordered.length > 1, last: index === ordered.length - 1 }
    return sum + layersThatFit(costs, peer, ends, kvPositions)
  }, 0)
  if (layers >= costs.layerCount) return perLayer // Enough memory, badly cut: one more layer's worth makes the difference.
  const ends = layers === 0 ? fixedBytes(form, { first: true, last: true }) : 0
  return (costs.layerCount - layers) * perLayer + ends
}

/**
 * The least pledge with which `stages` equal peers hold the model and sessions of `positions`, bytes; as long ones as are
 * served at all, where that is shorter. Throws a CoordinatorError where the model has fewer layers.
 */
export function smallestPledgeBytes(manifest: Manifest, stages: number, positions = 0, weightForm: WeightForm = 'blocks'): number {
  const costs = costsOf(manifest)
  if (stages > costs.layerCount)
    throw new CoordinatorError('too-many-stages', `${manifest.id} has ${costs.layerCount} layers: it cannot be cut into ${stages} stages`)
  const kvPositions = kvSizes(costs).findLast((size) => size >= positions) ?? required(kvSizes(costs)[0], 'a KV size')
  const fits = (memoryBytes: number) => {
    const peers = Array.from({ length: stages }, () => ({ peerId: '' as PeerId, memoryBytes, weightForm, macsPerSecond: 1 }))
    return shareLayers(costs, { firstLayer: 0, endLayer: costs.layerCount }, peers, kvPositions) !== null
  }
  let [tooFew, enough] = [0, 2 ** 50]
  assert(fits(enough), `${stages} stages of ${costs.layerCount} layers do not fit into ${enough} bytes`)
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2)
    if (fits(middle)) enough = middle
    else tooFew = middle
  }
  return enough
}
