/**
 * `tabswarm bench tolerance`: how far honest engines are apart, and how near cheats come. Sessions of the model are recorded on one engine; all replay
 * its spans from the same rows. Prints the figures; `--table` writes the table that verification and `sim --audits` read.
 */

import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ResolvedModel } from '../node/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { EngineRows, HonestPair, Places, RecordedSession, RecordRequest, ToleranceReport } from '../tolerance/index.ts'
import { ENGINE_ADAPTERS, type EngineAdapter } from './engine.ts'
import { listOf } from './listOptions.ts'
import { printJson, printLine, printNote, progressPrinter, UsageError, wholeNumber } from './output.ts'
import { openToleranceEngine, type ToleranceEngine } from './toleranceEngine.ts'
import { PROMPTS_MAX } from './tolerancePrompts.ts'
import { rowEncodingOf, type WireForm } from './wire.ts'

interface ToleranceOptions {
  readonly model: string
  readonly adapters: readonly EngineAdapter[]
  readonly sessions: number
  readonly answerTokens: number
  readonly cheatSessions: number
  readonly truthSessions: number
  readonly spans: number
  readonly sliceRows: number
  readonly wire: readonly WireForm[]
  readonly seed: number
  readonly table?: string
  readonly json: boolean
}

/** The one that no tab runs: too slow to cheat, and to replay everything. */
const TRUTH: EngineAdapter = 'cpu'

export function registerBenchTolerance(bench: Command): void {
  bench
    .command('tolerance')
    .description('how far honest engines are apart on the same rows, and how near cheats come: the tolerance of audits')
    .option('--model <id|file|url>', 'the model', 'default')
    .option('--adapters <list>', `engines; the first records: ${ENGINE_ADAPTERS.join(', ')}`, listOf('--adapters', ENGINE_ADAPTERS), [
      'wasm',
      'lavapipe',
      'swiftshader',
      'cpu',
    ])
    .option('--sessions <n>', 'recorded with each encoding', wholeNumber('--sessions', 2, PROMPTS_MAX), 8)
    .option('--answer-tokens <n>', 'of each session, at most', wholeNumber('--answer-tokens', 2, 512), 16)
    .option('--cheat-sessions <n>', 'of them cheats compute, with each encoding', wholeNumber('--cheat-sessions', 2, PROMPTS_MAX), 2)
    .option('--truth-sessions <n>', 'of them the CPU twin computes, with each encoding', wholeNumber('--truth-sessions', 1, PROMPTS_MAX), 1)
    .option('--spans <n>', 'that the layers are cut into', wholeNumber('--spans', 1, 64), 3)
    .option('--slice-rows <n>', 'consecutive rows that one audit compares', wholeNumber('--slice-rows', 1, 2_048), 16)
    .option('--wire <list>', 'encodings: f32, f16, int8', listOf('--wire', ['f32', 'f16', 'int8']), ['f16', 'int8'])
    .option('--seed <n>', 'of prompts and noise', wholeNumber('--seed', 0, 2 ** 31 - 1), 1)
    .option('--table <file>', 'write the table of distances for `sim --audits`')
    .option('--json', 'one JSON value on stdout', false)
    .action(benchTolerance)
}

