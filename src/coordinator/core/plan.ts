/**
 * Plan: which peer should hold which layers, over all models. Kept from event to event and changed as little as possible:
 * holes are repaired, models that nobody serves get a first chain, everybody else goes where throughput is scarcest, and from
 * time to time one peer moves. What peers really serve is in their records; the core turns the difference into orders.
 */

import { coversSpan, type Span, sameSpan } from '../../model/index.ts'
import { type ModelId, type PeerId, required } from '../../shared/index.ts'
import { downloadBytes, type ModelCosts, spanFits } from './costs.ts'
import type { Wanted } from './demand.ts'
import { bestJoin, bestMove } from './improve.ts'
import { GROWTH_GRACE_MS, HOP_ASSUMED_MS, MOVE_INTERVAL_MS, PEERS_MAX, PEERS_PER_MOVER } from './limits.ts'
import { isLate } from './loads.ts'
import { capacityOf, countedSpeed, isPlaceable, type PeerRecord } from './peers.ts'
import { type Capacity, joinSpans, type PlacedStage, placeChain } from './placement.ts'
import { bestRelief } from './relief.ts'
import { repair, splitLargest } from './repair.ts'
import type { Reserved } from './room.ts'
import { type Place, Swarm, type SwarmModel, type TokenDemand } from './swarm.ts'

export interface PlanInput {
  readonly peers: ReadonlyMap<PeerId, PeerRecord>
  readonly nowMs: number
  /** Who may have come, gone or become another since the last update; anybody unless told. */
  readonly changed?: ReadonlySet<PeerId>
  /** Who went deliberately, and is not waited for. */
  readonly left?: PeerId | null
  /** Sessions wanted of a model; 1 unless told. */
  readonly demand?: (modelId: ModelId) => Wanted
  /** Sessions open over each peer: it loads other layers only when they have ended. None unless told. */
  readonly sessionsOver?: () => ReadonlyMap<PeerId, Reserved>
}

/** What the plan wants of a peer. */
export interface PlannedSpan {
  readonly model: SwarmModel
  readonly span: Span
}

interface Home extends PlannedSpan {
  readonly swarm: Swarm
}

export class Plan {
  readonly #swarms: readonly Swarm[]
  readonly #stagesMin: number
  /** Of each peer that has a place. */
  readonly #homes = new Map<PeerId, Home>()
  /** Where those were who are away, the latest last: the layers may still be in their memory, or in their browser's storage. */
  readonly #formerHomes = new Map<PeerId, Home>()
  /** Swarms that nobody who is there can make whole. */
  readonly #hopeless = new Set<Swarm>()
  /** Demand for which moves were considered last. */
  readonly #settledDemands = new Map<Swarm, TokenDemand>()
  /** Who could be placed at the last update. */
  readonly #known = new Map<PeerId, Pick<Capacity, 'memoryBytes' | 'macsPerSecond'>>()
  /** Of all of those, multiply-accumulates a second. */
  #knownSpeed = 0
  /** Who cannot be placed before a while is over. */
  readonly #blocked = new Set<PeerId>()
  /** Since when a move may be worth it: somebody came, went or changed, or somebody moved. */
  #unsettledMs: number | null = null
  #nextMoveMs = 0
  /** Until peers or the demand change. */
  #reliefsLeft = RELIEFS_MAX
  /** Who was told to move, until they serve. */
  #movers: PeerId[] = []
  /** Who has a place and does not serve it yet. */
  readonly #loading = new Set<PeerId>()
  /** Whose places have changed since that was asked last. */
  #moved: PeerId[] = []

  constructor(models: readonly SwarmModel[], stagesMin: number) {
    this.#swarms = models.map((model) => new Swarm(model))
    this.#stagesMin = stagesMin
  }

  /** Whose places have changed since this was asked last. */
  takeMoved(): readonly PeerId[] {
    const moved = this.#moved
    this.#moved = []
    return moved
  }

  /** The layers that a peer should hold; null for a spare. */
  placeOf(peerId: PeerId): PlannedSpan | null {
    return this.#homes.get(peerId) ?? null
  }

