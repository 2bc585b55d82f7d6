/**
 * Improve: where one peer more helps the swarms most, and which one peer would help more elsewhere. Several models compete by
 * how scarce their throughput is beside their demand. A move is reckoned at its worst: where a peer would come the demand that lasts counts,
 * where it would be missed the most that there may be.
 */

import type { Span } from '../../model/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { SCARCITY_EXPONENT } from './balance.ts'
import { downloadBytes, spanFits } from './costs.ts'
import { KV_POSITIONS_WANTED, LOAD_BYTES_PER_SECOND } from './limits.ts'
import { type Capacity, joinSpans, widened } from './placement.ts'
import type { Place, Swarm } from './swarm.ts'

export interface Join {
  readonly swarm: Swarm
  readonly place: Place
  /** By how much all scarcities together fall. */
  readonly gain: number
}

export interface Move extends Join {
  readonly peerId: PeerId
}

interface BusyMove extends Move {
  readonly sessions: number
}

/** Gains closer than this are equal: then the place that was found first counts, or of spans of one length the one held by fewer. */
const GAIN_RESOLUTION = 0.03
/** A move must help by this part of what a peer of its speed contributes on average: shares and speeds are known no better. */
const MOVE_GAIN_MIN = 0.05
/** A peer that moves contributes nothing while it loads; it must give back as much while the demand lasts. */
const DEMAND_LASTS_SECONDS = 1_200
/**
 * Scarcity where there is a sixth more than is wanted. Contributions count for no less: of what nobody wants a better share helps nobody,
 * while a peer that nobody else could stand in for (CRITICAL_COST) is worth a move always.
 */
const SCARCITY_MIN = 0.2
/** Peers whose move is considered at a time. */
const MOVES_TRIED_MAX = 12

/** Among so few peers each counts: places between the borders are looked at too. */
const FEW = 24

/** A peer that wants a place. */
export interface Newcomer {
  readonly capacity: Capacity
  readonly region: number
  /** Open over it: they have to end before it loads other layers. */
  readonly sessions: number
}

/** Where a peer was before it went away. */
export interface FormerPlace {
  readonly swarm: Swarm
  readonly span: Span
}

/**
 * The place where a peer helps most among swarms that are whole, or the one where it was before, where another would not pay for its load;
 * null where it fits into none.
 */
export function bestJoin(swarms: readonly Swarm[], newcomer: Newcomer, stagesMin: number, formerly: FormerPlace | null): Join | null {
  const whole = swarms.filter((swarm) => swarm.isWhole())
  let best: Join | null = null
  for (const swarm of whole) {
    for (const joining of placesIn(swarm, newcomer, stagesMin)) {
      const join = { swarm, place: joining, gain: swarm.gainOf({ joining }, swarm.demand.most) }
      if (best === null || isBetter(join, best)) best = join
    }
  }
  const again = formerly === null ? null : joinAgain(formerly, newcomer)
  if (again === null || best === null) return again ?? best
  const scarcity = whole.reduce((sum, swarm) => sum + swarm.scarcity(swarm.demand.most), 0)
  return best.gain - again.gain < leastGain(swarms, scarcity, best) ? again : best
}

function joinAgain({ swarm, span }: FormerPlace, { capacity, region }: Newcomer): Join | null {
  if (!swarm.isWhole() || !spanFits(swarm.model.costs, span, capacity)) return null
  const place = { span, region, macsPerSecond: capacity.macsPerSecond }
  return { swarm, place, gain: swarm.gainOf({ joining: place }, swarm.demand.most) }
}

/** The one move that helps most, of peers that others can do without; null where none is worth it. */
export function bestMove(swarms: readonly Swarm[], newcomer: (peerId: PeerId) => Newcomer, stagesMin: number): Move | null {
  const whole = swarms.filter((swarm) => swarm.isWhole())
  const scarcity = whole.reduce((sum, swarm) => sum + swarm.scarcity(swarm.demand.lasting), 0)
  // Many are alike, and what one can gain the others can.
  const joinsOf = new Map<string, readonly Join[]>()
  let best: BusyMove | null = null
  for (const { peerId, from } of dispensable(swarms)) {
    const mover = newcomer(peerId)
    const kind = JSON.stringify([swarms.indexOf(from), from.places().get(peerId), mover.region, { ...mover.capacity, peerId: null }])
    const joins = joinsOf.get(kind) ?? joinsAfterMove(peerId, from, whole, mover, stagesMin)
    joinsOf.set(kind, joins)
    for (const join of joins) {
      const move = { peerId, sessions: mover.sessions, ...join }
      if (join.gain >= leastGain(swarms, scarcity, join) && (best === null || isBetterMove(move, best))) best = move
    }
  }
  return best
}

