/**
 * `tabswarm model run`: a model in this process, without browser or network. The tool to compare an engine with a reference:
 * it prints every step's best logits, writes all logits on request, and may cut the layers into spans as a swarm would.
 */

import type { Command } from 'commander'
import type { Span } from '../model/index.ts'
import type { ResolvedModel } from '../node/index.ts'
import type { RowEncoding } from '../protocol/index.ts'
import type { ChainEngine, GenerateResult, GenerationTokenizer } from '../session/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { Engine } from '../worker/index.ts'
import { DRAFT_MODEL_OPTION, openLocalDraftModel, resolveDraftModel } from './draftModel.ts'
import { ENGINE_ADAPTERS, type EngineAdapter, openEngine, parseAdapter, parseKvType } from './engine.ts'
import { oneOf } from './listOptions.ts'
import { openLogitsFile } from './logitsFile.ts'
import { printJson, printLine, printNote, realNumber, UsageError, wholeNumber } from './output.ts'
import { enterWithModel, loadWholeModel } from './wholeModel.ts'

interface RunOptions {
  readonly tokenIds?: readonly number[]
  readonly raw?: string
  readonly prompt?: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly top: number
  readonly adapter: EngineAdapter
  readonly kv: 'f32' | 'f16'
  readonly spans: number
  readonly rowEncoding: RowEncoding
  readonly logitsOut?: string
  readonly speculation: 'on' | 'off'
  readonly draftModel?: string
  readonly json: boolean
}

/** Of llama.cpp's; more would be a mistake. */
const MAX_TOKENS_MAX = 1_000_000
const TOP_MAX = 256
/** Candidates that sampling chooses from, as a swarm's grant gives them. */
const SAMPLING_CANDIDATES = 128
const VOCABULARY_MAX = 4_194_304

export function registerModelRunCommand(model: Command): void {
  model
    .command('run')
    .description('compute an answer in this process: the engine without browser and network')
    .argument('<file|id|url>', 'the model')
    .option('--token-ids <ids>', 'the prompt as token ids: 1,2,3', parseTokenIds)
    .option('--raw <text>', 'the prompt as text to continue, without the chat template')
    .option('--prompt <text>', "the prompt as one user message, in the model's chat template")
    .option('--max-tokens <n>', 'most tokens of the answer; 0 computes none', wholeNumber('--max-tokens', 0, MAX_TOKENS_MAX), 128)
    .option('--temperature <t>', '0 takes the best token each time', realNumber('--temperature', 0, 100), 0)
    .option('--seed <n>', 'of the draws above temperature 0', wholeNumber('--seed', 0, Number.MAX_SAFE_INTEGER), 0)
    .option('--top <k>', 'how many of the best logits each step prints', wholeNumber('--top', 0, TOP_MAX), 10)
    .option('--adapter <name>', ENGINE_ADAPTERS.join(', '), parseAdapter, 'default')
    .option('--kv <type>', 'type of the KV cache: f32 or f16', parseKvType, 'f32')
    .option('--spans <n>', 'run the layers as this many spans', wholeNumber('--spans', 1, 1_000), 1)
    .option('--row-encoding <name>', 'what passes between the spans, as on the wire: f32, f16e or i8b', parseRowEncoding, 'f32')
    .option('--logits-out <file>', 'write the logits after each prompt token: [positions, vocabulary], f32, little-endian')
    .option(
      '--speculation <on|off>',
      'draft tokens where the text repeats; the answer is the same',
      oneOf('--speculation', ['on', 'off']),
      'on',
    )
    .option(DRAFT_MODEL_OPTION, 'a smaller model with the same vocabulary, which drafts too')
    .option('--json', 'one JSON value on stdout', false)
    .action(run)
}

function parseTokenIds(text: string): readonly number[] {
  return text.split(',').map((part) => wholeNumber('each of --token-ids', 0, VOCABULARY_MAX - 1)(part.trim()))
}

function parseRowEncoding(text: string): RowEncoding {
  if (text === 'f32' || text === 'f16e' || text === 'i8b') return text
  throw new UsageError(`--row-encoding must be f32, f16e or i8b, not "${text}"`)
}

async function run(name: string, options: RunOptions): Promise<void> {
  const prompts = [options.tokenIds, options.raw, options.prompt].filter((prompt) => prompt !== undefined)
  if (prompts.length !== 1) throw new UsageError('give the prompt once: --token-ids, --raw or --prompt')
  const model = await enterWithModel(options.adapter, name)
  if (model === null) return
  const { config } = model.hashedManifest.manifest
  if (options.spans > config.layerCount) throw new UsageError(`--spans ${options.spans}: the model has ${config.layerCount} layers`)
  const { tokenizer, promptTokenIds } = await readPrompt(model, options)
  if (promptTokenIds.length > config.contextLength)
    throw new TabswarmError(
      'prompt-too-long',
      `the prompt has ${promptTokenIds.length} tokens, and the model's context ${config.contextLength}: shorten it`,
    )
  const foreign = promptTokenIds.find((id) => id >= config.vocabularySize)
  if (foreign !== undefined) throw new UsageError(`token ${foreign} is not in the model's vocabulary of ${config.vocabularySize}`)
  const engine = await openEngine(options.adapter, options.kv)
  try {
    const result = await answer({ engine, model, tokenizer, promptTokenIds, options })
    report(engine.info.adapter, promptTokenIds, result, options)
  } finally {
    engine.dispose()
  }
}

