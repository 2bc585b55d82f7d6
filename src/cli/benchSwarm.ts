/**
 * `tabswarm bench swarm`: whole answers by real tabs over real WebRTC with emulated delays: how fast, how far from what computing and the way
 * alone would take, and where the rest goes. Conditions take turns within each round, so that whatever else the machine does slows all.
 */

import type { Command } from 'commander'
import type { EngineChoice } from '../peer/index.ts'
import { BenchSwarm } from './benchSwarmTabs.ts'
import { BENCH_TASKS, type BenchTask } from './benchTasks.ts'
import { DRAFT_MODEL_OPTION, resolveDraftModel } from './draftModel.ts'
import { listOf, wholeNumbers } from './listOptions.ts'
import { printJson, printLine, printNote, progressPrinter, wholeNumber } from './output.ts'
import { parseEngine } from './serve.ts'
import type { Condition, SwarmRow } from './swarmRows.ts'

interface BenchSwarmOptions {
  readonly tabs: readonly number[]
  readonly latencyMs: readonly number[]
  readonly sessions: readonly number[]
  readonly speculation: readonly Condition['speculation'][]
  readonly tasks: readonly BenchTask['name'][]
  readonly engine: EngineChoice
  readonly model: string
  readonly draftModel?: string
  readonly maxTokens: number
  readonly rounds: number
  readonly json: boolean
}

const TASK_NAMES = BENCH_TASKS.map(({ name }) => name)

export function registerBenchSwarm(bench: Command): void {
  bench
    .command('swarm')
    .description('whole answers by real tabs: speed, overhead over the ideal, where a lap spends its time')
    .option('--tabs <list>', 'volunteer tabs; a chain has as many stages', wholeNumbers('--tabs', 1, 16), [1, 2, 3])
    .option('--latency-ms <list>', 'one-way delay of a message between two tabs', wholeNumbers('--latency-ms', 0, 10_000), [0, 20, 50])
    .option('--sessions <list>', 'answers at one time', wholeNumbers('--sessions', 1, 64), [1, 8])
    .option(
      '--speculation <list>',
      'off, lookup (where the text repeats), on (by the draft model too, if there is one)',
      listOf('--speculation', ['off', 'lookup', 'on']),
      ['off', 'on'],
    )
    .option('--tasks <list>', `${TASK_NAMES.join(', ')}: of bench speculation`, listOf('--tasks', TASK_NAMES), ['edit'])
    .option('--engine <engine>', 'engine of the tabs: webgpu, wasm (no GPU), or auto: the faster one', parseEngine, 'auto')
    .option('--model <id|file|url>', 'the model to serve', 'default')
    .option(DRAFT_MODEL_OPTION, "a smaller model with the same vocabulary that drafts in the requesters' tabs")
    .option('--max-tokens <n>', 'of each answer', wholeNumber('--max-tokens', 8, 1_000), 48)
    .option('--rounds <n>', 'each condition so often; medians are told', wholeNumber('--rounds', 1, 100), 3)
    .option('--json', 'one JSON value on stdout', false)
    .action(benchSwarm)
}

async function benchSwarm(options: BenchSwarmOptions): Promise<void> {
  const { resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const draftModel = options.draftModel === undefined ? null : await resolveDraftModel(options.draftModel, model)
  const tasks = BENCH_TASKS.filter(({ name }) => options.tasks.includes(name))
  const rows: SwarmRow[] = []
  if (!options.json) showHeader()
  for (const tabs of options.tabs) {
    const { engine, maxTokens, rounds, latencyMs, sessions, speculation } = options
    const swarm = await BenchSwarm.open({ model, draftModel, tabs, engine, maxTokens, sessionsMax: Math.max(tabs, ...sessions) })
    try {
      for (const task of tasks) {
        const plan = { task, rounds, latencyMs, sessions, speculation }
        const measured = await swarm.measure(plan, (text) => printNote(`${tabs} tabs, ${task.name}, ${text}`))
        rows.push(...measured)
        if (!options.json) for (const row of measured) show(row)
      }
    } finally {
      await swarm.close()
    }
  }
  if (options.json) printJson({ model: model.hashedManifest.manifest.id, engine: options.engine, rounds: options.rounds, rows })
}

const COLUMNS = ['tabs', 'delay', 'sessions', 'drafts', 'task', 'tokens/s', 'ideal', 'overhead', 'compute', 'hop', 'law', 'first', 'bytes']

function showHeader(): void {
  printLine(COLUMNS.map((name) => name.padStart(9)).join(''))
}

function show(row: SwarmRow): void {
  const cells = [
    row.tabs,
    row.latencyMs,
    row.sessions,
    row.speculation,
    row.task,
    row.tokensPerSecond.toFixed(2),
    row.idealTokensPerSecond.toFixed(2),
    `${row.overheadPercent.toFixed(1)} %`,
    row.computeMsPerLap.toFixed(1),
    row.hopFixedMs.toFixed(2),
    row.lawRatio === null ? '–' : `× ${row.lawRatio.toFixed(2)}`,
    row.timeToFirstTokenMs.toFixed(0),
    row.wireBytesPerToken.toFixed(0),
  ]
  printLine(cells.map((cell) => String(cell).padStart(9)).join(''))
  const { hopPartsMs: parts, speculationRatio } = row
  if (speculationRatio !== null) printLine(`${''.padStart(9)}  ${speculationRatio.toFixed(2)} × as fast as without drafts`)
  if (parts === null) return
  const { driver, transport, page, port, stage } = parts
  const text = Object.entries({ driver, transport, page, port, stage }).map(([name, ms]) => `${name} ${ms.toFixed(2)}`)
  printLine(`${''.padStart(9)}  of a hop's ms: ${text.join(', ')}`)
}
