/** Requests for answers: from a client's JSON, by its schema, to what the driver is asked. */

import * as v from 'valibot'
import type { Tier } from '../../shared/index.ts'
import type { Payer } from '../economy/index.ts'
import { badParameter } from './apiError.ts'
import { checkRoles, messagesSchema, promptMessages } from './messages.ts'
import { CHAT_PARAMETERS, COMPLETION_PARAMETERS, honouredOf, type Parameters } from './parameters.ts'
import type { Among, AnswerSampling, OfferedModel, Prompt } from './ports.ts'
import { responseFormatSchema } from './responseFormat.ts'
import { type CallableTools, readTools, toolChoiceSchema, toolsSchema } from './tools.ts'

/** Answers to one prompt at once. */
const CHOICES_MAX = 8
/** As OpenAI's. */
const STOPS_MAX = 4
const STOP_CHARACTERS_MAX = 1_000
export const TOP_LOGPROBS_MAX = 20
const COMPLETION_LOGPROBS_MAX = 5
/** Token ids of a prompt; the model's own context is shorter. */
export const PROMPT_IDS_MAX = 1_048_576
/** Half of the whole numbers that there are: negative seeds are others. */
const SEED_SPAN = 2 ** 52
/** Each costs some steps a token. */
const BIASES_MAX = 1_024

/** As OpenAI's, like the two that follow. */
const METADATA_PAIRS_MAX = 16
const METADATA_NAME_CHARACTERS_MAX = 64
const METADATA_VALUE_CHARACTERS_MAX = 512

export const whole = (least: number, most: number) => v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))
export const real = (least: number, most: number) => v.pipe(v.number(), v.minValue(least), v.maxValue(most))
export const metadataSchema = v.pipe(
  v.record(v.pipe(v.string(), v.maxLength(METADATA_NAME_CHARACTERS_MAX)), v.pipe(v.string(), v.maxLength(METADATA_VALUE_CHARACTERS_MAX))),
  v.check((pairs) => Object.keys(pairs).length <= METADATA_PAIRS_MAX, `more than ${METADATA_PAIRS_MAX} pairs`),
)
const stopText = v.pipe(v.string(), v.minLength(1), v.maxLength(STOP_CHARACTERS_MAX))

export const sharedEntries = {
  model: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  stream: v.optional(v.boolean(), false),
  stream_options: v.optional(v.strictObject({ include_usage: v.nullish(v.boolean()), include_obfuscation: v.nullish(v.boolean()) })),
  stop: v.optional(v.union([stopText, v.pipe(v.array(stopText), v.maxLength(STOPS_MAX))]), []),
  max_tokens: v.optional(whole(1, PROMPT_IDS_MAX)),
  temperature: v.optional(real(0, 2), 1),
  top_p: v.optional(v.pipe(real(0, 1), v.gtValue(0)), 1),
  top_k: v.optional(whole(-1, PROMPT_IDS_MAX), 0),
  min_p: v.optional(real(0, 1), 0),
  seed: v.optional(whole(-SEED_SPAN, SEED_SPAN - 1)),
  n: v.optional(whole(1, CHOICES_MAX), 1),
  presence_penalty: v.optional(real(-2, 2), 0),
  frequency_penalty: v.optional(real(-2, 2), 0),
  repetition_penalty: v.optional(real(0.01, 100), 1),
  logit_bias: v.optional(
    v.pipe(v.record(v.pipe(v.string(), v.regex(/^\d{1,7}$/, 'a token id is a whole number')), real(-100, 100)), v.maxEntries(BIASES_MAX)),
    {},
  ),
  service_tier: v.optional(v.picklist(['auto', 'default', 'flex', 'priority']), 'auto'),
}

export const chatSchema = v.strictObject({
  ...sharedEntries,
  messages: messagesSchema,
  max_completion_tokens: v.optional(whole(1, PROMPT_IDS_MAX)),
  logprobs: v.optional(v.boolean(), false),
  top_logprobs: v.optional(whole(0, TOP_LOGPROBS_MAX)),
  response_format: v.optional(responseFormatSchema, { type: 'text' }),
  tools: v.optional(toolsSchema, []),
  tool_choice: v.optional(toolChoiceSchema),
  parallel_tool_calls: v.optional(v.boolean(), true),
})

const tokenIds = v.pipe(v.array(whole(0, 2 ** 31)), v.minLength(1), v.maxLength(PROMPT_IDS_MAX))
export const completionSchema = v.strictObject({
  ...sharedEntries,
  prompt: v.union(
    [v.string(), v.pipe(v.array(v.string()), v.length(1)), tokenIds, v.pipe(v.array(tokenIds), v.length(1))],
    'one text is expected, alone or in an array, or one array of token ids',
  ),
  logprobs: v.optional(whole(0, COMPLETION_LOGPROBS_MAX)),
  max_tokens: v.optional(whole(0, PROMPT_IDS_MAX)),
  echo: v.optional(v.boolean(), false),
})

export type ServiceTier = 'default' | 'flex' | 'priority'

export interface AnswerRequest {
  /** What the client calls it. */
  readonly model: string
  readonly prompt: Prompt
  /** Null: what the context leaves, up to a bound. */
  readonly maxTokens: number | null
  /** Of the first choice; those after it have the next seeds. */
  readonly sampling: AnswerSampling
  readonly stop: readonly string[]
  readonly choices: number
  readonly tier: Tier
  /** The same in OpenAI's words. */
  readonly serviceTier: ServiceTier
  readonly topLogprobs: number | null
  /** Choices begin with the prompt. */
  readonly echo: boolean
  /** Of all choices; null: they may be anything. */
  readonly grammar: string | null
  /** What they may call; null: nothing. */
  readonly tools: CallableTools | null
  readonly stream: boolean
  /** Whether a stream ends with a chunk of its usage. */
  readonly includeUsage: boolean
}

