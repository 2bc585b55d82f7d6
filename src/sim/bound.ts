/**
 * Bound: the most that any placement of a scenario's peers could serve, and what a given placement does serve, as linear
 * programs over the same flows, solved by HiGHS. A token flows layer by layer through peers that hold its layers; it may change
 * peers at any border, and each change takes a hop's time. Two limits: what peers can multiply, and that each session has one
 * token under way at a time (Little's law: tokens a second × time of a token ≤ sessions).
 *
 * The value of a placement is the satisfaction of the model that is served worst: tokens a second over those that its sessions would take
 * if each had a near peer of average speed with the whole model to itself. What sessions got on average is compared with another: the most laps
 * a second of all together, whoever gets them. Which peers hold which spans is whole numbers for the exact optimum and real numbers for its
 * relaxation, an upper bound.
 */

import loadHighs from 'highs'
import { type Capacity, joinSpans, type ModelCosts } from '../coordinator/core/index.ts'
import type { Span } from '../model/index.ts'
import type { PeerId } from '../shared/index.ts'
import type { Scenario } from './scenario.ts'

/** Peers of a group that hold a span of a model. */
export interface Holding {
  readonly group: number
  readonly model: number
  readonly span: Span
}

export interface Held extends Holding {
  readonly peers: number
}

export interface Flows {
  readonly scenario: Scenario
  /** Open sessions of each model: spread evenly over the regions, or as many as are told of each. */
  readonly sessions: readonly (number | ReadonlyMap<string, number>)[]
}

/** What is compared with a simulation obeys the simulation's own costs. */
export interface LapOptions {
  readonly stagesMin: number
  /** A hop beside its way. */
  readonly hopSeconds: number
  /** A peer's work of a row, where a pass has many, beside that of a row alone. */
  readonly rowShare: number
}

/** A hop beside its way, seconds. */
const HOP_SECONDS = 0.003
/** A variable's name: of the model that is served worst. */
const SATISFACTION = 'satisfaction'
/** How far from the optimum the solver may stop. */
const MIP_GAP = 1e-3

const highs = await loadHighs()

/** What no placement for chains of at least `stagesMin` stages exceeds; exact: what one reaches. */
export function boundOf(flows: Flows, { exact, stagesMin }: { readonly exact: boolean; readonly stagesMin: number }): number {
  const holdings = possibleHoldings(flows.scenario, stagesMin)
  return solve(flows, holdings, { peers: null, exact, laps: null })
}

/** What the best routing over this placement reaches. */
export function servedBy(flows: Flows, held: readonly Held[]): number {
  return solve(flows, held, { peers: held.map(({ peers }) => peers), exact: false, laps: null })
}

/** Laps a second of all sessions together that no placement and no routing exceeds: peers may hold whatever fits. */
export function mostLaps(flows: Flows, laps: LapOptions): number {
  return solve(flows, possibleHoldings(flows.scenario, 1), { peers: null, exact: false, laps })
}

/** The same with the best routing over this placement. */
export function lapsServedBy(flows: Flows, held: readonly Held[], laps: LapOptions): number {
  return solve(flows, held, { peers: held.map(({ peers }) => peers), exact: false, laps })
}

/** Tokens a second of one session that has a near peer of average speed with the whole model to itself. */
function unitOf({ layerCount, macsPerLayer, headMacs }: ModelCosts, meanSpeed: number, rttMs: number): number {
  return 1 / ((layerCount * macsPerLayer + headMacs) / meanSpeed + HOP_SECONDS + rttMs / 1_000)
}

/** What the core may have peers hold: the largest spans that fit with the least KV, none above a chain's share of work. */
function possibleHoldings({ groups, models }: Scenario, stagesMin: number): Holding[] {
  return groups.flatMap(({ memoryBytes, macsPerSecond }, group) => {
    const peer: Capacity = { peerId: '' as PeerId, memoryBytes, macsPerSecond, weightForm: 'blocks' }
    return models.flatMap(({ swarm }, model) => joinSpans(swarm.costs, peer, stagesMin).map((span) => ({ group, model, span })))
  })
}

