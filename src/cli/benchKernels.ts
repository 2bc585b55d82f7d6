/** `tabswarm bench kernels`: the kernel suite in a terminal, on Dawn in this process or in a headless tab. */

import type { Command } from 'commander'
import {
  type CaseFailure,
  type CaseResult,
  caseKey,
  checkCase,
  isSuiteFormat,
  projections,
  SUITE_KERNELS,
  type SuiteAdapter,
  type SuiteCase,
  SuiteError,
  type SuiteEvent,
  type SuiteFormat,
  type SuiteKernel,
  type SuiteProgress,
  suiteFormats,
  suitePresets,
} from '../kernels/suite/index.ts'
import type { GpuAdapterName } from '../node/index.ts'
import type { TerminalRun } from './benchRun.ts'
import { printJson, printLine, printNote, UsageError } from './output.ts'

type SuiteRuntimeName = 'node' | 'chromium'

interface KernelOptions {
  readonly json: boolean
  readonly runtime: SuiteRuntimeName
  readonly adapter: GpuAdapterName
  readonly against?: 'ort'
  readonly cases: readonly SuiteKernel[]
  readonly presets?: readonly string[]
  readonly shapes?: readonly (readonly [number, number])[]
  readonly formats: readonly SuiteFormat[]
  readonly kv?: readonly SuiteFormat[]
  readonly rows: readonly number[]
  readonly promptRows: readonly number[]
  readonly positions: readonly number[]
}

/** Projections of a small, a middle and a large model: [outputs, inputs]. */
const DEFAULT_SHAPES: readonly (readonly [number, number])[] = [
  [1536, 576],
  [8192, 2048],
  [14_336, 4096],
]
/** [query heads, KV heads, head size] of Llama-3.2-1B. */
const DEFAULT_HEADS = [32, 8, 64]

export function registerBenchKernels(bench: Command): void {
  const presets = suitePresets.map(({ id }) => id)
  bench
    .command('kernels')
    .description('check each kernel against its reference, then time it: alone or against ONNX Runtime')
    .option(
      '--runtime <name>',
      'node (Dawn in this process) or chromium (a headless tab)',
      oneOf('--runtime', ['node', 'chromium']),
      'node',
    )
    .option('--adapter <name>', 'swiftshader, lavapipe or default', oneOf('--adapter', ['swiftshader', 'lavapipe', 'default']), 'default')
    .option('--against <library>', 'ort: ONNX Runtime on the same adapter, in alternation', oneOf('--against', ['ort']))
    .option('--cases <kernels>', SUITE_KERNELS.join(','), listOf('--cases', SUITE_KERNELS), SUITE_KERNELS)
    .option('--presets <models>', `the shapes of ${presets.join(', ')}`, listOf('--presets', presets))
    .option('--shapes <shapes>', 'of projections, as 1536x576,8192x2048 (outputs x inputs)', parseShapes)
    .option('--formats <formats>', `of the weights: ${suiteFormats.join(', ')}`, parseFormats, ['q4_1'])
    .option('--kv <formats>', 'of the KV cache: f32, f16 (default: what the adapter can)', listOf('--kv', ['f32', 'f16']))
    .option('--rows <rows>', 'input rows of matvec, 1 to 8', wholeNumbers('--rows', 8), [1])
    .option('--prompt-rows <rows>', 'input rows of matmul', wholeNumbers('--prompt-rows', 2048), [128])
    .option('--positions <positions>', 'that decode attention sees', wholeNumbers('--positions', 131_072), [2048])
    .option('--json', 'one JSON value on stdout', false)
    .action(benchKernels)
}

async function benchKernels(options: KernelOptions): Promise<void> {
  // What cannot be is refused before anything starts.
  if (options.runtime === 'chromium' && options.adapter === 'lavapipe')
    throw new UsageError('Chromium takes no lavapipe for WebGPU; use --runtime node, or --adapter swiftshader')
  for (const entry of casesOf(options, ['f32', 'f16'])) refuseBadCase(entry)
  const results: CaseResult[] = []
  const failures: CaseFailure[] = []
  let adapter: SuiteAdapter | null = null
  const table = options.json ? null : new Table()
  const run: TerminalRun = {
    adapter: options.adapter,
    compare: options.against === 'ort',
    casesFor: ({ features }) => casesOf(options, options.kv ?? (features.includes('shader-f16') ? ['f32', 'f16'] : ['f32'])),
    listen(event) {
      if (event.kind === 'adapter') adapter = event.adapter
      if (event.kind === 'measured') results.push(event.result)
      if (event.kind === 'failed') failures.push(event.failure)
      table?.show(event)
    },
    onProgress: progressNotes(),
  }
  const exitCode = await start(options.runtime, run)
  if (exitCode !== null) {
    process.exitCode = exitCode
    return
  }
  if (options.json) printJson(report(adapter, results, failures))
  if (failures.length > 0) process.exitCode = 1
}

/** Null when it ran here; else the exit code of the process that it ran in. */
async function start(runtime: SuiteRuntimeName, run: TerminalRun): Promise<number | null> {
  if (runtime === 'chromium') {
    const { runInChromium } = await import('./benchKernelsChromium.ts')
    await runInChromium(run)
    return null
  }
  const { reexecWithGpu } = await import('../node/index.ts')
  const exitCode = await reexecWithGpu(run.adapter)
  if (exitCode !== null) return exitCode
  const { runInNode } = await import('./benchKernelsNode.ts')
  await runInNode(run)
  return null
}

