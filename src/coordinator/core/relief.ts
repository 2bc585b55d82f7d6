/**
 * Relief: a peer that nobody can do without, though it would help more elsewhere, may go once another has taken over its layers. So where no
 * single move helps, two may. Nobody stops serving for it: the second peer stays until the first serves (orders.ts).
 */

import { coversSpan, type Span } from '../../model/index.ts'
import { type PeerId, required } from '../../shared/index.ts'
import { spanFits } from './costs.ts'
import { dispensable, joinsAfterMove, leastGain, type Move, type Newcomer, placesIn } from './improve.ts'
import type { Place, Swarm } from './swarm.ts'

/** Among more peers single moves come near enough to the bound, and pairs are too many to look at. */
const PEERS_MAX = 16

/** Two moves, the first of which makes the second possible. */
type Relief = readonly [Move, Move]

/** The two moves that together help most; null where none are worth it. */
export function bestRelief(swarms: readonly Swarm[], newcomer: (peerId: PeerId) => Newcomer, stagesMin: number): Relief | null {
  const whole = swarms.filter((swarm) => swarm.isWhole())
  if (whole.reduce((sum, { size }) => sum + size, 0) > PEERS_MAX) return null
  const tried = new Set<string>()
  let best: Relief | null = null
  for (const { peerId, from } of dispensable(whole)) {
    const mover = newcomer(peerId)
    for (const swarm of whole) {
      for (const span of reliefsIn(swarm, peerId, mover, stagesMin)) {
        // Many are alike, and what one can gain the others can.
        const kind = JSON.stringify([from.model.modelId, from.places().get(peerId), swarm.model.modelId, span])
        if (tried.has(kind)) continue
        tried.add(kind)
        const place = { span, region: mover.region, macsPerSecond: mover.capacity.macsPerSecond }
        const relief = bestSecond(whole, { peerId, from, swarm, place }, newcomer, stagesMin)
        if (relief !== null && (best === null || gainOf(relief) > gainOf(best))) best = relief
      }
    }
  }
  return best
}

function gainOf([first, second]: Relief): number {
  return first.gain + second.gain
}

/** Spans that take over what some peer alone holds. */
function reliefsIn(swarm: Swarm, peerId: PeerId, mover: Newcomer, stagesMin: number): Span[] {
  const { costs } = swarm.model
  const places = placesIn(swarm, mover, stagesMin).map(({ span }) => span)
  return [...swarm.places()].flatMap(([other, { span }]) => {
    const alone = other === peerId ? null : swarm.heldAloneBy(other)
    if (alone === null) return []
    return [...[span, alone].filter((own) => spanFits(costs, own, mover.capacity)), ...places.filter((wide) => coversSpan(wide, alone))]
  })
}

interface FirstMove {
  readonly peerId: PeerId
  readonly from: Swarm
  readonly swarm: Swarm
  readonly place: Place
}

/** The first move and the best that it makes possible; null where both together are not worth two loads. */
function bestSecond(
  whole: readonly Swarm[],
  { peerId, from, swarm, place }: FirstMove,
  newcomer: (peerId: PeerId) => Newcomer,
  stagesMin: number,
): Relief | null {
  const swarms = whole.map((one) => (one === from || one === swarm ? one.copy() : one))
  const copyOf = (one: Swarm) => required(swarms[whole.indexOf(one)], 'a copy')
  const [left, joined] = [copyOf(from), copyOf(swarm)]
  const demandOf = (one: Swarm) => (one === left && left !== joined ? one.demand.most : one.demand.lasting)
  const scarcityOf = () => swarms.reduce((sum, one) => sum + one.scarcity(demandOf(one)), 0)
  const before = scarcityOf()
  left.drop(peerId)
  joined.put(peerId, place)
  left.settle()
  joined.settle()
  if (!left.isWhole()) return null
  const first: Move = { peerId, swarm, place, gain: before - scarcityOf() }
  let best: Relief | null = null
  for (const other of joined.peerIds()) {
    if (other === peerId || swarm.isRedundant(other) || !joined.isRedundant(other)) continue
    const relieved = newcomer(other)
    const firstMin = leastGain(swarms, before, first)
    for (const join of joinsAfterMove(other, joined, swarms, relieved, stagesMin)) {
      const least = firstMin + leastGain(swarms, before, join)
      if (first.gain + join.gain < Math.max(least, best === null ? 0 : gainOf(best))) continue
      best = [first, { ...join, peerId: other, swarm: required(whole[swarms.indexOf(join.swarm)], 'a swarm') }]
    }
  }
  return best
}
