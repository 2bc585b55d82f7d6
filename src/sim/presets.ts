/** Presets: how much of everything a simulated day has, and how much each of many short runs. */

import { HOME_LINES, type LineMix } from './lines.ts'
import { ANSWER_TOKENS, PROMPT_TOKENS } from './question.ts'
import { loadScenario, type Scenario, scenarioNames } from './scenario.ts'
import type { Size } from './scenarioFile.ts'
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

/** Of 1,000 tabs and 24 hours: sessions, those of crowds among them; leaves, with the arrivals more than twice as many; other faults. */
const SESSIONS_A_DAY = 10_100
const LEAVES_A_DAY = 9_700
const FAULTS_A_DAY = 1_500

/** Runs of more go without receipts, which take a fifth longer. */
const RECEIPTS_PEER_HOURS = 200

/** Tabs stay 2.3 hours on average, sessions ask for 50 to 500 tokens. */
export function longRun({ scenario, peers, hours, seed, stagesMin, drain }: LongRun): SimulationOptions {
  const share = (peers * hours) / (1_000 * 24)
  return {
    scenario: loadScenario(scenario, sizeFor(peers)),
    peers,
    durationMs: hours * HOUR_MS,
    seed,
    sessions: Math.ceil(SESSIONS_A_DAY * share),
    crowdsAmongThem: true,
    leaves: Math.ceil(LEAVES_A_DAY * share),
    faults: Math.ceil(FAULTS_A_DAY * share),
    crowdSize: Math.max(4, Math.round(peers / 40)),
    prompt: PROMPT_TOKENS,
    answer: ANSWER_TOKENS,
    stagesMin,
    // The core pings at ticks, and takes who was silent for 6 s for away: as seldom as that allows.
    tickMs: 5_000,
    logBytesMax: 64 * 1024 * 1024,
    least: { peers: 0, sessions: 0, faults: 0 },
    receipts: peers * hours <= RECEIPTS_PEER_HOURS,
    lines: HOME_LINES,
    settleMs: 120_000,
    returnMs: 30_000,
    drain,
  }
}

/** Peers of the exact scenarios are at most 12. */
function sizeFor(peers: number): Size {
  return peers <= 20 ? 'few' : 'many'
}

const SHORT = { peers: 15, settleMs: 40_000, durationMs: 150_000 }
/** Where memory is scarce: so many tabs that the model has a home while some are away, and time for loads of 700 MB, 56 s each. */
const SHORT_SCARCE = { peers: 30, settleMs: 120_000, durationMs: 300_000 }
/** Volunteers of short runs whose loads outlast the run. Long runs have none: what their sessions get is held against a bound without any. */
const SHORT_LINES: LineMix = { ...HOME_LINES, slowShare: 0.1 }
/** Positions of the models' context in short runs: two sessions fill a stage's KV. */
const SHORT_CONTEXT = 128

export interface ShortRun {
  readonly seed: number
  /** Null: the standard ones in turn. */
  readonly scenario: string | null
  readonly stagesMin: number
  readonly drain: SimulationOptions['drain']
}

/** At least 8 tabs, 50 sessions and 20 faults each. Short answers, little room for logs and KV. */
export function shortRun({ seed, scenario, stagesMin, drain }: ShortRun): SimulationOptions {
  const name = scenario ?? scenarioNames[seed % scenarioNames.length] ?? ''
  return {
    scenario: loadScenarioOnce(name),
    ...(name === 'scarce-memory' ? SHORT_SCARCE : SHORT),
    seed,
    sessions: 60,
    crowdsAmongThem: false,
    leaves: 10,
    faults: 16,
    crowdSize: 3,
    prompt: { least: 4, most: 40 },
    answer: { least: 4, most: 16 },
    stagesMin,
    tickMs: 2_000,
    logBytesMax: 1_500,
    least: { peers: 8, sessions: 50, faults: 20 },
    receipts: true,
    lines: SHORT_LINES,
    returnMs: 15_000,
    drain,
  }
}

/** A short run of few long sessions: over checkpoints, and with more positions than a stage serves without the driver's receipt. */
export function longSessionsRun({ seed, stagesMin, drain }: Omit<ShortRun, 'scenario'>): SimulationOptions {
  const name = scenarioNames[seed % scenarioNames.length] ?? ''
  return {
    ...shortRun({ seed, scenario: name, stagesMin, drain }),
    scenario: loadScenario(name, 'few'),
    durationMs: 400_000,
    sessions: 20,
    prompt: { least: 50, most: 2_500 },
    answer: { least: 20, most: 600 },
    logBytesMax: 20_000,
    least: { peers: 8, sessions: 15, faults: 15 },
  }
}

const loaded = new Map<string, Scenario>()

function loadScenarioOnce(name: string): Scenario {
  const known = loaded.get(name)
  if (known !== undefined) return known
  const scenario = loadScenario(name, 'few')
  const models = scenario.models.map(({ swarm, ...model }) => ({
    ...model,
    swarm: { ...swarm, costs: { ...swarm.costs, contextLength: SHORT_CONTEXT } },
  }))
  const short = { ...scenario, models }
  loaded.set(name, short)
  return short
}
