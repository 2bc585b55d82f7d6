/**
 * Swarm: who should hold which layers of one model, and what that makes possible: which layers are nobody's, who could be
 * spared, how scarce its throughput is beside the demand. Spans may overlap; routing makes chains out of them.
 */

import type { Manifest, Span } from '../../model/index.ts'
import { type ManifestHash, type ModelId, type PeerId, required } from '../../shared/index.ts'
import { Balance } from './balance.ts'
import type { ModelCosts } from './costs.ts'
import { type Capacity, evenSpans, type PlacedStage, stagesNeeded } from './placement.ts'
import { uncovered } from './route.ts'

export interface SwarmModel {
  readonly modelId: ModelId
  readonly manifestHash: ManifestHash
  readonly name: Manifest['name']
  /** Of the weights in the file. */
  readonly weightBytes: number
  readonly costs: ModelCosts
}

export interface Place {
  readonly span: Span
  /** Peers of one region are near each other. */
  readonly region: number
  /** Multiply-accumulates a second, as they are counted. */
  readonly macsPerSecond: number
}

interface Region {
  readonly balance: Balance
  peers: number
  /** Of all peers' spans. */
  layers: number
  macsPerSecond: number
}

/** Who leaves no hole. */
interface Redundant {
  readonly peerId: PeerId
  readonly surplus: number
}

interface SpanSupply {
  /** Tokens a second that its weakest layer can be given. */
  readonly level: number
  /** Multiply-accumulates of a token in all of it. */
  readonly macs: number
}

export interface TokenDemand {
  readonly most: number
  readonly lasting: number
}

export interface Change {
  readonly without?: PeerId
  readonly joining?: Place
}

/** Speeds differ by this much before they count anew. */
const SPEED_CHANGE = 0.1
/** One peer hardly moves the balance of more spans than this: the others' shares are left as they are in a trial. */
const SETTLED_SPANS_MAX = 32
const SETTLE_SWEEPS = 4
/** Of a swarm of few peers, after which shares hardly change. */
const COPY_SWEEPS = 32
/** A region with the layers of so many chains is balanced by itself too. */
const STANDS_ALONE = 1.5

export class Swarm {
  readonly model: SwarmModel
  /** When it lost layers, until all are somebody's again. */
  brokenSinceMs: number | null = null
  /** Tokens a second that are wanted, see Wanted. */
  demand: TokenDemand = { most: 1, lasting: 1 }
  /** Of all its peers together. */
  macsPerSecond = 0
  readonly #layerMacs: readonly number[]
  readonly #places = new Map<PeerId, Place>()
  readonly #everywhere: Balance
  readonly #regions = new Map<number, Region>()
  /** Spans of equal peers, by how many of them hold the model. */
  readonly #templates = new Map<number, readonly Span[]>()
  /** How many peers should hold each layer, and serve it or will soon. */
  readonly #holders: number[]
  /** Who will not. */
  readonly #late = new Set<PeerId>()

  constructor(model: SwarmModel) {
    this.model = model
    const { layerCount, macsPerLayer, headMacs } = model.costs
    this.#layerMacs = Array.from({ length: layerCount }, (_, layer) => macsPerLayer + (layer === layerCount - 1 ? headMacs : 0))
    this.#everywhere = new Balance(this.#layerMacs)
    this.#holders = new Array<number>(layerCount).fill(0)
  }

  /** Multiply-accumulates of a token. */
  get tokenMacs(): number {
    const { layerCount, macsPerLayer, headMacs } = this.model.costs
    return layerCount * macsPerLayer + headMacs
  }

  get size(): number {
    return this.#places.size
  }

