/** Requests of the Responses API (OpenAI's, and Open Responses): from a client's JSON to what the driver is asked, and what of it the answer repeats. */

import * as v from 'valibot'
import { badParameter } from './apiError.ts'
import { MESSAGES_MAX } from './messages.ts'
import { is, isEmpty, isTextFormat, never, type Parameters } from './parameters.ts'
import { NO_PENALTIES, type Prompt, type PromptMessage } from './ports.ts'
import {
  type AnswerRequest,
  metadataSchema,
  PROMPT_IDS_MAX,
  read,
  readChatRequest,
  readCompletionRequest,
  sharedEntries,
  TIERS_OF,
  TOP_LOGPROBS_MAX,
  whole,
} from './requests.ts'

const LOGPROBS = 'message.output_text.logprobs'

const RESPONSE_PARAMETERS: Parameters = {
  honoured: [
    'model',
    'input',
    'instructions',
    'stream',
    'max_output_tokens',
    'temperature',
    'top_p',
    'top_logprobs',
    'include',
    'metadata',
    'service_tier',
    'store',
    'previous_response_id',
  ],
  inert: [
    'user',
    'safety_identifier',
    'prompt_cache_key',
    'prompt_cache_retention',
    'parallel_tool_calls',
    'max_tool_calls',
    'stream_options',
  ],
  refused: {
    background: is(false),
    conversation: never,
    prompt: never,
    reasoning: (value) => isRecord(value) && Object.entries(value).every(([, part]) => part === null || part === 'none'),
    text: (value) => isRecord(value) && Object.entries(value).every(([name, part]) => part === null || TEXT_NEUTRAL[name]?.(part) === true),
    tools: isEmpty,
    tool_choice: is('none', 'auto'),
    truncation: is('disabled'),
    context_management: isEmpty,
    presence_penalty: is(0),
    frequency_penalty: is(0),
  },
}
const TEXT_NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = { format: isTextFormat, verbosity: is('medium') }

const textPart = v.strictObject({
  type: v.picklist(['input_text', 'output_text', 'text']),
  text: v.string(),
  annotations: v.optional(v.pipe(v.array(v.unknown()), v.maxLength(MESSAGES_MAX))),
  logprobs: v.optional(v.nullable(v.pipe(v.array(v.unknown()), v.maxLength(PROMPT_IDS_MAX)))),
})
const itemSchema = v.strictObject({
  type: v.optional(v.literal('message')),
  role: v.picklist(['system', 'developer', 'user', 'assistant']),
  // No union: its error would name the content, not what is wrong in it.
  content: v.lazy((content) => (typeof content === 'string' ? v.string() : v.pipe(v.array(textPart), v.minLength(1)))),
  id: v.nullish(v.string()),
  status: v.nullish(v.picklist(['in_progress', 'completed', 'incomplete'])),
  phase: v.nullish(v.string()),
})
const itemsSchema = v.pipe(v.array(itemSchema), v.minLength(1), v.maxLength(MESSAGES_MAX))
const { model, stream, temperature, top_p, service_tier } = sharedEntries
const responseSchema = v.strictObject({
  ...{ model, stream, temperature, top_p, service_tier },
  input: v.lazy((input) => (typeof input === 'string' ? v.string() : itemsSchema)),
  instructions: v.optional(v.string()),
  max_output_tokens: v.optional(whole(1, PROMPT_IDS_MAX)),
  top_logprobs: v.optional(whole(0, TOP_LOGPROBS_MAX)),
  include: v.optional(v.pipe(v.array(v.literal(LOGPROBS)), v.maxLength(1)), []),
  metadata: v.optional(metadataSchema, {}),
  store: v.optional(v.boolean(), false),
  previous_response_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(100))),
})

export interface ResponseRequest extends AnswerRequest {
  readonly instructions: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** Of the input. */
  readonly messages: readonly PromptMessage[]
  /** It is to be kept here. */
  readonly isStored: boolean
  /** A response that was kept, which it goes on from. */
  readonly previousId: string | null
}

/** `drawSeed`: as the API has none. Throws an ApiError. */
export function readResponseRequest(body: unknown, drawSeed: () => number): ResponseRequest {
  checkItems(body)
  const request = read(body, RESPONSE_PARAMETERS, responseSchema)
  const { instructions = null, max_output_tokens: maxTokens = null, top_logprobs: top, include } = request
  const { tier, serviceTier } = TIERS_OF[request.service_tier]
  const messages = messagesOf(request.input)
  return {
    model: request.model,
    prompt: conversation(instructions, messages),
    maxTokens,
    sampling: { ...NO_PENALTIES, temperature: request.temperature, topP: request.top_p, topK: 0, minP: 0, seed: drawSeed() },
    stop: [],
    choices: 1,
    tier,
    serviceTier,
    grammar: null,
    tools: null,
    echo: false,
    topLogprobs: include.length > 0 ? (top ?? 0) : top !== undefined && top > 0 ? top : null,
    stream: request.stream,
    includeUsage: true,
    instructions,
    metadata: request.metadata,
    messages,
    isStored: request.store,
    previousId: request.previous_response_id ?? null,
  }
}

/** Where nothing is kept: see `readResponseRequest`. */
export function readUnstoredResponse(body: unknown, drawSeed: () => number): ResponseRequest {
  const request = readResponseRequest(body, drawSeed)
  if (request.isStored) throw unsupported('store', 'to keep a response')
  if (request.previousId !== null) throw unsupported('previous_response_id', 'to go on from a response')
  return request
}

export function conversation(instructions: string | null, messages: readonly PromptMessage[]): Prompt {
  return { kind: 'messages', messages: instructions === null ? messages : [{ role: 'system', content: instructions }, ...messages] }
}

/** A completion's where it has a `prompt`, a response's where it has an `input`, else a chat's. See `readChatRequest`. */
export function readAnyRequest(body: unknown, drawSeed: () => number): AnswerRequest {
  if (isRecord(body) && 'input' in body) return readUnstoredResponse(body, drawSeed)
  return isRecord(body) && 'prompt' in body ? readCompletionRequest(body, drawSeed) : readChatRequest(body, drawSeed)
}

function messagesOf(input: v.InferOutput<typeof responseSchema>['input']): PromptMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  return input.map(({ role, content }) => ({
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  }))
}

/** Said by name, since a schema's words for it would not say what to do. */
function checkItems(body: unknown): void {
  if (!isRecord(body) || !Array.isArray(body.input)) return
  for (const [index, item] of body.input.entries()) {
    if (!isRecord(item)) continue
    const { type, content } = item
    if (typeof type === 'string' && type !== 'message') throw unsupported(`input.${index}`, `an item of type ${type}`)
    if (!Array.isArray(content)) continue
    for (const [part, one] of content.entries())
      if (isRecord(one) && typeof one.type === 'string' && !PART_TYPES.includes(one.type))
        throw unsupported(`input.${index}.content.${part}`, `content of type ${one.type}`)
  }
}

const PART_TYPES = ['input_text', 'output_text', 'text']

function unsupported(param: string, what: string) {
  return badParameter(param, `${what.slice(0, 200)} is not supported here`, 'unsupported_parameter')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