/** A request that may be answered. */
export interface Accepted<Request extends AnswerRequest = AnswerRequest> {
  readonly asked: Request
  /** Null: nobody pays. */
  readonly payer: (Payer & Among) | null
  readonly model: OfferedModel
}

/** `drawSeed`: for requests that name none. Throws an ApiError. */
export function readChatRequest(body: unknown, drawSeed: () => number): AnswerRequest {
  checkRoles(body)
  const request = read(body, CHAT_PARAMETERS, chatSchema)
  const { max_tokens: old, max_completion_tokens: maxTokens = old, logprobs, top_logprobs: top } = request
  if (old !== undefined && maxTokens !== old)
    throw badParameter('max_tokens', 'max_tokens and max_completion_tokens say the same thing: give one of them')
  if (top !== undefined && !logprobs) throw badParameter('top_logprobs', 'top_logprobs needs logprobs: true')
  const messages = promptMessages(request.messages)
  const { tool_choice: choice = 'auto' } = request
  const { definitions, callable, grammar } = readTools({
    tools: request.tools.map((tool) => tool.function),
    choice: typeof choice === 'object' ? choice.function : choice,
    isParallel: request.parallel_tool_calls,
    format: request.response_format,
    places: CHAT_PLACES,
  })
  return {
    ...sharedOf(request, drawSeed),
    prompt: { kind: 'messages', messages, ...(definitions.length > 0 && { tools: definitions }) },
    maxTokens: maxTokens ?? null,
    topLogprobs: logprobs ? (top ?? 0) : null,
    echo: false,
    grammar,
    tools: callable,
  }
}

const CHAT_PLACES = { tool: (index: number) => `tools.${index}.function`, schema: 'response_format.json_schema.schema' }

/** OpenAI's own default, which its users know. */
const COMPLETION_TOKENS_DEFAULT = 16

/** See `readChatRequest`. */
export function readCompletionRequest(body: unknown, drawSeed: () => number): AnswerRequest {
  const request = read(body, COMPLETION_PARAMETERS, completionSchema)
  const { max_tokens: maxTokens = COMPLETION_TOKENS_DEFAULT, logprobs = null, echo } = request
  if (maxTokens === 0 && !echo) throw badParameter('max_tokens', 'max_tokens: 0 needs echo: true, else there is nothing to answer')
  const prompt = promptOf(request.prompt)
  return { ...sharedOf(request, drawSeed), prompt, maxTokens, topLogprobs: logprobs, echo, grammar: null, tools: null }
}

function promptOf(prompt: v.InferOutput<typeof completionSchema>['prompt']): Prompt {
  if (typeof prompt === 'string') return { kind: 'raw', text: prompt }
  const [first] = prompt
  if (typeof first === 'string') return { kind: 'raw', text: first }
  return { kind: 'ids', ids: Array.isArray(first) ? first : (prompt as readonly number[]) }
}

function sharedOf(request: Omit<v.InferOutput<typeof completionSchema>, 'prompt' | 'logprobs' | 'echo'>, drawSeed: () => number) {
  const { model, stream, stream_options: options, stop, temperature, top_p: topP, top_k: topK, min_p: minP, n: choices } = request
  if (options !== undefined && !stream) throw badParameter('stream_options', 'stream_options needs stream: true')
  const { seed = drawSeed() } = request
  const { tier, serviceTier } = TIERS_OF[request.service_tier]
  return {
    model,
    stream,
    includeUsage: options?.include_usage === true,
    stop: typeof stop === 'string' ? [stop] : stop,
    sampling: {
      ...{ temperature, topP, topK: Math.max(0, topK), minP, seed: seed < 0 ? seed + 2 * SEED_SPAN : seed },
      ...penaltiesOf(request),
    },
    choices,
    tier,
    serviceTier,
  }
}

function penaltiesOf(request: Omit<v.InferOutput<typeof completionSchema>, 'prompt' | 'logprobs' | 'echo'>) {
  return {
    presencePenalty: request.presence_penalty,
    frequencyPenalty: request.frequency_penalty,
    repetitionPenalty: request.repetition_penalty,
    logitBias: Object.entries(request.logit_bias).map(([id, bias]) => ({ id: Number(id), bias })),
  }
}

export const TIERS_OF = {
  auto: { tier: 'standard', serviceTier: 'default' },
  default: { tier: 'standard', serviceTier: 'default' },
  flex: { tier: 'spot', serviceTier: 'flex' },
  priority: { tier: 'priority', serviceTier: 'priority' },
} as const satisfies Record<string, { readonly tier: Tier; readonly serviceTier: ServiceTier }>

/** Of a name that a client made up. */
const PARAM_CHARACTERS_MAX = 200

export function read<Schema extends v.GenericSchema>(body: unknown, parameters: Parameters, schema: Schema): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, honouredOf(body, parameters))
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  const param = (v.getDotPath(issue) ?? 'body').slice(0, PARAM_CHARACTERS_MAX)
  if (issue.type === 'strict_object' && issue.received === 'undefined')
    throw badParameter(param, `${param} is missing`, 'missing_required_parameter')
  if (issue.type === 'strict_object' && issue.expected === 'never')
    throw badParameter(param, `there is no parameter ${param}; leave it out`, 'unknown_parameter')
  throw badParameter(param, `${param}: ${issue.message.slice(0, 300)}`)
}
