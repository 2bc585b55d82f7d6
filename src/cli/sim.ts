/**
 * `tabswarm sim`: a swarm in virtual time, from one seed. One long run with its figures, or many short ones that only have to keep their
 * invariants. Ends with code 1 if one breaks, with the seed, the time and what led to it.
 */

import type { Command } from 'commander'
import { toErrorBody } from '../shared/index.ts'
import type { Broken, Measures, SimulationOptions } from '../sim/index.ts'
import { printJson, printLine, printNote, realNumber, UsageError, wholeNumber } from './output.ts'
import { simAudits } from './simAudits.ts'

interface SimOptions {
  readonly peers: number
  readonly hours: number
  readonly seed: number
  readonly scenario?: string
  readonly stages: number
  readonly runs?: number
  readonly audits?: string
  readonly json: boolean
}

/** Seeds a cheat, where --runs says nothing. */
const AUDIT_SEEDS = 1_000

/** Short runs between two lines of progress. */
const RUNS_A_NOTE = 250

/** Of a long run. */
const SCENARIO = 'mixed-gpus'

/** Short runs have their own. */
const LONG_ONLY = ['peers', 'hours'] as const

export function registerSimCommand(program: Command): void {
  program
    .command('sim')
    .description('simulate a swarm in virtual time: real core, driver and stages over modelled compute and links')
    .option('--peers <n>', 'tabs at a time, volunteers and requesters', wholeNumber('--peers', 8, 1_000), 1_000)
    .option('--hours <n>', 'of virtual time', realNumber('--hours', 0.05, 240), 24)
    .option('--seed <n>', 'of all chance; with --runs of the first', wholeNumber('--seed', 0, 2 ** 31 - 1), 1)
    .option('--scenario <name|file>', `who pledges what for which models: a name or file of test/sim/scenarios; default ${SCENARIO}`)
    .option('--stages <n>', 'that a chain has at least', wholeNumber('--stages', 1, 8), 2)
    .option('--runs <n>', 'instead: so many short runs, over all scenarios in turn or the one given', wholeNumber('--runs', 1, 1_000_000))
    .option('--audits <file>', 'instead: cheats against audits, with distances of that table; --runs seeds a cheat (1,000)')
    .option('--json', 'one JSON object on stdout', false)
    .action(async (options: SimOptions, command: Command) => {
      const { audits, runs, scenario } = options
      if (audits !== undefined) return simAudits({ ...options, audits, runs: runs ?? AUDIT_SEEDS })
      if (scenario !== undefined) await checkScenario(scenario)
      if (runs === undefined) return simOnce(options)
      const given = LONG_ONLY.find((name) => command.getOptionValueSource(name) === 'cli')
      if (given !== undefined)
        throw new UsageError(`--${given} is for one long run: short runs (--runs) have their own; leave one of the two out`)
      return simOften(options, runs)
    })
}

/** A usage error where the scenario cannot be read, with the names of those that can. */
async function checkScenario(scenario: string): Promise<void> {
  const { loadScenario, scenarioNames } = await import('../sim/index.ts')
  try {
    loadScenario(scenario, 'few')
  } catch (error) {
    const why = toErrorBody(error).message
    throw new UsageError(`--scenario ${scenario} is none of ${scenarioNames.join(', ')}, nor a file with a scenario: ${why}`)
  }
}

const settled = Promise.resolve()

/** Ticks come when no promise has anything more to do, but for one that was asked for in a tick: that comes before them. */
const drain = (callback: () => void) => {
  void settled.then(() => process.nextTick(callback))
}

async function simOnce({ peers, hours, seed, scenario = SCENARIO, stages, json }: SimOptions): Promise<void> {
  const { simulate, longRun, throughputOf } = await import('../sim/index.ts')
  const startMs = performance.now()
  const options = longRun({ scenario, peers, hours, seed, stagesMin: stages, drain })
  const measures = await simulate(options)
  const { broken } = measures
  const throughput = broken === null ? throughputOf(measures, options) : null
  const wallSeconds = Math.round((performance.now() - startMs) / 100) / 10
  const { lapsPerSecond: _, ...summary } = measures.summary()
  const result = { peers, hours, seed, scenario, ...summary, throughput, broken, wallSeconds }
  if (json) printJson(result)
  else printTable(result)
  if (broken !== null)
    fail(broken, measures, `tabswarm sim --peers ${peers} --hours ${hours} --seed ${seed} --scenario ${scenario} --stages ${stages}`)
}

async function simOften({ seed: firstSeed, scenario, stages, json }: SimOptions, runs: number): Promise<void> {
  const { simulate, shortRun } = await import('../sim/index.ts')
  const startMs = performance.now()
  const sums = { runs: 0, sessions: 0, laps: 0, events: 0, joins: 0, leaves: 0, faults: 0, answered: 0, repairs: 0 }
  const receipts = { receipts: 0, sessions: 0, undisturbed: 0, workSubmitted: 0, workPaid: 0 }
  /** Of any run. */
  const least = { peers: Number.POSITIVE_INFINITY, sessions: Number.POSITIVE_INFINITY, faults: Number.POSITIVE_INFINITY }
  let broken: (Broken & { readonly seed: number }) | null = null
  for (let seed = firstSeed; seed < firstSeed + runs && broken === null; seed++) {
    const options: SimulationOptions = shortRun({ seed, scenario: scenario ?? null, stagesMin: stages, drain })
    const measures = await simulate(options)
    const { counts } = measures
    for (const name of ['peers', 'sessions', 'faults'] as const) least[name] = Math.min(least[name], counts[name])
    const { sessions, laps, events, joins, leaves, answered, repairs } = measures.summary()
    const one = { runs: 1, sessions, laps, events, joins, leaves, answered, faults: counts.faults, repairs: repairs.count }
    for (const [name, count] of Object.entries(one) as [keyof typeof sums, number][]) sums[name] += count
    for (const name of Object.keys(receipts) as (keyof typeof receipts)[]) receipts[name] += measures.receipts[name]
    if (sums.runs % RUNS_A_NOTE === 0) printNote(`${sums.runs} of ${runs} runs`)
    if (measures.broken === null) continue
    broken = { ...measures.broken, seed }
    const of = scenario === undefined ? '' : ` --scenario ${scenario}`
    fail(measures.broken, measures, `tabswarm sim --runs 1 --seed ${seed}${of} --stages ${stages}`)
  }
  const wallSeconds = Math.round((performance.now() - startMs) / 100) / 10
  const result = { ...sums, receipts, leastOfARun: least, brokenInvariants: broken === null ? 0 : 1, broken, wallSeconds }
  if (json) printJson(result)
  else printTable(result)
}

function fail({ kind, what, atMs, trace }: Broken, { startMs }: Measures, again: string): void {
  printNote(`the invariant "${kind}" broke after ${((atMs - startMs) / 1_000).toFixed(3)} s: ${what}`)
  for (const line of trace) printNote(`  ${line}`)
  printNote(`run it again with: ${again}`)
  process.exitCode = 1
}

/** A line for each figure; objects with a line for each of theirs. */
function printTable(figures: object, indent = ''): void {
  for (const [name, value] of Object.entries(figures)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const flat = Object.values(value).every((inner) => typeof inner !== 'object')
      if (flat)
        printLine(
          `${indent}${name.padEnd(18)}${
            Object.entries(value)
              .map(([key, inner]) => `${key} ${inner ?? '–'}`)
              .join(', ') || '–'
          }`,
        )
      else printTable(value, `${indent}  `)
    } else printLine(`${indent}${name.padEnd(18)}${value ?? '–'}`)
  }
}