interface Search {
  /** How many have each holding; null: to be found. */
  readonly peers: readonly number[] | null
  readonly exact: boolean
  /** All laps together are the value; null: the least satisfaction is. */
  readonly laps: LapOptions | null
}

function solve(flows: Flows, holdings: readonly Holding[], { peers, exact, laps }: Search): number {
  const program = new Program()
  const counts = holdings.map((_, index) => (peers === null ? program.variable(`y${index}`, exact) : (peers[index] ?? 0)))
  const { loads: capacity, value } = new FlowBuilder(flows, holdings, program, laps).build()
  const { groups } = flows.scenario
  const meanSpeed = meanSpeedOf(flows.scenario)
  holdings.forEach(({ group }, index) => {
    const speed = (groups[group]?.macsPerSecond ?? 0) / meanSpeed
    const count = counts[index] ?? 0
    program.atMost(
      typeof count === 'number' ? (capacity[index] ?? []) : [...(capacity[index] ?? []), [-speed, count]],
      typeof count === 'number' ? speed * count : 0,
    )
  })
  groups.forEach((group, at) => {
    const own = holdings.flatMap((holding, index) => (holding.group === at ? [[1, counts[index]] as const] : []))
    program.atMost(
      own.filter((term): term is readonly [1, string] => typeof term[1] === 'string'),
      group.count,
    )
  })
  return program.maximum(value)
}

function meanSpeedOf({ groups }: Scenario): number {
  const peers = groups.reduce((sum, { count }) => sum + count, 0)
  return groups.reduce((sum, { count, macsPerSecond }) => sum + count * macsPerSecond, 0) / peers
}

type Terms = readonly (readonly [coefficient: number, variable: string])[]

/** Flows of every model and every region of requesters. Unit: what one session would take alone, see above. */
class FlowBuilder {
  readonly #flows: Flows
  readonly #holdings: readonly Holding[]
  readonly #program: Program
  readonly #laps: LapOptions | null
  readonly #hopSeconds: number
  readonly #regions: readonly string[]
  readonly #meanSpeed: number
  /** Work of each holding's peers by flow, as a part of what a peer of average speed does. */
  readonly #load: [number, string][][]
  /** Laps a second of each flow. */
  readonly #served: [number, string][] = []

  constructor(flows: Flows, holdings: readonly Holding[], program: Program, laps: LapOptions | null) {
    this.#flows = flows
    this.#holdings = holdings
    this.#program = program
    this.#laps = laps
    this.#hopSeconds = laps?.hopSeconds ?? HOP_SECONDS
    this.#regions = [...new Set(flows.scenario.groups.map(({ region }) => region))]
    this.#meanSpeed = meanSpeedOf(flows.scenario)
    this.#load = holdings.map(() => [])
  }

  /** What each holding's peers do for all flows, and what is to be as much as possible. */
  build(): { readonly loads: readonly Terms[]; readonly value: Terms } {
    this.#flows.scenario.models.forEach((_, model) => {
      for (const region of this.#regions) this.#commodity(model, region)
    })
    return { loads: this.#load, value: this.#laps === null ? [[1, SATISFACTION]] : this.#served }
  }