async function benchTolerance(options: ToleranceOptions): Promise<void> {
  const { sessions, cheatSessions, truthSessions, table, json } = options
  const most = Math.max(cheatSessions, truthSessions)
  if (most > sessions) throw new UsageError(`--sessions ${sessions} is fewer than the ${most} that cheats or the CPU twin are to compute`)
  const { resolveModel } = await import('../node/index.ts')
  const { cutSpans, distanceTable, distanceTableText, toleranceReport } = await import('../tolerance/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const { config, id } = model.hashedManifest.manifest
  const places: Places = { spans: cutSpans(config, options.spans), width: config.width, sliceRows: options.sliceRows }
  const { recorded, engines, missing } = await measureAll(options, places, await requestsOf(options, model))
  const measured = { places, sessions: recorded, engines }
  const report = toleranceReport(measured)
  const source = `tabswarm ${process.argv.slice(2).join(' ')}; ${id}; ${engines.map(({ engine }) => engine).join(', ')}`
  if (table !== undefined) await writeFile(table, distanceTableText(distanceTable(measured, report, source)))
  const classes = engines.map(({ engine, numericClass }) => ({ engine, numericClass }))
  if (json) printJson({ model: id, wire: options.wire, seed: options.seed, ...places, engines: classes, missing, ...report })
  else show(report)
  if (report.tails === null || report.audits.falsePositives > 0) process.exitCode = 1
}

/** Sessions with the first encoding, then the same with the next. */
async function requestsOf({ seed, sessions, answerTokens, wire }: ToleranceOptions, model: ResolvedModel): Promise<RecordRequest[]> {
  const { createChatTemplate, createTokenizer, encodePrompt } = await import('../model/index.ts')
  const { drawPrompts } = await import('./tolerancePrompts.ts')
  const tokenizer = createTokenizer(model.gguf.metadata)
  const template = createChatTemplate(model.gguf.metadata, tokenizer)
  const prompts = drawPrompts(seed, sessions).map((content) => encodePrompt(tokenizer, template.render([{ role: 'user', content }])))
  const { endIds } = tokenizer
  return wire.flatMap((form) => prompts.map((promptIds) => ({ promptIds, answerTokens, encoding: rowEncodingOf(form), endIds })))
}

interface MissingEngine {
  readonly adapter: EngineAdapter
  readonly why: string
}

/** One engine after the other: each has the machine for itself. */
async function measureAll(options: ToleranceOptions, { spans }: Places, requests: readonly RecordRequest[]) {
  const engines: EngineRows[] = []
  const missing: MissingEngine[] = []
  let recorded: readonly RecordedSession[] | null = null
  for (const adapter of options.adapters) {
    const engine = await openToleranceEngine(adapter, options.model, (what) => printNote(`${adapter}: ${what}`))
    if ('missing' in engine) {
      printNote(`${adapter} is left out: ${engine.missing}`)
      missing.push({ adapter, why: engine.missing })
      continue
    }
    try {
      recorded ??= await recordOn(engine, adapter, spans, requests)
      engines.push(await engine.measure({ spans, sessions: recorded, ...sharesOf(options, adapter) }, options.seed))
    } finally {
      engine.close()
    }
  }
  if (recorded === null || engines.length < 2) {
    const why = missing.map(({ adapter, why }) => `${adapter}: ${why}`).join('; ')
    throw new TabswarmError('too-few-engines', `a distance needs two engines, and this machine has ${engines.length}. ${why}`)
  }
  return { recorded, engines, missing }
}

function recordOn(engine: ToleranceEngine, adapter: EngineAdapter, spans: Places['spans'], requests: readonly RecordRequest[]) {
  printNote(`${adapter}: records ${requests.length} sessions`)
  return engine.record(spans, requests)
}

/** Which sessions, by index, an engine computes honestly and as a cheat. */
function sharesOf({ sessions, cheatSessions, truthSessions, wire }: ToleranceOptions, adapter: EngineAdapter) {
  const firstOfEach = (count: number) => wire.flatMap((_, form) => Array.from({ length: count }, (_, index) => form * sessions + index))
  return adapter === TRUTH
    ? { honestSessions: firstOfEach(truthSessions), cheatSessions: [] }
    : { honestSessions: firstOfEach(sessions), cheatSessions: firstOfEach(cheatSessions) }
}

function show({ honest, all, audits, again, cheats, margin, tolerance, tails }: ToleranceReport): void {
  const far = (distance: number) => distance.toExponential(2).padStart(10)
  const line = (name: string, { rows, equalRows, median, p99, p999, most }: Omit<HonestPair, 'engines' | 'boundary'>) =>
    printLine(`${name.padEnd(72)}${far(median)}${far(p99)}${far(p999)}${far(most)}${`${rows}`.padStart(8)}${`${equalRows}`.padStart(8)}`)
  const heads = ['median', '99 %', '99.9 %', 'most'].map((head) => head.padStart(10))
  printLine(`${'honest rows'.padEnd(72)}${heads.join('')}${'rows'.padStart(8)}${'equal'.padStart(8)}`)
  for (const { engines, boundary, ...spread } of honest)
    line(`${engines.join(' – ')}${boundary === null ? '' : `, ${boundary.encoding}, ${boundary.after}`}`, spread)
  line('all', all)
  printLine(`the same engine again in other passes: ${again.equalRows} of ${again.rows} rows equal, at most ${again.most} apart`)
  printLine()
  printLine(`${'cheat'.padEnd(24)}${['least', '1 %', 'median'].map((head) => head.padStart(10)).join('')}  slices  missed  nearest`)
  for (const { cheat, least, p1, median, slices, missed, nearest } of cheats) {
    const counts = `${`${slices}`.padStart(8)}${`${missed}`.padStart(8)}`
    printLine(`${cheat.padEnd(24)}${far(least)}${far(p1)}${far(median)}${counts}  ${nearest.join(', audited by ')}`)
  }
  printLine()
  const { nearestCheat, least, overP999, overMost } = margin
  printLine(
    `nearest: ${nearestCheat} at ${least.toExponential(2)}, ${overP999.toFixed(1)} × the honest 99.9 %, ${overMost.toFixed(1)} × the most`,
  )
  printLine(`tolerance ${tolerance}: ${audits.falsePositives} of ${audits.slices} honest slices beyond it`)
  if (tails === null) printLine('no tolerance separates honest rows from these cheats')
  for (const { encoding, perRowByCount, perRowByTail, index } of tails ?? []) {
    const byTail = `${perRowByTail.toExponential(1)} by a tail of index ${index.toFixed(1)}`
    printLine(`an honest ${encoding} row is beyond it less often than ${perRowByCount.toExponential(1)} by count, ${byTail}`)
  }
}
