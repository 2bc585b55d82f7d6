/** Presets: how much of everything a simulated day has, and how much each of many short runs. */

import { loadScenario, type Scenario, type Size, scenarioNames } from './scenario.ts'
import type { SimulationOptions } from './simulate.ts'

const HOUR_MS = 3_600_000

export interface LongRun {
  /** A standard scenario's name, or a file. */
  readonly scenario: string
  readonly peers: number
  readonly hours: number
  readonly seed: number
  readonly stagesMin: number
  readonly drain: SimulationOptions['drain']
}

/**
 * Of 1,000 tabs and 24 hours: sessions, with those of crowds more than twice as many; leaves, with the arrivals more than twice as many; other
 * faults.
 */
const SESSIONS_A_DAY = 5_500
const LEAVES_A_DAY = 10_200
const FAULTS_A_DAY = 1_500

/** Tabs stay 2.3 hours on average, sessions ask for 50 to 500 tokens. */
export function longRun({ scenario, peers, hours, seed, stagesMin, drain }: LongRun): SimulationOptions {
  const share = (peers * hours) / (1_000 * 24)
  return {
    scenario: loadScenario(scenario, sizeFor(peers)),
    peers,
    durationMs: hours * HOUR_MS,
    seed,
    sessions: Math.ceil(SESSIONS_A_DAY * share),
    leaves: Math.ceil(LEAVES_A_DAY * share),
    faults: Math.ceil(FAULTS_A_DAY * share),
    crowdSize: Math.max(4, Math.round(peers / 40)),
    prompt: { least: 8, most: 128 },
    answer: { least: 50, most: 500 },
    stagesMin,
    // The core pings at ticks, and takes who was silent for 6 s for away: as seldom as that allows.
    tickMs: 5_000,
    logBytesMax: 64 * 1024 * 1024,
    settleMs: 120_000,
    returnMs: 30_000,
    drain,
  }
}

/** Peers of the exact scenarios are at most 12. */
function sizeFor(peers: number): Size {
  return peers <= 20 ? 'few' : 'many'
}

/** At least 8 tabs, 50 sessions and 20 faults each; scenarios in turn. Short answers, little room for logs. */
export function shortRun(seed: number, drain: SimulationOptions['drain']): SimulationOptions {
  const name = scenarioNames[seed % scenarioNames.length] ?? ''
  return {
    scenario: loadScenarioOnce(name),
    peers: 15,
    durationMs: 150_000,
    seed,
    sessions: 52,
    leaves: 10,
    faults: 16,
    crowdSize: 3,
    prompt: { least: 4, most: 40 },
    answer: { least: 4, most: 16 },
    stagesMin: 2,
    tickMs: 2_000,
    logBytesMax: 4_000,
    settleMs: 40_000,
    returnMs: 15_000,
    drain,
  }
}

const loaded = new Map<string, Scenario>()

function loadScenarioOnce(name: string): Scenario {
  const scenario = loaded.get(name) ?? loadScenario(name, 'few')
  loaded.set(name, scenario)
  return scenario
}
