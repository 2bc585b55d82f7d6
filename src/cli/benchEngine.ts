/** `tabswarm bench engine`: one engine in this process: prompt and answer tokens a second, what a pass costs, memory. */

import type { Command } from 'commander'
import { median, pairedRatios, type Quartiles, quartiles } from '../kernels/suite/index.ts'
import type { ResolvedModel } from '../node/index.ts'
import type { Engine, EngineUsage, ForwardResult, Segment, Slot } from '../worker/index.ts'
import { ENGINE_ADAPTERS, type EngineAdapter, openEngine, parseAdapter, parseKvType } from './engine.ts'
import { printJson, printLine, printNote } from './output.ts'
import { enterWithModel, loadWholeModel } from './wholeModel.ts'

interface BenchOptions {
  readonly json: boolean
  readonly adapter: EngineAdapter
  readonly model: string
  readonly kv?: 'f32' | 'f16'
}

interface EngineBench {
  readonly model: string
  readonly engine: string
  readonly adapter: string
  readonly numericClass: string
  readonly loadMs: number
  /** `perSpanByte`: weights on the GPU / the span's tensors in the file. */
  readonly gpuBytes: Pick<EngineUsage, 'weightBytes' | 'kvBytes' | 'scratchBytes'> & {
    readonly totalBytes: number
    readonly spanBytes: number
    readonly perSpanByte: number
  }
  /** One session, a prompt of `tokens` in one pass, from an empty cache. */
  readonly prefill: readonly Measured<{ readonly tokens: number }>[]
  /** One token a session and pass, behind PROMPT_TOKENS; tokens of all sessions together. */
  readonly decode: readonly Measured<{ readonly sessions: number }>[]
  /** Tokens a second of all sessions together / of one alone: median of the pairs of passes that were timed in turn. */
  readonly batchGains: readonly { readonly sessions: number; readonly gain: number; readonly quartiles: Quartiles }[]
}

type Measured<What> = What & {
  readonly tokensPerSecond: number
  readonly medianMs: number
  readonly runs: number
  /** What the last pass cost; null for engines that count none. */
  readonly pass: NonNullable<ForwardResult['stats']> | null
}

const PREFILL_TOKENS = [64, 512]
const DECODE_SESSIONS = [2, 3, 4, 8]
/** What a last stage reads back by default. */
const TOP_K = 128
/** What a decode step attends to at the least. */
const PROMPT_TOKENS = 32
/** The first pass of a shape compiles pipelines. */
const WARM_UP_RUNS = 1
const RUNS_MIN = 5
const RUNS_MAX = 21
/** A measurement goes on until it has taken this long, or RUNS_MAX; a slow adapter does RUNS_MIN. */
const MEASURE_MS = 5_000
/** Or this long, with however few runs: a prompt on a software adapter that others use too. */
const MEASURE_MS_MAX = 20_000

export function registerBenchEngine(bench: Command): void {
  bench
    .command('engine')
    .description('one engine in this process: prompt and answer tokens a second, what a pass costs, and its memory')
    .option('--model <id|file|url>', 'the model', 'default')
    .option('--adapter <name>', ENGINE_ADAPTERS.join(', '), parseAdapter, 'default')
    .option('--kv <type>', 'type of the KV cache: f32 or f16 (default: what the adapter does best)', parseKvType)
    .option('--json', 'one JSON value on stdout', false)
    .action(benchEngine)
}

async function benchEngine(options: BenchOptions): Promise<void> {
  const model = await enterWithModel(options.adapter, options.model)
  if (model === null) return
  const engine = await openEngine(options.adapter, options.kv)
  try {
    const result = await measure(engine, model)
    if (options.json) printJson(result)
    else show(result)
  } finally {
    engine.dispose()
  }
}

async function measure(engine: Engine, model: ResolvedModel): Promise<EngineBench> {
  const { nodeClock } = await import('../node/index.ts')
  const { KV_BLOCK_POSITIONS, kvBlockCount } = await import('../worker/index.ts')
  const { manifest } = model.hashedManifest
  const startedMs = nodeClock.nowMs()
  const decodeBlocks = DECODE_SESSIONS.reduce((sum, sessions) => sum + sessions, 1) * kvBlockCount(decodePositions())
  await loadWholeModel(engine, model, Math.max(...PREFILL_TOKENS, decodeBlocks * KV_BLOCK_POSITIONS))
  const loadMs = nodeClock.nowMs() - startedMs
  const { weightBytes, kvBytes, scratchBytes } = engine.usage()
  const bench = new Bench(engine, manifest.config.layerCount, manifest.config.vocabularySize, () => nodeClock.nowMs())
  const prefill: EngineBench['prefill'][number][] = []
  for (const tokens of PREFILL_TOKENS.filter((count) => count <= manifest.config.contextLength)) prefill.push(await bench.prefill(tokens))
  const totalBytes = weightBytes + kvBytes + scratchBytes
  const spanBytes = manifest.tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
  return {
    model: manifest.id,
    engine: engine.info.engine,
    adapter: engine.info.adapter,
    numericClass: engine.info.numericClass,
    loadMs,
    gpuBytes: { weightBytes, kvBytes, scratchBytes, totalBytes, spanBytes, perSpanByte: weightBytes / spanBytes },
    prefill,
    ...(await bench.decode(DECODE_SESSIONS)),
  }
}

function decodePositions(): number {
  return PROMPT_TOKENS + WARM_UP_RUNS + RUNS_MAX
}

class Bench {
  readonly #engine: Engine
  readonly #layerCount: number
  readonly #vocabularySize: number
  readonly #nowMs: () => number

