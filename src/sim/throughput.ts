/**
 * Throughput: what a simulated swarm's sessions got on average, beside the most that any placement and routing could give the same
 * sessions: as many of each model from each region as there were, over peers of the same kinds, with the costs of the simulation and no queue,
 * no fault and no detour. So neither share can be above 1.
 */

import type { ModelId } from '../shared/index.ts'
import { type Flows, type Held, lapsServedBy, mostLaps } from './bound.ts'
import type { Measures } from './measures.ts'
import { FURTHER_ROW_SHARE, PASS_FIXED_MS } from './modelEngine.ts'
import type { SimulationOptions } from './simulate.ts'

export interface Throughput {
  /** Laps a second of one session, as simulated. */
  readonly lapsPerSecond: number
  /** The most there could be, for chains of as many stages. */
  readonly boundLapsPerSecond: number
  /** Of it: what the spans that were served at the end would give with the best routing. */
  readonly placementShare: number
  /** Of it: what the sessions got. */
  readonly sessionShare: number
}

/** Null where nobody was answered. */
export function throughputOf(measures: Measures, { scenario, peers, durationMs, stagesMin }: SimulationOptions): Throughput | null {
  const { lapsPerSecond } = measures.summary()
  if (lapsPerSecond === null) return null
  const held = gathered(measures)
  const there = scenario.groups.reduce((sum, { count }) => sum + count, 0)
  const groups = scenario.groups.map((group, index) => {
    const serving = measures.held.filter((one) => one.group === index).length
    return { ...group, count: Math.max(serving, (group.count * peers) / there) }
  })
  // For one session: so the flows have sizes that the solver tells apart. Of all others there are as many more.
  const share = durationMs / measures.decodeMs
  const flows: Flows = {
    scenario: { ...scenario, groups: groups.map((group) => ({ ...group, count: group.count * share })) },
    sessions: scenario.models.map(({ swarm }) => sharesOf(measures, swarm.modelId)),
  }
  // Where tabs are too few for so many stages, chains have fewer.
  const stages = measures.decodeLaps === 0 ? 1 : Math.min(stagesMin, measures.decodeStages / measures.decodeLaps)
  const laps = { stagesMin: stages, hopSeconds: PASS_FIXED_MS / 1_000, rowShare: FURTHER_ROW_SHARE }
  const most = mostLaps(flows, laps)
  const served = lapsServedBy(
    flows,
    held.map((one) => ({ ...one, peers: one.peers * share })),
    laps,
  )
  return {
    lapsPerSecond,
    boundLapsPerSecond: round(most),
    placementShare: round(served / most),
    sessionShare: round(lapsPerSecond / most),
  }
}

/** What part of all time in which answers came was this model's, by its requesters' region. */
function sharesOf({ decodeMs, decodeMsOf }: Measures, modelId: ModelId): ReadonlyMap<string, number> {
  return new Map([...(decodeMsOf.get(modelId) ?? [])].map(([region, ms]) => [region, ms / decodeMs]))
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
