/** `tabswarm bench kernels`: the kernel suite in a terminal, on Dawn in this process or in a headless tab. */

import type { Command } from 'commander'
import {
  type CaseFailure,
  type CaseResult,
  caseKey,
  checkCase,
  fits,
  projections,
  SUITE_KERNELS,
  type SuiteAdapter,
  type SuiteCase,
  SuiteError,
  type SuiteFormat,
  type SuiteKernel,
  suiteFormats,
  suitePresets,
} from '../kernels/suite/index.ts'
import type { GpuAdapterName } from '../node/index.ts'
import { KERNEL_VERSION } from '../worker/index.ts'
import type { TerminalRun } from './benchRun.ts'
import { BenchTable, progressNotes } from './benchTable.ts'
import { listOf, oneOf, parseFormats, parseShapes, wholeNumbers } from './listOptions.ts'
import { printJson, printNote, UsageError } from './output.ts'

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
    .option('--rows <rows>', 'input rows of matvec, 1 to 8', wholeNumbers('--rows', 1, 8), [1])
    .option('--prompt-rows <rows>', 'input rows of matmul', wholeNumbers('--prompt-rows', 1, 2048), [128])
    .option('--positions <positions>', 'that decode attention sees', wholeNumbers('--positions', 1, 131_072), [2048])
    .option('--json', 'one JSON value on stdout', false)
    .action(benchKernels)
}

async function benchKernels(options: KernelOptions): Promise<void> {
  // What cannot be is refused before anything starts.
  if (options.runtime === 'chromium' && options.adapter === 'lavapipe')
    throw new UsageError('Chromium takes no lavapipe for WebGPU; use --runtime node, or --adapter swiftshader')
  for (const entry of casesOf(options, ['f32', 'f16'])) refuseBadCase(entry)
  noteLeftOut(options)
  const results: CaseResult[] = []
  const failures: CaseFailure[] = []
  let adapter: SuiteAdapter | null = null
  const table = options.json ? null : new BenchTable()
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
/** A run's file as the page reads it, but for the adapter's name in place of what is known of it. */
function report(adapter: SuiteAdapter | null, cases: readonly CaseResult[], failures: readonly CaseFailure[]): object {
  return {
    format: 'tabswarm-bench-1',
    adapter: adapter?.description ?? null,
    device: adapter,
    kernelVersion: KERNEL_VERSION,
    cases,
    failures,
  }
}

function casesOf(options: KernelOptions, kvFormats: readonly SuiteFormat[]): SuiteCase[] {
  const presets = suitePresets.filter(({ id }) => options.presets?.includes(id) ?? false)
  const heads = presets.length > 0 ? presets.map((preset) => [preset.heads, preset.kvHeads, preset.headSize]) : [DEFAULT_HEADS]
  const cases = options.cases.flatMap((kernel): SuiteCase[] => {
    if (kernel === 'attention_decode')
      return options.positions.flatMap((positions) =>
        heads.flatMap((sizes) => kvFormats.map((format) => ({ kernel, format, shape: [positions, ...sizes], rows: 1 }))),
      )
    const rowCounts = kernel === 'matvec' ? options.rows : options.promptRows
    return options.formats.flatMap((format) =>
      rowCounts.flatMap((rows) => shapesOf(options, format).map((shape) => ({ kernel, format, shape, rows }))),
    )
  })
  return [...new Map(cases.map((entry) => [caseKey(entry), entry])).values()]
}

function chosenShapes({ shapes, presets = [] }: KernelOptions): readonly (readonly [number, number])[] {
  if (shapes !== undefined) return shapes
  const chosen = suitePresets.filter(({ id }) => presets.includes(id))
  return chosen.length > 0 ? chosen.flatMap(projections) : DEFAULT_SHAPES
}

/** Those whose inputs are whole blocks of the format; all, to be refused, where there is none. */
function shapesOf(options: KernelOptions, format: SuiteFormat): readonly (readonly [number, number])[] {
  const shapes = chosenShapes(options)
  const fitting = shapes.filter(([, inputs]) => fits(format, inputs))
  return fitting.length > 0 ? fitting : shapes
}

function noteLeftOut(options: KernelOptions): void {
  if (!options.cases.some((kernel) => kernel !== 'attention_decode')) return
  for (const format of options.formats) {
    const left = chosenShapes(options).filter((shape) => !shapesOf(options, format).includes(shape))
    if (left.length > 0)
      printNote(
        `${format}: leaving out ${left.map(([outputs, inputs]) => `${outputs}x${inputs}`).join(', ')}, whose inputs are no whole blocks`,
      )
  }
}

function refuseBadCase(entry: SuiteCase): void {
  try {
    checkCase(entry)
  } catch (error) {
    throw error instanceof SuiteError ? new UsageError(error.message) : error
  }
}
