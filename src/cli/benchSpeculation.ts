/**
 * `tabswarm bench speculation`: the same answer with drafts and without, in this process, lap by lap in turn, so that other work
 * on the machine slows both. Links are a delay that is added to each lap. Fails where the answers differ.
 */

import type { Command } from 'commander'
import { median, pairedRatios, type Quartiles, quartiles } from '../kernels/suite/index.ts'
import type { ResolvedModel } from '../node/index.ts'
import type { DraftCounts, GenerateResult } from '../session/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { Engine } from '../worker/index.ts'
import { BENCH_TASKS, type BenchTask } from './benchTasks.ts'
import { DRAFT_MODEL_OPTION, openLocalDraftModel, resolveDraftModel } from './draftModel.ts'
import { ENGINE_ADAPTERS, type EngineAdapter, openEngine, parseAdapter } from './engine.ts'
import { wholeNumbers } from './listOptions.ts'
import { printJson, printLine, printNote, wholeNumber } from './output.ts'
import { inTurns, Turns } from './turns.ts'
import { enterWithModel, loadWholeModel } from './wholeModel.ts'

interface BenchOptions {
  readonly json: boolean
  readonly adapter: EngineAdapter
  readonly model: string
  readonly draftModel?: string
  readonly rounds: number
  readonly maxTokens: number
  readonly delayMs: readonly number[]
}

interface TaskResult {
  readonly task: string
  /** What links add to a lap in all. */
  readonly delayMs: number
  readonly completionTokens: number
  /** Medians of all rounds. */
  readonly plainTokensPerSecond: number
  readonly speculativeTokensPerSecond: number
  /** Speculative ÷ plain: median and quartiles of the rounds' own. */
  readonly ratio: number
  readonly ratioQuartiles: Quartiles
  /** Of the last round. */
  readonly drafts: DraftCounts
}

const TOP_K = 128

export function registerBenchSpeculation(bench: Command): void {
  bench
    .command('speculation')
    .description('answers with drafts and without: equal tokens, and how much sooner')
    .option('--model <id|file|url>', 'the model', 'default')
    .option(DRAFT_MODEL_OPTION, 'a smaller model with the same vocabulary, which drafts where the text does not repeat')
    .option('--adapter <name>', ENGINE_ADAPTERS.join(', '), parseAdapter, 'wasm')
    .option('--rounds <n>', 'each answer so often, with and without', wholeNumber('--rounds', 1, 1_000), 6)
    .option('--max-tokens <n>', 'longest answer, in tokens', wholeNumber('--max-tokens', 2, 100_000), 160)
    .option('--delay-ms <list>', 'what links add to each lap, all hops together', wholeNumbers('--delay-ms', 0, 10_000), [0, 60])
    .option('--json', 'one JSON value on stdout', false)
    .action(benchSpeculation)
}

async function benchSpeculation(options: BenchOptions): Promise<void> {
  const model = await enterWithModel(options.adapter, options.model)
  if (model === null) return
  const engine = await openEngine(options.adapter)
  try {
    const { adapter } = engine.info
    printNote(`${model.hashedManifest.manifest.id} on ${adapter}`)
    const draftModel = options.draftModel === undefined ? null : await resolveDraftModel(options.draftModel, model)
    const bench = await openBench(engine, model, draftModel, options)
    const results: TaskResult[] = []
    for (const delayMs of options.delayMs) {
      for (const task of BENCH_TASKS) {
        const result = await bench.measure(task, delayMs)
        results.push(result)
        if (!options.json) show(result)
      }
    }
    await bench.close()
    const draft = draftModel?.hashedManifest.manifest.id ?? null
    if (options.json) printJson({ model: model.hashedManifest.manifest.id, draftModel: draft, adapter, rounds: options.rounds, results })
  } finally {
    engine.dispose()
  }
}