/** Ids of the prompt, and what turns ids into text. Prompts of bare ids also work with files whose tokenizer is not supported. */
async function readPrompt(
  model: ResolvedModel,
  options: RunOptions,
): Promise<{ tokenizer: GenerationTokenizer; promptTokenIds: readonly number[] }> {
  const { createChatTemplate, createTokenizer, encodePrompt, ModelError } = await import('../model/index.ts')
  const { metadata } = model.gguf
  if (options.tokenIds !== undefined) {
    try {
      return { tokenizer: createTokenizer(metadata), promptTokenIds: options.tokenIds }
    } catch (error) {
      if (!(error instanceof ModelError && error.reason === 'unsupported')) throw error
      printNote(`${error.message}; going on with ids, without text`)
      const { vocabularySize } = model.hashedManifest.manifest.config
      return {
        tokenizer: { vocabularySize, isEnd: () => false, tokenBytes: () => new Uint8Array() },
        promptTokenIds: options.tokenIds,
      }
    }
  }
  const tokenizer = createTokenizer(metadata)
  const text = options.raw ?? createChatTemplate(metadata, tokenizer).render([{ role: 'user', content: options.prompt ?? '' }])
  const promptTokenIds = encodePrompt(tokenizer, text)
  if (promptTokenIds.length === 0) throw new UsageError('the prompt is empty: it has no tokens')
  return { tokenizer, promptTokenIds }
}

interface AnswerRequest {
  readonly engine: Engine
  readonly model: ResolvedModel
  readonly tokenizer: GenerationTokenizer
  readonly promptTokenIds: readonly number[]
  readonly options: RunOptions
}

async function answer({ engine, model, tokenizer, promptTokenIds, options }: AnswerRequest): Promise<GenerateResult> {
  const { chunkRowsFor, createNgramDrafter, generate, lookupFirst, openEngineChain } = await import('../session/index.ts')
  const { KV_BLOCK_POSITIONS, kvBlockCount } = await import('../worker/index.ts')
  const { nodeClock } = await import('../node/index.ts')
  const { config } = model.hashedManifest.manifest
  const maxPositions = Math.min(config.contextLength, promptTokenIds.length + options.maxTokens)
  await loadWholeModel(engine, model, options.spans * kvBlockCount(maxPositions) * KV_BLOCK_POSITIONS)
  const logits = options.logitsOut === undefined ? null : await openLogitsFile(options.logitsOut, engine)
  const chainEngine: ChainEngine = logits?.engine ?? engine
  const wantedTop = Math.min(Math.max(options.top, options.temperature > 0 ? SAMPLING_CANDIDATES : 1), config.vocabularySize)
  const chain = openEngineChain({
    stages: cutSpans(config.layerCount, options.spans).map((span) => ({ engine: chainEngine, span })),
    maxPositions,
    topK: wantedTop,
    rowEncoding: options.rowEncoding,
  })
  const show = !options.json
  const sampling = { temperature: options.temperature, topP: 1, topK: 0, minP: 0, seed: options.seed }
  const draftName = options.speculation === 'on' ? options.draftModel : undefined
  const draftModel = draftName === undefined ? null : await resolveDraftModel(draftName, model)
  const local = draftModel === null ? null : await openLocalDraftModel(draftModel, options.adapter, { sessions: 1, maxPositions })
  const drafter = local?.drafter({ maxPositions, sampling, topK: wantedTop })
  const lookup = createNgramDrafter()
  try {
    // Without an answer the prompt is still computed where its logits are wanted: up to a first token, which is dropped.
    const onlyPrompt = options.maxTokens === 0 && logits !== null
    const result = await generate({
      chain,
      tokenizer,
      promptTokenIds,
      maxTokens: onlyPrompt ? 1 : options.maxTokens,
      sampling,
      chunkRows: chunkRowsFor(config.width),
      clock: nodeClock,
      keepSteps: true,
      ...(options.speculation === 'on' ? { drafter: drafter === undefined ? lookup : lookupFirst(lookup, drafter) } : {}),
      onEvent: (event) => {
        if (show && !onlyPrompt && (event.kind === 'token' || event.kind === 'text')) process.stdout.write(event.text)
      },
    })
    return onlyPrompt ? { ...result, completionTokenIds: [], text: '', finishReason: 'length', steps: [] } : result
  } finally {
    drafter?.close()
    await local?.dispose()
    chain.close()
    await logits?.close()
  }
}

/** `count` spans as equal as can be. */
function cutSpans(layerCount: number, count: number): readonly Span[] {
  return Array.from({ length: count }, (_, index) => ({
    firstLayer: Math.floor((layerCount * index) / count),
    endLayer: Math.floor((layerCount * (index + 1)) / count),
  }))
}

function report(adapter: string, promptTokenIds: readonly number[], result: GenerateResult, options: RunOptions): void {
  const { completionTokenIds, text, finishReason, timings, drafts } = result
  if (options.json) {
    const steps = result.steps.map(({ id, candidates: { logSumExp, ids, logits } }) => ({
      id,
      logSumExp,
      top: Array.from(ids.subarray(0, options.top), (candidate, rank) => [candidate, logits[rank]]),
    }))
    const { tokensPerSecond } = timings
    printJson({ adapter, promptTokenIds, completionTokenIds, text, finishReason, tokensPerSecond, drafts, steps })
    return
  }
  printLine()
  const speed = timings.tokensPerSecond === null ? '' : `, ${timings.tokensPerSecond.toFixed(1)} tokens/s`
  const drafted = drafts.draftedTokens === 0 ? '' : `, ${drafts.acceptedTokens} of ${drafts.draftedTokens} drafted tokens accepted`
  printNote(`${adapter}: ${promptTokenIds.length} prompt tokens, ${completionTokenIds.length} answered (${finishReason})${speed}${drafted}`)
}
