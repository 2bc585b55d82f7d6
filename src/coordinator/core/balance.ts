/**
 * Balance: how many tokens a second each layer of a model can be given at most by peers that hold spans of it. A token may use
 * any part of a span, so that a peer's speed goes where it is scarcest: the fair shares found here fill the weakest layer first
 * (max-min fair, by block coordinate ascent), and the level of the weakest layer is the maximum flow through the swarm.
 */

import type { Span } from '../../model/index.ts'
import { required } from '../../shared/index.ts'

interface Supply {
  readonly span: Span
  peers: number
  /** Of all of them. */
  macsPerSecond: number
  /** Of it, what each layer of the span gets. */
  shares: Float64Array
}

/** A layer with less of its demand than this counts as nobody's. */
const SATISFACTION_MIN = 1e-3
/** How much more the weaker of two layers counts. Measured on the scenarios of test/sim: at 3 weak models kept peers from weaker ones. */
export const SCARCITY_EXPONENT = 10
/** What a peer costs whose loss stops the swarm: as much as a tenth of the demand not met. */
const CRITICAL_COST = 0.1
/** What each stage of the shortest chain costs: nothing beside throughput that is missing, but where there is enough each hop is time of every token. */
const STAGE_COST = 0.02

export class Balance {
  /** Multiply-accumulates of a token, by layer. */
  readonly #work: Float64Array
  readonly #workTotal: number
  /** Multiply-accumulates a second that each layer is given. */
  readonly #given: Float64Array
  readonly #supplies = new Map<number, Supply>()

  /** `work`: multiply-accumulates of a token in each layer. */
  constructor(work: readonly number[]) {
    this.#work = Float64Array.from(work)
    this.#workTotal = work.reduce((sum, macs) => sum + macs, 0)
    this.#given = new Float64Array(work.length)
  }

  /** Different spans that are held. */
  get spanCount(): number {
    return this.#supplies.size
  }

  peersOf(span: Span): number {
    return this.#supplies.get(keyOf(span))?.peers ?? 0
  }

  /** A peer with `span` and this speed came. */
  add(span: Span, macsPerSecond: number): void {
    const supply = this.#supplies.get(keyOf(span)) ?? newSupply(span)
    this.#supplies.set(keyOf(span), supply)
    supply.peers++
    supply.macsPerSecond += macsPerSecond
    this.#fill(supply)
  }

  /** A peer that was added went. */
  remove(span: Span, macsPerSecond: number): void {
    const supply = required(this.#supplies.get(keyOf(span)), `peers of layers ${span.firstLayer}–${span.endLayer}`)
    supply.macsPerSecond = Math.max(0, supply.macsPerSecond - macsPerSecond)
    supply.peers--
    if (supply.peers > 0) return this.#fill(supply)
    this.#take(supply)
    this.#supplies.delete(keyOf(span))
  }

  /** Moves speed to where it is scarcer, peers of each span in turn, so many times. */
  settle(sweeps: number): void {
    const supplies = [...this.#supplies.values()]
    for (let sweep = 0; sweep < sweeps; sweep++) {
      for (const supply of supplies) this.#fill(supply)
      supplies.reverse()
    }
  }

  /** Tokens a second that `layer` can be given. */
  level(layer: number): number {
    return (this.#given[layer] ?? 0) / this.#workOf(layer)
  }

  /**
   * How much is missing beside `demand`, in tokens a second, as one number: less is better. The weakest layers count most, 1 in
   * all where exactly the demand is met; and so does each peer whose loss would leave a hole, and a little each stage that a chain must have.
   */
  scarcity(demand: number): number {
    let sum = 0
    for (let layer = 0; layer < this.#work.length; layer++) {
      const satisfaction = Math.max(this.level(layer) / demand, SATISFACTION_MIN)
      sum += (this.#workOf(layer) / this.#workTotal) * satisfaction ** -SCARCITY_EXPONENT
    }
    return sum + CRITICAL_COST * this.#criticalCount() + STAGE_COST * this.#stagesFewest()
  }

  /** What `change` would lead to; everything is as before afterwards. */
  trial<Outcome>(change: () => Outcome): Outcome {
    const given = this.#given.slice()
    const supplies = [...this.#supplies].map(([key, supply]) => [key, { ...supply, shares: supply.shares.slice() }] as const)
    const outcome = change()
    this.#given.set(given)
    this.#supplies.clear()
    for (const [key, supply] of supplies) this.#supplies.set(key, supply)
    return outcome
  }

  /** Of a chain: from border to border always the span that reaches furthest. Layers that nobody holds count as a stage each. */
  #stagesFewest(): number {
    let stages = 0
    for (let border = 0; border < this.#work.length; stages++) {
      let next = border + 1
      for (const { span } of this.#supplies.values()) if (span.firstLayer <= border) next = Math.max(next, span.endLayer)
      border = next
    }
    return stages
  }

  /** Peers that alone hold a layer. */
  #criticalCount(): number {
    const holders = new Uint32Array(this.#work.length)
    for (const { span, peers } of this.#supplies.values())
      for (let layer = span.firstLayer; layer < span.endLayer; layer++) holders[layer] = (holders[layer] ?? 0) + peers
    if (!holders.includes(1)) return 0
    const single = [...this.#supplies.values()].filter(({ peers }) => peers === 1)
    return single.filter(({ span }) => holders.subarray(span.firstLayer, span.endLayer).includes(1)).length
  }

  /** Multiply-accumulates of a token in `layer`. */
  #workOf(layer: number): number {
    return this.#work[layer] ?? 0
  }

  #take({ span, shares }: Supply): void {
    for (let index = 0; index < shares.length; index++) {
      const layer = span.firstLayer + index
      this.#given[layer] = Math.max(0, (this.#given[layer] ?? 0) - (shares[index] ?? 0))
    }
  }

  /** Pours the supply over its layers like water: the lowest first, to one level. */
  #fill(supply: Supply): void {
    this.#take(supply)
    const { span, shares, macsPerSecond } = supply
    // Layers above the water's level get nothing: drop them, which lets it rise, until none is above.
    let level = Number.POSITIVE_INFINITY
    for (let changed = true; changed; ) {
      let [given, work] = [macsPerSecond, 0]
      for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
        if (this.level(layer) >= level) continue
        given += this.#given[layer] ?? 0
        work += this.#workOf(layer)
      }
      const next = given / work
      changed = next < level
      if (changed) level = next
    }
    for (let index = 0; index < shares.length; index++) {
      const layer = span.firstLayer + index
      shares[index] = Math.max(0, level * this.#workOf(layer) - (this.#given[layer] ?? 0))
      this.#given[layer] = (this.#given[layer] ?? 0) + (shares[index] ?? 0)
    }
  }
}

function newSupply(span: Span): Supply {
  return { span, peers: 0, macsPerSecond: 0, shares: new Float64Array(span.endLayer - span.firstLayer) }
}

function keyOf({ firstLayer, endLayer }: Span): number {
  return firstLayer * 65_536 + endLayer
}