  #commodity(model: number, home: string): void {
    const { scenario, sessions } = this.#flows
    const costs = scenario.models[model]?.swarm.costs ?? fail(`model ${model}`)
    const { layerCount, macsPerLayer, headMacs } = costs
    const told = sessions[model] ?? 0
    const wanted = typeof told === 'number' ? told / this.#regions.length : (told.get(home) ?? 0)
    if (wanted === 0 && this.#laps !== null) return
    const at = (region: string) => this.#regions.indexOf(region)
    // Regions by number: the format of the program does not take all names.
    const name = (kind: string, ...rest: number[]) => [kind, model, at(home), ...rest].join('_')
    /** Flow into and out of each region's hub at each border. */
    const hubs = new Map<string, [number, string][]>()
    const hub = (border: number, region: string) => {
      const terms = hubs.get(name('h', border, at(region))) ?? []
      hubs.set(name('h', border, at(region)), terms)
      return terms
    }
    const time: [number, string][] = []
    const unit = unitOf(costs, this.#meanSpeed, scenario.rttMs.within)
    const takes = (seconds: number, variable: string) => time.push([seconds * unit, variable])
    const stages: [number, string][] = []
    const rowShare = this.#laps?.rowShare ?? 1

    this.#holdings.forEach((holding, index) => {
      if (holding.model !== model) return
      const { region, macsPerSecond } = scenario.groups[holding.group] ?? fail(`group ${holding.group}`)
      const { firstLayer, endLayer } = holding.span
      for (let layer = firstLayer; layer < endLayer; layer++) {
        const macs = macsPerLayer + (layer === layerCount - 1 ? headMacs : 0)
        const through = name('p', index, layer)
        this.#load[index]?.push([(rowShare * macs * unit) / this.#meanSpeed, through])
        takes(macs / macsPerSecond, through)
        // Through a layer flows what comes from the layer before at this peer, and what enters here; or leaves after it.
        const [enter, leave] = [name('e', index, layer), name('l', index, layer + 1)]
        takes(this.#hopSeconds + this.#waySeconds(region, region), enter)
        stages.push([-1, enter])
        hub(layer, region).push([-1, enter])
        hub(layer + 1, region).push([1, leave])
        const before: Terms =
          layer === firstLayer
            ? []
            : [
                [1, name('p', index, layer - 1)],
                [-1, name('l', index, layer)],
              ]
        this.#program.equal([...before, [1, enter], [-1, through]], 0)
        if (layer + 1 === endLayer)
          this.#program.equal(
            [
              [1, through],
              [-1, leave],
            ],
            0,
          )
      }
    })
    for (let border = 0; border <= layerCount; border++) {
      for (const from of this.#regions) {
        for (const to of this.#regions) {
          if (from === to) continue
          const crossing = name('c', border, at(from), at(to))
          hub(border, from).push([-1, crossing])
          hub(border, to).push([1, crossing])
          takes(this.#waySeconds(from, to) - this.#waySeconds(to, to), crossing)
        }
      }
    }
    const served = this.#program.variable(name('f'))
    hub(0, home).push([1, served])
    hub(layerCount, home).push([-1, served])
    takes(this.#waySeconds(home, home), served)
    for (const terms of hubs.values()) this.#program.equal(terms, 0)
    this.#program.atMost(time, wanted)
    if (this.#laps === null) {
      this.#program.equal(
        [
          [1, served],
          [-wanted, SATISFACTION],
        ],
        0,
      )
    } else {
      this.#served.push([unit, served])
      // Whoever leaves a peer may enter the same again, so that on average is as much as can be asked.
      this.#program.atMost([...stages, [Math.min(this.#laps.stagesMin, layerCount), served]], 0)
    }
  }

  /** One way. */
  #waySeconds(a: string, b: string): number {
    const { within, between } = this.#flows.scenario.rttMs
    return (a === b ? within : between) / 2_000
  }
}

/** A program in CPLEX LP format; variables are not negative. */
class Program {
  readonly #rows: string[] = []
  readonly #integers: string[] = []

  variable(name: string, integer = false): string {
    if (integer) this.#integers.push(name)
    return name
  }

  atMost(terms: Terms, most: number): void {
    if (terms.length > 0) this.#rows.push(`${sum(terms)} <= ${most}`)
  }

  equal(terms: Terms, value: number): void {
    this.#rows.push(`${sum(terms)} = ${value}`)
  }

  maximum(value: Terms): number {
    const rows = this.#rows.map((row, index) => ` r${index}: ${row}`)
    const integers = this.#integers.length === 0 ? [] : ['Generals', ` ${this.#integers.join('\n ')}`]
    const text = ['Maximize', ` value: ${sum(value)}`, 'Subject To', ...rows, ...integers, 'End'].join('\n')
    const solution = highs.solve(text, { output_flag: false, mip_rel_gap: MIP_GAP })
    if (solution.Status !== 'Optimal') throw new Error(`the program is ${solution.Status}`)
    return solution.ObjectiveValue
  }
}

/** One term a line: the format bounds the length of lines. */
function sum(terms: Terms): string {
  return terms.map(([coefficient, variable]) => `${coefficient < 0 ? '-' : '+'} ${Math.abs(coefficient)} ${variable}`).join('\n   ')
}

function fail(what: string): never {
  throw new Error(`the scenario has no ${what}`)
}