  /** Follows what became of the peers and of the demand. */
  update(input: PlanInput): void {
    const changed = [...(input.changed ?? new Set([...input.peers.keys(), ...this.#known.keys()])), ...this.#blocked]
    const others = this.#meet(changed, input)
    const placed = this.#placed(changed)
    if (others) for (const swarm of this.#swarms) this.#dropLost(swarm, placed, input)
    this.#followPeers(placed, input)
    this.#followLoads(placed, input)
    this.#followDemand(this.#knownSpeed / Math.max(1, this.#known.size), input)
    for (const swarm of this.#swarms) if (!swarm.isWhole() && swarm.size > 0) this.#repair(swarm, input)
    for (const swarm of this.#swarms) if (!swarm.isWhole()) this.#placeAnew(swarm, input)
    for (const swarm of this.#swarms) this.#spread(swarm, input)
    if (this.#homes.size < this.#known.size) this.#placeSpares(input)
    this.#move(input)
  }

  /** Whether others can be placed than at the last update, or the same with other memory. */
  #meet(changed: readonly PeerId[], { peers, nowMs }: PlanInput): boolean {
    let others = false
    for (const peerId of changed) {
      const peer = peers.get(peerId)
      const known = this.#known.get(peerId)
      const isKnown = peer !== undefined && isPlaceable(peer, nowMs)
      if (isKnown) this.#known.set(peerId, { memoryBytes: peer.memoryBytes, macsPerSecond: peer.macsPerSecond })
      else this.#known.delete(peerId)
      if (!isKnown && peer !== undefined && nowMs < peer.blockedUntilMs) this.#blocked.add(peerId)
      else this.#blocked.delete(peerId)
      this.#knownSpeed += (isKnown ? peer.macsPerSecond : 0) - (known?.macsPerSecond ?? 0)
      others ||= (isKnown ? peer.memoryBytes : undefined) !== known?.memoryBytes
    }
    if (!others) return false
    this.#hopeless.clear()
    this.#unsettledMs ??= nowMs
    this.#reliefsLeft = RELIEFS_MAX
    return true
  }

  /** Those that have a place, in the order in which they got it. */
  #placed(peerIds: readonly PeerId[]): PeerId[] {
    const placed = peerIds.filter((peerId) => this.#homes.has(peerId))
    if (placed.length < 2) return placed
    const wanted = new Set(placed)
    return this.#swarms.flatMap((swarm) => swarm.peerIds().filter((peerId) => wanted.has(peerId)))
  }

  #dropLost(swarm: Swarm, placed: readonly PeerId[], { peers, nowMs, left }: PlanInput): void {
    let deliberate = false
    for (const peerId of placed) {
      const home = this.#homes.get(peerId)
      if (home?.swarm !== swarm) continue
      const peer = peers.get(peerId)
      if (peer !== undefined && isPlaceable(peer, nowMs) && spanFits(swarm.model.costs, home.span, peer)) continue
      this.#drop(peerId)
      if (peer === undefined || peer.pledge === null) this.#remember(peerId, home)
      deliberate ||= peerId === left
    }
    if (swarm.isWhole()) swarm.brokenSinceMs = null
    else if (deliberate) swarm.brokenSinceMs = nowMs - GROWTH_GRACE_MS
    else swarm.brokenSinceMs ??= nowMs
  }

  /** Speeds and regions as they are known now. */
  #followPeers(placed: readonly PeerId[], input: PlanInput): void {
    for (const peerId of placed) {
      const home = this.#homes.get(peerId)
      if (home?.swarm.follow(peerId, placeFor(input, peerId, home.span)) === true) this.#unsettledMs ??= input.nowMs
    }
  }

  /** Who loads for so long that others could do it sooner is not waited for, though it goes on; who serves at last counts like everybody. */
  #followLoads(placed: readonly PeerId[], { peers, nowMs }: PlanInput): void {
    for (const peerId of placed) this.#loading.add(peerId)
    for (const peerId of this.#loading) {
      const home = this.#homes.get(peerId)
      const isServed = home === undefined || this.#serves(peerId, peers)
      if (isServed) this.#loading.delete(peerId)
      if (home === undefined) continue
      const { swarm, model, span } = home
      const order = peers.get(peerId)?.order ?? null
      const isItsLoad = order?.modelId === model.modelId && sameSpan(order.span, span)
      if (isServed && swarm.isLate(peerId)) {
        swarm.setLate(peerId, false)
        if (swarm.isWhole()) swarm.brokenSinceMs = null
        this.#unsettledMs ??= nowMs
      } else if (!isServed && isItsLoad && !swarm.isLate(peerId) && isLate(order, downloadBytes(model.costs, span), nowMs)) {
        swarm.setLate(peerId, true)
        this.#hopeless.delete(swarm)
        // It was waited for long enough.
        if (!swarm.isWhole()) swarm.brokenSinceMs ??= nowMs - GROWTH_GRACE_MS
      }
    }
  }

  /** `speed`: multiply-accumulates a second of a peer, on average. */
  #followDemand(speed: number, { nowMs, demand }: PlanInput): void {
    for (const swarm of this.#swarms) {
      // As many tokens as the sessions could take if each had a near peer of average speed with the whole model to itself.
      const tokenSeconds = swarm.tokenMacs / Math.max(1, speed) + (2 * HOP_ASSUMED_MS) / 1_000
      const { most, lasting, inVain } = demand?.(swarm.model.modelId) ?? { most: 1, lasting: 1, inVain: 0 }
      // Where room for sessions is scarcer than speed, what is there does for those that are open, however fast it is.
      const least = inVain === 0 ? 0 : swarm.level() * (1 + inVain)
      swarm.demand = { most: Math.max(most / tokenSeconds, least), lasting: Math.max(lasting / tokenSeconds, least) }
      const settled = this.#settledDemands.get(swarm) ?? { most: 1, lasting: 1 }
      if (isNear(swarm.demand.most, settled.most) && isNear(swarm.demand.lasting, settled.lasting)) continue
      this.#settledDemands.set(swarm, swarm.demand)
      this.#unsettledMs ??= nowMs
      this.#reliefsLeft = RELIEFS_MAX
    }
  }

  #repair(swarm: Swarm, input: PlanInput): void {
    const { peers, nowMs } = input
    const { modelId, costs } = swarm.model
    for (const hole of swarm.holes()) {
      const stages = repair({
        costs,
        stages: swarm.stages(),
        hole,
        spares: this.#spares(input),
        redundant: this.#redundant(input),
        capacity: (peerId) => capacity(peers, peerId),
        loaded(peerId) {
          const loaded = peers.get(peerId)?.loaded
          return loaded?.modelId === modelId ? loaded.span : null
        },
        mayGrow: nowMs - (swarm.brokenSinceMs ?? nowMs) >= GROWTH_GRACE_MS,
      })
      if (stages === null) return
      this.#put(swarm, this.#widen(swarm, stages, hole, input), input)
    }
    swarm.brokenSinceMs = null
  }

  /** Who loads for a hole alone may as well hold the layers around it that are scarcest. */
  #widen(swarm: Swarm, stages: readonly PlacedStage[], hole: Span, input: PlanInput): readonly PlacedStage[] {
    const [only, second] = stages
    if (only === undefined || second !== undefined || !sameSpan(only.span, hole)) return stages
    const wide = joinSpans(swarm.model.costs, capacity(input.peers, only.peerId), this.#stagesMin).filter((span) => coversSpan(span, hole))
    const place = (span: Span) => placeFor(input, only.peerId, span)
    const [best] = wide
      .map((span) => ({ span, gain: swarm.gainOf({ joining: place(span) }, swarm.demand.most) }))
      .sort((a, b) => b.gain - a.gain)
    return best === undefined ? stages : [{ peerId: only.peerId, span: best.span }]
  }

  /**
   * A model that nobody serves, or whose holes cannot be repaired, gets a chain of its members but the late, of spares, and where these are
   * too few of peers that others can do without.
   */
  #placeAnew(swarm: Swarm, input: PlanInput): void {
    const { peers, nowMs } = input
    const waits = swarm.size > 0 && nowMs - (swarm.brokenSinceMs ?? nowMs) < GROWTH_GRACE_MS
    if (waits || this.#hopeless.has(swarm)) return
    const members = swarm.peerIds().filter((peerId) => !swarm.isLate(peerId))
    const pool = [...members.map((peerId) => capacity(peers, peerId)), ...this.#spares(input)]
    const stages = this.#firstChain(swarm.model.costs, pool) ?? this.#draft(swarm, pool, input)
    if (stages === null) {
      this.#hopeless.add(swarm)
      return
    }
    for (const peerId of members) this.#drop(peerId)
    this.#put(swarm, stages, input)
    swarm.brokenSinceMs = null
  }

  /** A first chain with the help of other swarms' peers that leave no hole; about as few as it takes. */
  #draft(swarm: Swarm, pool: readonly Capacity[], input: PlanInput): PlacedStage[] | null {
    const drafted: { readonly from: Swarm; readonly stage: PlacedStage }[] = []
    const tryChain = () => this.#firstChain(swarm.model.costs, [...pool, ...drafted.map((one) => capacity(input.peers, one.stage.peerId))])
    let stages: PlacedStage[] | null = null
    for (const { peerId } of this.#redundant(input)) {
      const { swarm: from, span } = required(this.#homes.get(peerId), `the place of ${peerId}`)
      if (from === swarm || !from.isRedundant(peerId)) continue
      drafted.push({ from, stage: { peerId, span } })
      this.#drop(peerId)
      // Each try looks at all: so only as their number doubles.
      if ((drafted.length & (drafted.length - 1)) === 0) stages = tryChain()
      if (stages !== null) break
    }
    if (drafted.length > 0) stages ??= tryChain()
    const used = new Set(stages?.map(({ peerId }) => peerId))
    for (const { from, stage } of drafted) if (!used.has(stage.peerId)) this.#put(from, [stage], input)
    return stages
  }

  #spread(swarm: Swarm, input: PlanInput): void {
    const { peers } = input
    const { costs } = swarm.model
    while (swarm.isWhole() && swarm.size < Math.min(this.#stagesMin, costs.layerCount)) {
      const stages = splitLargest(costs, swarm.stages(), (peerId) => capacity(peers, peerId), this.#spares(input))
      if (stages === null) return
      this.#put(swarm, stages, input)
    }
  }

  #placeSpares(input: PlanInput): void {
    for (const spare of this.#spares(input).sort((a, b) => b.macsPerSecond - a.macsPerSecond)) {
      const region = required(input.peers.get(spare.peerId), `peer ${spare.peerId}`).region
      const formerly = this.#formerHomes.get(spare.peerId) ?? null
      const join = bestJoin(this.#swarms, { capacity: spare, region, sessions: 0 }, this.#stagesMin, formerly)
      if (join !== null) this.#put(join.swarm, [{ peerId: spare.peerId, span: join.place.span }], input)
    }
  }

  /** One peer after the other, or two that make room for each other, few at a time; a look that finds nothing to improve is not repeated soon. */
  #move(input: PlanInput): void {
    const { peers, nowMs } = input
    const moversMax = 1 + Math.floor(this.#known.size / PEERS_PER_MOVER)
    this.#movers = this.#movers.filter((peerId) => this.#homes.get(peerId)?.swarm.isLate(peerId) === false && !this.#serves(peerId, peers))
    if (this.#unsettledMs === null || this.#movers.length >= moversMax || nowMs < this.#nextMoveMs) return
    if (nowMs - this.#unsettledMs < MOVE_INTERVAL_MS / moversMax) return
    const over = input.sessionsOver?.()
    const newcomer = (peerId: PeerId) => {
      const peer = required(peers.get(peerId), `peer ${peerId}`)
      return { capacity: capacityOf(peer), region: peer.region, sessions: sessionsAt(over, peerId) }
    }
    const move = bestMove(this.#swarms, newcomer, this.#stagesMin)
    const relief = move === null && this.#reliefsLeft > 0 ? bestRelief(this.#swarms, newcomer, this.#stagesMin) : null
    if (relief !== null) this.#reliefsLeft--
    const moves = move === null ? (relief ?? []) : [move]
    this.#nextMoveMs = nowMs + MOVE_INTERVAL_MS / (moves.length === 0 ? 1 : moversMax)
    this.#unsettledMs = moves.length === 0 ? null : nowMs
    for (const { swarm, peerId, place } of moves) {
      this.#put(swarm, [{ peerId, span: place.span }], input)
      this.#movers.push(peerId)
    }
  }

  #serves(peerId: PeerId, peers: ReadonlyMap<PeerId, PeerRecord>): boolean {
    const place = required(this.placeOf(peerId), `the place of ${peerId}`)
    const served = peers.get(peerId)?.served
    return served?.modelId === place.model.modelId && coversSpan(served.span, place.span)
  }

  /** Wherever the peers were before. */
  #put(swarm: Swarm, stages: readonly PlacedStage[], input: PlanInput): void {
    for (const { peerId, span } of stages) {
      this.#drop(peerId)
      this.#homes.set(peerId, { swarm, model: swarm.model, span })
      this.#formerHomes.delete(peerId)
      this.#loading.add(peerId)
      this.#moved.push(peerId)
      swarm.put(peerId, placeFor(input, peerId, span))
    }
  }

  #drop(peerId: PeerId): void {
    this.#homes.get(peerId)?.swarm.drop(peerId)
    if (this.#homes.delete(peerId)) this.#moved.push(peerId)
  }

  #remember(peerId: PeerId, home: Home): void {
    this.#formerHomes.set(peerId, home)
    const [oldest] = this.#formerHomes.keys()
    if (this.#formerHomes.size > PEERS_MAX && oldest !== undefined) this.#formerHomes.delete(oldest)
  }

  /** With too few stages rather than none: what is too small to share the model must not keep it from those that are not. */
  #firstChain(costs: ModelCosts, peers: readonly Capacity[]): PlacedStage[] | null {
    return placeChain(costs, peers, Math.min(this.#stagesMin, costs.layerCount)) ?? placeChain(costs, peers, 1)
  }

  #spares({ peers, nowMs }: PlanInput): Capacity[] {
    return [...peers.values()].filter((peer) => isPlaceable(peer, nowMs) && !this.#homes.has(peer.peerId)).map(capacityOf)
  }

  /**
   * Peers that leave no hole: those first that have the fewest sessions, since a session may wait for the very layers that are to be loaded;
   * then those that are missed least, of equals who came last.
   */
  #redundant({ peers, sessionsOver }: PlanInput): Capacity[] {
    const over = sessionsOver?.()
    const all = this.#swarms.flatMap((swarm) => {
      const latest = swarm.redundant().reverse()
      return latest.map(({ peerId, surplus }) => ({ peer: capacity(peers, peerId), sessions: sessionsAt(over, peerId), surplus }))
    })
    return all.sort((a, b) => a.sessions - b.sessions || b.surplus - a.surplus).map(({ peer }) => peer)
  }
}

/** Pairs of moves that follow a change: gains are estimates, and an endless exchange of places would help nobody. */
const RELIEFS_MAX = 4
/** Demand differs by this much before peers move for it. */
const DEMAND_CHANGE = 0.1

function isNear(demand: number, settled: number): boolean {
  return demand < settled * (1 + DEMAND_CHANGE) && demand > settled / (1 + DEMAND_CHANGE)
}

function sessionsAt(over: ReadonlyMap<PeerId, Reserved> | undefined, peerId: PeerId): number {
  return over?.get(peerId)?.all.sessions ?? 0
}

function capacity(peers: ReadonlyMap<PeerId, PeerRecord>, peerId: PeerId): Capacity {
  return capacityOf(required(peers.get(peerId), `peer ${peerId}`))
}

function placeFor({ peers }: PlanInput, peerId: PeerId, span: Span): Place {
  const peer = required(peers.get(peerId), `peer ${peerId}`)
  return { span, region: peer.region, macsPerSecond: countedSpeed(peer) }
}