/** `adapter` is its name; everything else about it is in `device`. */
function report(adapter: SuiteAdapter | null, cases: readonly CaseResult[], failures: readonly CaseFailure[]): object {
  return { adapter: adapter?.description ?? null, device: adapter, cases, failures }
}

function casesOf(options: KernelOptions, kvFormats: readonly SuiteFormat[]): SuiteCase[] {
  const presets = suitePresets.filter(({ id }) => options.presets?.includes(id) ?? false)
  const shapes = options.shapes ?? (presets.length > 0 ? presets.flatMap((preset) => projections(preset)) : DEFAULT_SHAPES)
  const heads = presets.length > 0 ? presets.map((preset) => [preset.heads, preset.kvHeads, preset.headSize]) : [DEFAULT_HEADS]
  const cases = options.cases.flatMap((kernel): SuiteCase[] => {
    if (kernel === 'attention_decode')
      return options.positions.flatMap((positions) =>
        heads.flatMap((sizes) => kvFormats.map((format) => ({ kernel, format, shape: [positions, ...sizes], rows: 1 }))),
      )
    const rowCounts = kernel === 'matvec' ? options.rows : options.promptRows
    return options.formats.flatMap((format) => rowCounts.flatMap((rows) => shapes.map((shape) => ({ kernel, format, shape, rows }))))
  })
  return [...new Map(cases.map((entry) => [caseKey(entry), entry])).values()]
}

function refuseBadCase(entry: SuiteCase): void {
  try {
    checkCase(entry)
  } catch (error) {
    throw error instanceof SuiteError ? new UsageError(error.message) : error
  }
}

class Table {
  show(event: SuiteEvent): void {
    if (event.kind === 'adapter') {
      const { description, runtime, copyGbPerSecond, multiplyAddGflops } = event.adapter
      printLine(
        `${description} in ${runtime}: copies ${copyGbPerSecond.toFixed(1)} GB/s, ${multiplyAddGflops.toFixed(1)} GFLOP/s in registers`,
      )
      printLine(
        `${'case'.padEnd(50)}${['ms', 'GB/s', 'GFLOP/s', 'of copy', 'NMSE', 'ratio', 'quartiles'].map((cell) => cell.padStart(13)).join('')}`,
      )
      return
    }
    if (event.kind === 'failed') {
      printLine(`${caseText(event.failure).padEnd(50)}  failed: ${event.failure.error.message}`)
      return
    }
    const { result } = event
    const [low, high] = result.ratioQuartiles ?? []
    const cells = [
      result.ms.toFixed(3),
      result.gbPerSecond.toFixed(2),
      result.gflops.toFixed(2),
      `${(100 * result.shareOfCopy).toFixed(0)} %`,
      result.nmse.toExponential(1),
      result.ratio?.toFixed(2) ?? '–',
      low === undefined || high === undefined ? '' : `${low.toFixed(2)}–${high.toFixed(2)}`,
    ]
    printLine(`${caseText(result).padEnd(50)}${cells.map((cell) => cell.padStart(13)).join('')}`)
    const { baseline, baselineReason } = result
    if (baseline === null) printLine(`  no baseline: ${baselineReason}`)
    else {
      const level = baseline.accuracyLevel === null ? '' : `, accuracy_level ${baseline.accuracyLevel}`
      printLine(`  ${baseline.name}${level}: ${baseline.ms.toFixed(3)} ms, NMSE ${baseline.nmse.toExponential(1)}`)
    }
  }
}

function caseText({ kernel, format, shape, rows }: SuiteCase): string {
  return `${kernel} ${format} [${shape.join(', ')}], ${rows} row${rows === 1 ? '' : 's'}`
}

/** One note a case, so that a log stays readable. */
function progressNotes(): (progress: SuiteProgress) => void {
  let last = -1
  return ({ caseIndex, caseCount }) => {
    if (caseIndex === last) return
    last = caseIndex
    printNote(`case ${caseIndex + 1} of ${caseCount}`)
  }
}

function oneOf<Name extends string>(option: string, names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const known = names.find((name) => name === text)
    if (known === undefined) throw new UsageError(`${option} must be ${names.join(' or ')}, not "${text}"`)
    return known
  }
}

function listOf<Name extends string>(option: string, names: readonly Name[]): (text: string) => readonly Name[] {
  const parse = oneOf(option, names)
  return (text) => [...new Set(text.split(',').map((part) => parse(part.trim())))]
}

function parseFormats(text: string): readonly SuiteFormat[] {
  return text.split(',').map((part) => {
    const name = part.trim().toLowerCase()
    if (!isSuiteFormat(name)) throw new UsageError(`--formats: "${part}" is none of ${suiteFormats.join(', ')}`)
    return name
  })
}

function wholeNumbers(option: string, max: number): (text: string) => readonly number[] {
  return (text) =>
    text.split(',').map((part) => {
      const value = Number(part)
      if (!/^\s*\d+\s*$/.test(part) || value < 1 || value > max)
        throw new UsageError(`${option} takes whole numbers from 1 to ${max} with commas between, not "${text}"`)
      return value
    })
}

function parseShapes(text: string): readonly (readonly [number, number])[] {
  return text.split(',').map((part) => {
    const found = /^\s*(\d+)x(\d+)\s*$/.exec(part)
    if (found === null) throw new UsageError(`--shapes takes OUTPUTSxINPUTS with commas between, as 1536x576,8192x2048, not "${text}"`)
    return [Number(found[1]), Number(found[2])]
  })
}