/** What makes it worth its load that a peer takes the place. `scarcity`: of all swarms together. */
export function leastGain(swarms: readonly Swarm[], scarcity: number, { swarm, place }: Omit<Join, 'gain'>): number {
  const speed = swarms.reduce((sum, { macsPerSecond }) => sum + macsPerSecond, 0)
  const contribution = (SCARCITY_EXPONENT * Math.max(scarcity, SCARCITY_MIN) * place.macsPerSecond) / speed
  const loadSeconds = downloadBytes(swarm.model.costs, place.span) / LOAD_BYTES_PER_SECOND
  return contribution * Math.max(MOVE_GAIN_MIN, loadSeconds / DEMAND_LASTS_SECONDS)
}

/** Wherever the peer could go, and what all swarms together gain by it. */
export function joinsAfterMove(peerId: PeerId, from: Swarm, swarms: readonly Swarm[], mover: Newcomer, stagesMin: number): Join[] {
  const loss = -from.gainOf({ without: peerId }, from.demand.most)
  return swarms.flatMap((swarm) =>
    placesIn(swarm, mover, stagesMin).map((joining) => {
      const { lasting } = swarm.demand
      const gain = swarm === from ? swarm.gainOf({ without: peerId, joining }, lasting) : swarm.gainOf({ joining }, lasting) - loss
      return { swarm, place: joining, gain }
    }),
  )
}

/**
 * Where the template of peers like it says, so that borders are few and chains short; also with more layers on both sides, which
 * takes room from KV; anywhere, where the template is too large for it. Better ones first, where they help alike.
 */
export function placesIn(swarm: Swarm, { capacity, region }: Newcomer, stagesMin: number): Place[] {
  const { costs } = swarm.model
  const template = swarm.template(capacity, stagesMin).filter((span) => spanFits(costs, span, capacity))
  const wide = stagesMin > 1 ? [] : [KV_POSITIONS_WANTED / 2, 0].flatMap((kv) => template.map((span) => widened(costs, span, capacity, kv)))
  const anywhere = template.length === 0 || swarm.size <= FEW ? joinSpans(costs, capacity, stagesMin) : []
  const spans = [...template, ...wide, ...anywhere]
  return spans.map((span) => ({ span, region, macsPerSecond: capacity.macsPerSecond }))
}

/** Peers that leave no hole, those first whose layers are best off without them. */
export function dispensable(swarms: readonly Swarm[]): { readonly peerId: PeerId; readonly from: Swarm }[] {
  const best: { readonly peerId: PeerId; readonly from: Swarm; readonly surplus: number }[] = []
  for (const from of swarms) {
    for (const { peerId, surplus } of from.redundant()) {
      if (surplus <= (best[MOVES_TRIED_MAX - 1]?.surplus ?? Number.NEGATIVE_INFINITY)) continue
      best.splice(best.findLastIndex((other) => other.surplus >= surplus) + 1, 0, { peerId, from, surplus })
      best.length = Math.min(best.length, MOVES_TRIED_MAX)
    }
  }
  return best
}

/** Of like moves that of who has fewer sessions. */
function isBetterMove(a: BusyMove, b: BusyMove): boolean {
  return areAlike(a, b) && a.sessions !== b.sessions ? a.sessions < b.sessions : isBetter(a, b)
}

function areAlike(a: Join, b: Join): boolean {
  return Math.abs(a.gain - b.gain) <= GAIN_RESOLUTION * Math.max(Math.abs(a.gain), Math.abs(b.gain))
}

/** `b` was found first. */
function isBetter(a: Join, b: Join): boolean {
  if (!areAlike(a, b)) return a.gain > b.gain
  return (
    a.place.span.endLayer - a.place.span.firstLayer === b.place.span.endLayer - b.place.span.firstLayer &&
    a.swarm.holdersOf(a.place.span) < b.swarm.holdersOf(b.place.span)
  )
}
