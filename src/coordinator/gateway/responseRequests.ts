/** Requests of the Responses API (OpenAI's, and Open Responses): from a client's JSON to what the driver is asked, and what of it the answer repeats. */

import * as v from 'valibot'
import { withCalledNames } from './messages.ts'
import { is, isEmpty, never, type Parameters } from './parameters.ts'
import { NO_PENALTIES, type Prompt, type PromptMessage, type ToolDefinition } from './ports.ts'
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
import { type TextFormat, textFormatSchema } from './responseFormat.ts'
import { checkItems, inputMessages, inputSchema, isRecord, unsupported } from './responseItems.ts'
import { flatToolChoiceSchema, flatToolsSchema, readTools } from './tools.ts'

const LOGPROBS = 'message.output_text.logprobs'

export const RESPONSE_PARAMETERS: Parameters = {
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
    'tools',
    'tool_choice',
    'parallel_tool_calls',
    'text',
  ],
  inert: ['user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'max_tool_calls', 'stream_options'],
  refused: {
    background: is(false),
    conversation: never,
    prompt: never,
    reasoning: (value) => isRecord(value) && Object.entries(value).every(([, part]) => part === null || part === 'none'),
    text: (value) => !isRecord(value) || is('medium', null, undefined)(value.verbosity),
    truncation: is('disabled'),
    context_management: isEmpty,
    presence_penalty: is(0),
    frequency_penalty: is(0),
  },
}

const { model, stream, temperature, top_p, service_tier } = sharedEntries
export const responseSchema = v.strictObject({
  ...{ model, stream, temperature, top_p, service_tier },
  input: inputSchema,
  instructions: v.optional(v.string()),
  max_output_tokens: v.optional(whole(1, PROMPT_IDS_MAX)),
  top_logprobs: v.optional(whole(0, TOP_LOGPROBS_MAX)),
  include: v.optional(v.pipe(v.array(v.literal(LOGPROBS)), v.maxLength(1)), []),
  metadata: v.optional(metadataSchema, {}),
  store: v.optional(v.boolean(), false),
  tools: v.optional(flatToolsSchema, []),
  tool_choice: v.optional(flatToolChoiceSchema, 'auto'),
  parallel_tool_calls: v.optional(v.boolean(), true),
  text: v.optional(v.strictObject({ format: v.nullish(textFormatSchema), verbosity: v.nullish(v.string()) }), {}),
  previous_response_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(100))),
})

export interface ResponseRequest extends AnswerRequest {
  readonly instructions: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** Of the input. */
  readonly messages: readonly PromptMessage[]
  /** What the model is told that it may call. */
  readonly definitions: readonly ToolDefinition[]
  /** As the client gave them: the response repeats them. */
  readonly given: Pick<v.InferOutput<typeof responseSchema>, 'tools' | 'tool_choice' | 'parallel_tool_calls'> & {
    readonly format: TextFormat
  }
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
  const messages = inputMessages(request.input)
  const { tools, tool_choice, parallel_tool_calls } = request
  const format = request.text.format ?? { type: 'text' }
  const { definitions, callable, grammar } = readTools({
    tools,
    choice: tool_choice,
    isParallel: parallel_tool_calls,
    format,
    places: { tool: (index) => `tools.${index}`, schema: 'text.format.schema' },
  })
  return {
    model: request.model,
    prompt: conversation({ instructions, definitions }, messages),
    maxTokens,
    sampling: { ...NO_PENALTIES, temperature: request.temperature, topP: request.top_p, topK: 0, minP: 0, seed: drawSeed() },
    stop: [],
    choices: 1,
    tier,
    serviceTier,
    grammar,
    tools: callable,
    echo: false,
    topLogprobs: include.length > 0 ? (top ?? 0) : top !== undefined && top > 0 ? top : null,
    stream: request.stream,
    includeUsage: true,
    instructions,
    metadata: request.metadata,
    messages,
    definitions,
    given: { tools, tool_choice, parallel_tool_calls, format },
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

export function conversation(
  { instructions, definitions }: Pick<ResponseRequest, 'instructions' | 'definitions'>,
  messages: readonly PromptMessage[],
): Prompt {
  const all = withCalledNames(instructions === null ? messages : [{ role: 'system', content: instructions }, ...messages])
  return { kind: 'messages', messages: all, ...(definitions.length > 0 && { tools: definitions }) }
}

/** A completion's where it has a `prompt`, a response's where it has an `input`, else a chat's. See `readChatRequest`. */
export function readAnyRequest(body: unknown, drawSeed: () => number): AnswerRequest {
  if (isRecord(body) && 'input' in body) return readUnstoredResponse(body, drawSeed)
  return isRecord(body) && 'prompt' in body ? readCompletionRequest(body, drawSeed) : readChatRequest(body, drawSeed)
}
