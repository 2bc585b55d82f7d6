/** Throughput: what a simulated swarm's sessions got, beside what the best placement and routing could give them. */

import { boundOf, type Flows, type Held, lapsPerSecondAt, servedBy } from './bound.ts'
import type { Measures } from './measures.ts'
import type { SimulationOptions } from './simulate.ts'

export interface Throughput {
  /** Laps a second of one session, as simulated; null where nobody was answered. */
  readonly lapsPerSecond: number | null
  /** The same under the relaxed optimum for chains of as many stages. */
  readonly boundLapsPerSecond: number
  /** Of the optimum: what the spans that were served at the end would give with the best routing. */
  readonly placementShare: number
  /** Of the optimum: what the sessions got. */
  readonly sessionShare: number | null
}

export function throughputOf(measures: Measures, { scenario, peers, durationMs, stagesMin }: SimulationOptions): Throughput {
  const open = measures.decodeMs / durationMs
  const wanted = scenario.models.reduce((sum, { sessionsLater }) => sum + sessionsLater, 0)
  const sessions = scenario.models.map(({ sessionsLater }) => (open * sessionsLater) / wanted)
  const there = scenario.groups.reduce((sum, { count }) => sum + count, 0)
  const groups = scenario.groups.map((group) => ({ ...group, count: (group.count * peers) / there }))
  const flows: Flows = { scenario: { ...scenario, groups }, sessions }
  const bound = boundOf(flows, { exact: false, stagesMin })
  const boundLapsPerSecond = lapsPerSecondAt(flows, bound) / open
  const { lapsPerSecond } = measures.summary()
  return {
    lapsPerSecond,
    boundLapsPerSecond: round(boundLapsPerSecond),
    placementShare: round(servedBy(flows, gathered(measures)) / bound),
    sessionShare: lapsPerSecond === null ? null : round(lapsPerSecond / boundLapsPerSecond),
  }
}

/** Equal spans of equal peers as one. */
function gathered({ held }: Measures): Held[] {
  const same = new Map<string, Held>()
  for (const one of held) {
    const key = JSON.stringify(one)
    same.set(key, { ...one, peers: 1 + (same.get(key)?.peers ?? 0) })
  }
  return [...same.values()]
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