  constructor(engine: Engine, layerCount: number, vocabularySize: number, nowMs: () => number) {
    this.#engine = engine
    this.#layerCount = layerCount
    this.#vocabularySize = vocabularySize
    this.#nowMs = nowMs
  }

  async prefill(tokens: number): Promise<Measured<{ tokens: number }>> {
    const slot = this.#open(tokens)
    const pass = async () => {
      this.#engine.truncate(slot, 0)
      return this.#engine.forward([this.#segment(slot, 'prompt', tokens)])
    }
    const [times = []] = await this.#alternate([pass])
    this.#engine.close(slot)
    return { tokens, ...summary(times, tokens) }
  }

  /** One session and several in turn, so that other work on the machine slows all. */
  async decode(counts: readonly number[]): Promise<Pick<EngineBench, 'decode' | 'batchGains'>> {
    const groups = [1, ...counts].map((sessions) => Array.from({ length: sessions }, () => this.#open(decodePositions())))
    for (const slots of groups) await this.#engine.forward(slots.map((slot) => this.#segment(slot, 'prompt', PROMPT_TOKENS)))
    const pass = (slots: readonly Slot[]) => () => this.#engine.forward(slots.map((slot) => this.#segment(slot, 'decode', 1)))
    const [one = [], ...several] = await this.#alternate(groups.map(pass))
    for (const slot of groups.flat()) this.#engine.close(slot)
    const together = counts.map((sessions, index) => ({ sessions, times: several[index] ?? [] }))
    return {
      decode: [{ sessions: 1, ...summary(one, 1) }, ...together.map(({ sessions, times }) => ({ sessions, ...summary(times, sessions) }))],
      batchGains: together.map(({ sessions, times }) => {
        const gains = pairedRatios(
          times.map(({ ms }) => ms),
          one.map(({ ms }) => sessions * ms),
        )
        return { sessions, gain: median(gains), quartiles: quartiles(gains) }
      }),
    }
  }

  /** Runs the passes in turn, some rounds; the times of each. */
  async #alternate(passes: readonly (() => Promise<ForwardResult>)[]): Promise<Timed[][]> {
    const times: Timed[][] = passes.map(() => [])
    let startMs = this.#nowMs()
    for (let round = -WARM_UP_RUNS; round < RUNS_MAX; round++) {
      if (round === 0) startMs = this.#nowMs()
      const spentMs = (this.#nowMs() - startMs) / passes.length
      if ((round >= RUNS_MIN && spentMs > MEASURE_MS) || (round >= 1 && spentMs > MEASURE_MS_MAX)) break
      for (const [index, pass] of passes.entries()) {
        const startedMs = this.#nowMs()
        const { stats = null } = await pass()
        if (round >= 0) times[index]?.push({ ms: this.#nowMs() - startedMs, pass: stats })
      }
    }
    return times
  }

  #open(maxPositions: number): Slot {
    const opened = this.#engine.open({ span: { firstLayer: 0, endLayer: this.#layerCount }, maxPositions })
    if (!opened.ok) throw new Error(`assertion failed: the KV cache was loaded without room for ${maxPositions} positions`)
    return opened.value
  }

  #segment(slot: Slot, kind: 'prompt' | 'decode', count: number): Segment {
    const firstPosition = this.#engine.length(slot)
    const ids = Uint32Array.from({ length: count }, (_, index) => (7 + 31 * (firstPosition + index)) % this.#vocabularySize)
    return { slot, kind, firstPosition, input: { kind: 'tokens', ids }, output: { kind: 'candidates', resultCount: 1, topK: TOP_K } }
  }
}

interface Timed {
  readonly ms: number
  readonly pass: NonNullable<ForwardResult['stats']> | null
}

function summary(times: readonly Timed[], tokens: number): Measured<unknown> {
  const medianMs = median(times.map(({ ms }) => ms))
  return { tokensPerSecond: (1000 * tokens) / medianMs, medianMs, runs: times.length, pass: times.at(-1)?.pass ?? null }
}

function show(result: EngineBench): void {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
  const line = (what: string, { tokensPerSecond, medianMs, runs, pass }: Measured<unknown>) => {
    printLine(`${what.padEnd(22)}${tokensPerSecond.toFixed(1).padStart(9)} tokens/s   (median ${medianMs.toFixed(1)} ms of ${runs} runs)`)
    if (pass === null) return
    const { dispatches, dispatchesPerLayer, submits, bytesRead } = pass
    const cost = `${dispatches} dispatches, ${dispatchesPerLayer.toFixed(1)} a layer, ${submits} submit${submits === 1 ? '' : 's'}`
    printLine(`${''.padEnd(22)}a pass: ${cost}, ${bytesRead} bytes read back`)
  }
  const { weightBytes, kvBytes, scratchBytes, totalBytes, spanBytes, perSpanByte } = result.gpuBytes
  printNote(`${result.model} on ${result.adapter}, ${result.numericClass}, loaded in ${result.loadMs.toFixed(0)} ms`)
  for (const entry of result.prefill) line(`prompt of ${entry.tokens}`, entry)
  for (const entry of result.decode) line(`answer, ${entry.sessions} session${entry.sessions === 1 ? '' : 's'}`, entry)
  for (const entry of result.batchGains) {
    const [low, high] = entry.quartiles
    printLine(
      `${entry.sessions} sessions together: ${entry.gain.toFixed(2)} × the tokens of one (quartiles ${low.toFixed(2)}–${high.toFixed(2)})`,
    )
  }
  printLine(`memory ${mb(totalBytes)}: weights ${mb(weightBytes)}, KV cache ${mb(kvBytes)}, scratch ${mb(scratchBytes)}`)
  printLine(`weights take ${perSpanByte.toFixed(3)} × their ${mb(spanBytes)} in the file`)
}
