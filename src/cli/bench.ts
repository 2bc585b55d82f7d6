/** `tabswarm bench`: measures what the README and docs/benchmarks claim. `bench engine` is one engine in this process. */

import type { Command } from 'commander'
import type { ResolvedModel } from '../node/index.ts'
import type { Engine, EngineUsage, Segment, Slot } from '../worker/index.ts'
import { registerBenchKernels } from './benchKernels.ts'
import { ENGINE_ADAPTERS, type EngineAdapter, enterAdapter, openEngine, parseAdapter, parseKvType } from './engine.ts'
import { printJson, printLine, printNote, progressPrinter } from './output.ts'

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
  readonly gpuBytes: Pick<EngineUsage, 'weightBytes' | 'kvBytes' | 'scratchBytes'> & { readonly totalBytes: number }
  /** One session, a prompt of `tokens` in one pass, from an empty cache. */
  readonly prefill: readonly Measured<{ readonly tokens: number }>[]
  /** One token a session and pass, behind PROMPT_TOKENS; tokens of all sessions together. */
  readonly decode: readonly Measured<{ readonly sessions: number }>[]
}

type Measured<What> = What & { readonly tokensPerSecond: number; readonly medianMs: number; readonly runs: number }

const PREFILL_TOKENS = [64, 512]
const DECODE_SESSIONS = [1, 8]
/** What a decode step attends to at the least. */
const PROMPT_TOKENS = 32
/** The first pass of a shape compiles pipelines. */
const WARM_UP_RUNS = 1
const RUNS_MIN = 3
const RUNS_MAX = 21
/** A measurement goes on until it has taken this long, or RUNS_MAX; a slow adapter does RUNS_MIN. */
const MEASURE_MS = 5_000

export function registerBenchCommands(program: Command): void {
  const bench = program.command('bench').description('measure how fast this machine computes')
  bench
    .command('engine')
    .description('one engine in this process: prompt and answer tokens a second, and its memory')
    .option('--model <id|file|url>', 'the model', 'default')
    .option('--adapter <name>', ENGINE_ADAPTERS.join(', '), parseAdapter, 'default')
    .option('--kv <type>', 'type of the KV cache: f32 or f16 (default: what the adapter does best)', parseKvType)
    .option('--json', 'one JSON value on stdout', false)
    .action(benchEngine)
  registerBenchKernels(bench)
}

async function benchEngine(options: BenchOptions): Promise<void> {
  const exitCode = await enterAdapter(options.adapter)
  if (exitCode !== null) {
    process.exitCode = exitCode
    return
  }
  const { resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
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
  const { createTensorLoader } = await import('../model/index.ts')
  const { nodeClock, nodeSha256 } = await import('../node/index.ts')
  const { manifest } = model.hashedManifest
  const startedMs = nodeClock.nowMs()
  await engine.load({
    manifest,
    span: { firstLayer: 0, endLayer: manifest.config.layerCount },
    loadTensor: createTensorLoader({ source: model.source, sha256: nodeSha256 }),
    memoryBytesMax: Number.MAX_SAFE_INTEGER,
    kvPositions: Math.max(...PREFILL_TOKENS, Math.max(...DECODE_SESSIONS) * decodePositions()),
    onProgress: () => undefined,
    signal: new AbortController().signal,
  })
  const loadMs = nodeClock.nowMs() - startedMs
  const { weightBytes, kvBytes, scratchBytes } = engine.usage()
  const bench = new Bench(engine, manifest.config.layerCount, manifest.config.vocabularySize, () => nodeClock.nowMs())
  const prefill: EngineBench['prefill'][number][] = []
  for (const tokens of PREFILL_TOKENS.filter((count) => count <= manifest.config.contextLength)) prefill.push(await bench.prefill(tokens))
  const decode: EngineBench['decode'][number][] = []
  for (const sessions of DECODE_SESSIONS) decode.push(await bench.decode(sessions))
  return {
    model: manifest.id,
    engine: engine.info.engine,
    adapter: engine.info.adapter,
    numericClass: engine.info.numericClass,
    loadMs,
    gpuBytes: { weightBytes, kvBytes, scratchBytes, totalBytes: weightBytes + kvBytes + scratchBytes },
    prefill,
    decode,
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
    const result = await this.#repeat(tokens, async () => {
      this.#engine.truncate(slot, 0)
      await this.#engine.forward([this.#segment(slot, 'prompt', tokens)])
    })
    this.#engine.close(slot)
    return { tokens, ...result }
  }

  async decode(sessions: number): Promise<Measured<{ sessions: number }>> {
    const slots = Array.from({ length: sessions }, () => this.#open(decodePositions()))
    await this.#engine.forward(slots.map((slot) => this.#segment(slot, 'prompt', PROMPT_TOKENS)))
    const result = await this.#repeat(sessions, async () => {
      await this.#engine.forward(slots.map((slot) => this.#segment(slot, 'decode', 1)))
    })
    for (const slot of slots) this.#engine.close(slot)
    return { sessions, ...result }
  }

  /** Median of some runs, each of `tokens` tokens. */
  async #repeat(tokens: number, run: () => Promise<void>): Promise<{ tokensPerSecond: number; medianMs: number; runs: number }> {
    for (let warmUp = 0; warmUp < WARM_UP_RUNS; warmUp++) await run()
    const times: number[] = []
    let totalMs = 0
    while (times.length < RUNS_MIN || (totalMs < MEASURE_MS && times.length < RUNS_MAX)) {
      const startedMs = this.#nowMs()
      await run()
      const tookMs = this.#nowMs() - startedMs
      times.push(tookMs)
      totalMs += tookMs
    }
    times.sort((a, b) => a - b)
    const medianMs = times[Math.floor(times.length / 2)] ?? Number.NaN
    return { tokensPerSecond: (1000 * tokens) / medianMs, medianMs, runs: times.length }
  }

  #open(maxPositions: number): Slot {
    const opened = this.#engine.open({ span: { firstLayer: 0, endLayer: this.#layerCount }, maxPositions })
    if (!opened.ok) throw new Error(`assertion failed: the KV cache was loaded without room for ${maxPositions} positions`)
    return opened.value
  }

  #segment(slot: Slot, kind: 'prompt' | 'decode', count: number): Segment {
    const firstPosition = this.#engine.length(slot)
    const ids = Uint32Array.from({ length: count }, (_, index) => (7 + 31 * (firstPosition + index)) % this.#vocabularySize)
    return { slot, kind, firstPosition, input: { kind: 'tokens', ids }, output: { kind: 'candidates', resultCount: 1, topK: 1 } }
  }
}

function show(result: EngineBench): void {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
  const line = (what: string, { tokensPerSecond, medianMs, runs }: Measured<unknown>) =>
    printLine(`${what.padEnd(22)}${tokensPerSecond.toFixed(1).padStart(9)} tokens/s   (median ${medianMs.toFixed(1)} ms of ${runs} runs)`)
  const { weightBytes, kvBytes, scratchBytes, totalBytes } = result.gpuBytes
  printNote(`${result.model} on ${result.adapter}, ${result.numericClass}, loaded in ${result.loadMs.toFixed(0)} ms`)
  for (const entry of result.prefill) line(`prompt of ${entry.tokens}`, entry)
  for (const entry of result.decode) line(`answer, ${entry.sessions} session${entry.sessions === 1 ? '' : 's'}`, entry)
  printLine(`memory ${mb(totalBytes)}: weights ${mb(weightBytes)}, KV cache ${mb(kvBytes)}, scratch ${mb(scratchBytes)}`)
}