async function openBench(engine: Engine, model: ResolvedModel, draftModel: ResolvedModel | null, options: BenchOptions) {
  const { rounds, maxTokens, adapter } = options
  const { chunkRowsFor, createNgramDrafter, generate, lookupFirst, openEngineChain } = await import('../session/index.ts')
  const { createChatTemplate, createTokenizer, encodePrompt } = await import('../model/index.ts')
  const { KV_BLOCK_POSITIONS, kvBlockCount } = await import('../worker/index.ts')
  const { nodeClock } = await import('../node/index.ts')
  const { config } = model.hashedManifest.manifest
  const tokenizer = createTokenizer(model.gguf.metadata)
  const template = createChatTemplate(model.gguf.metadata, tokenizer)
  const encode = ({ prompt }: BenchTask) => encodePrompt(tokenizer, template.render([{ role: 'user', content: prompt }]))
  const maxPositions = Math.min(config.contextLength, maxTokens + Math.max(...BENCH_TASKS.map((task) => encode(task).length)))
  // Room for two answers, and for two more whose memory is freed while these begin.
  await loadWholeModel(engine, model, 4 * kvBlockCount(maxPositions) * KV_BLOCK_POSITIONS)
  const local = draftModel === null ? null : await openLocalDraftModel(draftModel, adapter, { sessions: 2, maxPositions })

  const answer = async (task: BenchTask, delayMs: number, speculation: 'on' | 'off', turns: Turns): Promise<GenerateResult> => {
    const span = { firstLayer: 0, endLayer: config.layerCount }
    const chain = openEngineChain({ stages: [{ engine, span }], maxPositions, topK: TOP_K, rowEncoding: 'f32' })
    const lookup = createNgramDrafter()
    const drafting = speculation === 'on' ? local?.drafter({ maxPositions, sampling: task.sampling, topK: TOP_K }) : undefined
    try {
      return await generate({
        ...inTurns(chain, turns, delayMs, nodeClock),
        tokenizer,
        promptTokenIds: encode(task),
        maxTokens,
        sampling: task.sampling,
        chunkRows: chunkRowsFor(config.width),
        ...(speculation === 'on' ? { drafter: drafting === undefined ? lookup : lookupFirst(lookup, drafting) } : {}),
      })
    } finally {
      drafting?.close()
      turns.leave()
      chain.close()
    }
  }

  return {
    close: () => local?.dispose(),
    async measure(task: BenchTask, delayMs: number): Promise<TaskResult> {
      const plain: GenerateResult[] = []
      const speculative: GenerateResult[] = []
      for (let round = 0; round < rounds; round++) {
        const turns = new Turns(2)
        // Of two equal answers the one that began second took 3 % longer: so each is second as often.
        const order = round % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)
        const results = await Promise.all(order.map((speculation) => answer(task, delayMs, speculation, turns)))
        for (const [index, result] of results.entries()) (order[index] === 'on' ? speculative : plain).push(result)
      }
      return compare(task, delayMs, plain, speculative)
    },
  }
}

function compare(task: BenchTask, delayMs: number, plain: readonly GenerateResult[], speculative: readonly GenerateResult[]): TaskResult {
  const [expected] = plain
  const differing = [...plain, ...speculative].find((result) => !isSame(result, expected))
  if (differing !== undefined) {
    throw new TabswarmError('answers-differ', `the answers to "${task.name}" differ: this breaks what speculation promises; report it`)
  }
  const speeds = plain.map(speedOf)
  const speculativeSpeeds = speculative.map(speedOf)
  const ratios = pairedRatios(speeds, speculativeSpeeds)
  return {
    task: task.name,
    delayMs,
    completionTokens: expected?.completionTokenIds.length ?? 0,
    plainTokensPerSecond: median(speeds),
    speculativeTokensPerSecond: median(speculativeSpeeds),
    ratio: median(ratios),
    ratioQuartiles: quartiles(ratios),
    drafts: speculative.at(-1)?.drafts ?? { laps: 0, draftedTokens: 0, acceptedTokens: 0 },
  }
}

function isSame(a: GenerateResult, b: GenerateResult | undefined): boolean {
  return (
    b !== undefined &&
    a.text === b.text &&
    a.finishReason === b.finishReason &&
    String(a.completionTokenIds) === String(b.completionTokenIds)
  )
}

function speedOf({ timings: { tokensPerSecond } }: GenerateResult): number {
  if (tokensPerSecond === null)
    throw new TabswarmError('too-short', 'an answer had fewer than two tokens: nothing can be measured with this model')
  return tokensPerSecond
}

function show(result: TaskResult): void {
  const { task, delayMs, completionTokens, plainTokensPerSecond, speculativeTokensPerSecond, ratio, ratioQuartiles, drafts } = result
  const [low, high] = ratioQuartiles
  const speeds = `${plainTokensPerSecond.toFixed(1)} → ${speculativeTokensPerSecond.toFixed(1)} tokens/s`
  const accepted = `${drafts.acceptedTokens} of ${drafts.draftedTokens} drafted tokens accepted, ${drafts.laps} laps`
  const times = `${ratio.toFixed(2)} × (quartiles ${low.toFixed(2)}–${high.toFixed(2)})`
  printLine(`${task.padEnd(8)}+${delayMs} ms a lap: ${speeds}, ${times}; ${completionTokens} tokens equal, ${accepted}`)
}