  /** Of all but the late, in order of layers. */
  stages(): PlacedStage[] {
    const stages = [...this.#places].map(([peerId, { span }]) => ({ peerId, span })).filter(({ peerId }) => !this.#late.has(peerId))
    return stages.sort((a, b) => a.span.firstLayer - b.span.firstLayer)
  }

  /** In the order in which they were given. */
  places(): ReadonlyMap<PeerId, Place> {
    return this.#places
  }

  peerIds(): PeerId[] {
    return [...this.#places.keys()]
  }

  /** How many peers should hold exactly this span. */
  holdersOf(span: Span): number {
    return this.#everywhere.peersOf(span)
  }

  /** Layers that nobody should hold but those who are late. */
  holes(): Span[] {
    if (this.isWhole()) return []
    return uncovered(
      this.#holders.length,
      this.stages().map(({ span }) => span),
    )
  }

  isWhole(): boolean {
    return this.#holders.every((holders) => holders > 0)
  }

  /** Whether others hold all its layers too. Not of who is late: there is nothing yet that others could do without. */
  isRedundant(peerId: PeerId): boolean {
    const { span } = required(this.#places.get(peerId), `the place of ${peerId}`)
    return !this.#late.has(peerId) && this.#isHeldTwice(span)
  }

  /** Whether it loads its layers so slowly that they count as nobody's where nobody else holds them. It keeps its place all the same. */
  isLate(peerId: PeerId): boolean {
    return this.#late.has(peerId)
  }

  /** Until it is told otherwise, or put elsewhere. */
  setLate(peerId: PeerId, isLate: boolean): void {
    const { span } = required(this.#places.get(peerId), `the place of ${peerId}`)
    if (isLate === this.#late.has(peerId)) return
    if (isLate) this.#late.add(peerId)
    else this.#late.delete(peerId)
    this.#hold(span, isLate ? -1 : 1)
  }

  /**
   * Peers that leave no hole, in the order in which they came. `surplus`: how well off a peer's layers are without it, tokens a second for
   * each one wanted.
   */
  redundant(): Redundant[] {
    // Hundreds of peers hold the same few spans.
    const supplies = new Map<number, SpanSupply | null>()
    const redundant: Redundant[] = []
    for (const [peerId, { span, macsPerSecond }] of this.#places) {
      if (this.#late.has(peerId)) continue
      const key = span.firstLayer * (this.#holders.length + 1) + span.endLayer
      let supply = supplies.get(key)
      if (supply === undefined) {
        supply = this.#isHeldTwice(span) ? this.#supplyOf(span) : null
        supplies.set(key, supply)
      }
      if (supply !== null) redundant.push({ peerId, surplus: (supply.level - macsPerSecond / supply.macs) / this.demand.most })
    }
    return redundant
  }

  /** From the first to the last layer that nobody else holds; null: others hold all of its layers too, or it is late. */
  heldAloneBy(peerId: PeerId): Span | null {
    const { span } = required(this.#places.get(peerId), `the place of ${peerId}`)
    if (this.#late.has(peerId)) return null
    const isAlone = (_: number, index: number) => this.#holders[span.firstLayer + index] === 1
    const alone = Array.from({ length: span.endLayer - span.firstLayer }, (_, index) => index).filter(isAlone)
    const [first, last] = [alone[0], alone.at(-1)]
    return first === undefined || last === undefined ? null : { firstLayer: span.firstLayer + first, endLayer: span.firstLayer + last + 1 }
  }

  /** Shares out speeds as if nobody had come after the others. */
  settle(): void {
    for (const balance of [this.#everywhere, ...[...this.#regions.values()].map((region) => region.balance)]) balance.settle(COPY_SWEEPS)
  }

  /** The same places, to try things with. */
  copy(): Swarm {
    const copy = new Swarm(this.model)
    copy.demand = this.demand
    for (const [peerId, place] of this.#places) copy.put(peerId, place)
    for (const peerId of this.#late) copy.setLate(peerId, true)
    copy.settle()
    return copy
  }

  put(peerId: PeerId, place: Place): void {
    this.drop(peerId)
    this.#places.set(peerId, place)
    this.#count(place, 1)
    for (const balance of [this.#everywhere, this.#region(place.region).balance]) {
      balance.add(place.span, place.macsPerSecond)
      balance.settle(1)
    }
  }

  drop(peerId: PeerId): void {
    const place = this.#places.get(peerId)
    if (place === undefined) return
    this.setLate(peerId, false)
    this.#places.delete(peerId)
    this.#count(place, -1)
    for (const balance of [this.#everywhere, this.#region(place.region).balance]) {
      balance.remove(place.span, place.macsPerSecond)
      balance.settle(1)
    }
  }

  /** A peer's place with its speed and region as they are known now; true where it counts anew. */
  follow(peerId: PeerId, place: Place): boolean {
    const before = required(this.#places.get(peerId), `the place of ${peerId}`)
    const ratio = place.macsPerSecond / before.macsPerSecond
    if (place.region === before.region && ratio < 1 + SPEED_CHANGE && ratio > 1 / (1 + SPEED_CHANGE)) return false
    const isLate = this.#late.has(peerId)
    this.put(peerId, place)
    this.setLate(peerId, isLate)
    return true
  }

  /** Tokens a second that the weakest layer can be given. */
  level(): number {
    return this.#layerMacs.reduce((least, _, layer) => Math.min(least, this.#everywhere.level(layer)), Number.POSITIVE_INFINITY)
  }

  /**
   * How scarce throughput is, see Balance: everywhere, and in each region that can do without the others, since chains across
   * regions are slow. Less is better, and comparable between swarms.
   */
  scarcity(demand: number): number {
    let sum = this.#everywhere.scarcity(demand)
    for (const region of this.#regions.values())
      if (this.#standsAlone(region)) sum += region.balance.scarcity(this.#partIn(region) * demand)
    return sum
  }

  /** How much it would fall without a peer that is there, with one more in a span, or both. */
  gainOf({ without, joining }: Change, demand: number): number {
    const place = without === undefined ? undefined : required(this.#places.get(without), `the place of ${without}`)
    const gainIn = (balance: Balance, wanted: number, region: number | null) => {
      const leaves = place !== undefined && (region === null || region === place.region) ? place : null
      const comes = joining !== undefined && (region === null || region === joining.region) ? joining : null
      if (leaves === null && comes === null) return 0
      const before = balance.scarcity(wanted)
      return balance.trial(() => {
        if (leaves !== null) balance.remove(leaves.span, leaves.macsPerSecond)
        if (comes !== null) balance.add(comes.span, comes.macsPerSecond)
        if (balance.spanCount <= SETTLED_SPANS_MAX) balance.settle(SETTLE_SWEEPS)
        return before - balance.scarcity(wanted)
      })
    }
    let gain = gainIn(this.#everywhere, demand, null)
    for (const [id, region] of this.#regions)
      if (this.#standsAlone(region)) gain += gainIn(region.balance, this.#partIn(region) * demand, id)
    return gain
  }

  /**
   * Spans for peers like this one: the model divided among as many as hold it; where they are too small for its ends, what others'
   * ends leave. Those of the first that asked serve all that need as many, so that borders stay few.
   */
  template(peer: Capacity, stagesMin: number): readonly Span[] {
    const { costs } = this.model
    const whole = { firstLayer: 0, endLayer: costs.layerCount }
    const stages = stagesNeeded(costs, peer, stagesMin)
    const known = this.#templates.get(stages) ?? evenSpans(costs, whole, peer, stagesMin)
    if (known.length > 0) {
      this.#templates.set(stages, known)
      return known
    }
    return evenSpans(costs, this.#between(), peer, stagesMin)
  }

  #isHeldTwice({ firstLayer, endLayer }: Span): boolean {
    for (let layer = firstLayer; layer < endLayer; layer++) if ((this.#holders[layer] ?? 0) < 2) return false
    return true
  }

  #supplyOf({ firstLayer, endLayer }: Span): SpanSupply {
    let [level, macs] = [Number.POSITIVE_INFINITY, 0]
    for (let layer = firstLayer; layer < endLayer; layer++) {
      level = Math.min(level, this.#everywhere.level(layer))
      macs += this.#layerMacs[layer] ?? 0
    }
    return { level, macs }
  }

  /** Layers between the largest spans with an end that are held. */
  #between(): Span {
    const spans = [...this.#places.values()].map(({ span }) => span)
    const { layerCount } = this.model.costs
    const inside = spans.filter(({ firstLayer, endLayer }) => endLayer - firstLayer < layerCount)
    const firsts = inside.filter(({ firstLayer }) => firstLayer === 0).map(({ endLayer }) => endLayer)
    const lasts = inside.filter(({ endLayer }) => endLayer === layerCount).map(({ firstLayer }) => firstLayer)
    return { firstLayer: Math.max(0, ...firsts), endLayer: Math.min(layerCount, ...lasts) }
  }

  /** With the memory for a chain and a half: less often leaves a layer out. */
  #standsAlone({ layers, peers }: Region): boolean {
    return peers < this.size && layers >= STANDS_ALONE * this.#holders.length
  }

  /** Of the demand: requesters are where peers are. */
  #partIn({ macsPerSecond }: Region): number {
    return macsPerSecond / this.macsPerSecond
  }

  #region(id: number): Region {
    const region = this.#regions.get(id) ?? { balance: new Balance(this.#layerMacs), peers: 0, layers: 0, macsPerSecond: 0 }
    this.#regions.set(id, region)
    return region
  }

  #hold({ firstLayer, endLayer }: Span, by: number): void {
    for (let layer = firstLayer; layer < endLayer; layer++) this.#holders[layer] = (this.#holders[layer] ?? 0) + by
  }

  #count({ span, region: id, macsPerSecond }: Place, by: number): void {
    this.#hold(span, by)
    this.macsPerSecond += by * macsPerSecond
    const region = this.#region(id)
    region.peers += by
    region.layers += by * (span.endLayer - span.firstLayer)
    region.macsPerSecond += by * macsPerSecond
  }
}
