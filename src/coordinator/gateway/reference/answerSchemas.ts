/** The shapes of everything that the API answers, as strict schemas: its reference is made of them, and the tests hold each body and each chunk against them. */

import * as v from 'valibot'

const nothing = v.pipe(v.array(v.never()), v.length(0))
const one = (item: v.GenericSchema) => v.pipe(v.array(item), v.length(1))
const whole = v.pipe(v.number(), v.integer(), v.minValue(0))
const finishReason = v.picklist(['stop', 'length', 'tool_calls'])

export const errorSchema = v.strictObject({
  error: v.strictObject({
    message: v.pipe(v.string(), v.minLength(1)),
    type: v.pipe(v.string(), v.minLength(1)),
    param: v.nullable(v.string()),
    code: v.nullable(v.string()),
  }),
})

export const modelSchema = v.strictObject({
  id: v.string(),
  object: v.literal('model'),
  created: whole,
  owned_by: v.string(),
  name: v.string(),
  license: v.nullable(v.string()),
  context_length: whole,
  quantization: v.nullable(v.string()),
  default: v.boolean(),
  credits_per_million_tokens: v.strictObject({ prompt: v.string(), cached_prompt: v.string(), completion: v.string() }),
  service_tiers: v.strictObject({ flex: v.number(), default: v.number(), priority: v.number() }),
  capacity: v.strictObject({ tabs: whole, layers: whole, layers_served: whole, sessions: whole }),
  pools: v.array(v.string()),
})

const routesSchema = v.array(
  v.strictObject({
    path: v.string(),
    repairs: whole,
    stages: v.array(v.strictObject({ peer: v.string(), first_layer: whole, end_layer: whole, engine: v.string(), link: v.string() })),
  }),
)
const requestId = v.pipe(v.string(), v.regex(/^req_[0-9a-f]{32}$/))
const credits = v.pipe(v.string(), v.regex(/^\d+(\.\d{1,6})?$/))

export const recordSchema = v.strictObject({
  object: v.literal('usage'),
  request_id: requestId,
  created: whole,
  model: v.string(),
  service_tier: v.picklist(['default', 'flex', 'priority']),
  pool: v.picklist(['public', 'trusted', 'mine']),
  status: v.picklist(['running', 'completed', 'failed']),
  prompt_tokens: whole,
  completion_tokens: whole,
  total_tokens: whole,
  credits,
  settled: v.boolean(),
  routes: routesSchema,
  audits: v.array(
    v.strictObject({
      session: v.string(),
      peer: v.string(),
      first_layer: whole,
      end_layer: whole,
      auditors: v.array(v.strictObject({ kind: v.picklist(['loaded', 'spare', 'coordinator']), peer: v.nullable(v.string()) })),
      verdict: v.picklist(['valid', 'failed', 'unanswered', 'undecided']),
    }),
  ),
})
export const recordsSchema = v.strictObject({
  object: v.literal('list'),
  data: v.array(recordSchema),
  has_more: v.boolean(),
  totals: v.strictObject({ requests: whole, prompt_tokens: whole, completion_tokens: whole, credits }),
})

export const estimateSchema = v.strictObject({
  promptTokens: whole,
  maxTokens: whole,
  expectedTokens: whole,
  holdCredits: credits,
  expectedCredits: credits,
  waitMs: v.nullable(whole),
  policySatisfied: v.boolean(),
})

const usageSchema = v.pipe(
  v.strictObject({
    prompt_tokens: whole,
    completion_tokens: whole,
    total_tokens: whole,
    prompt_tokens_details: v.strictObject({ cached_tokens: whole }),
    tabswarm: v.strictObject({ request_id: requestId, routes: routesSchema }),
  }),
  v.check((usage) => usage.total_tokens === usage.prompt_tokens + usage.completion_tokens, 'the total is the sum'),
)

const tokenEntries = { token: v.string(), logprob: v.pipe(v.number(), v.maxValue(0)), bytes: v.array(whole) }
const chatLogprobs = v.nullable(
  v.strictObject({
    content: v.array(v.strictObject({ ...tokenEntries, top_logprobs: v.array(v.strictObject(tokenEntries)) })),
    refusal: v.null(),
  }),
)
const oldLogprobs = v.nullable(
  v.pipe(
    v.strictObject({
      tokens: v.array(v.string()),
      token_logprobs: v.array(v.nullable(v.pipe(v.number(), v.maxValue(0)))),
      top_logprobs: v.array(v.nullable(v.record(v.string(), v.number()))),
      text_offset: v.array(whole),
    }),
    v.check(({ tokens, ...lists }) => Object.values(lists).every(({ length }) => length === tokens.length), 'as many of each as tokens'),
  ),
)

const head = { created: whole, model: v.string(), service_tier: v.picklist(['default', 'flex', 'priority']), system_fingerprint: v.null() }
const chatHead = { ...head, id: v.pipe(v.string(), v.regex(/^chatcmpl-[0-9a-f]{24}$/)) }
const oldHead = { ...head, id: v.pipe(v.string(), v.regex(/^cmpl-[0-9a-f]{24}$/)), object: v.literal('text_completion') }

const callId = v.pipe(v.string(), v.regex(/^call_[0-9a-f]{24}_\d_\d+$/))
const toolCall = v.strictObject({
  id: callId,
  type: v.literal('function'),
  function: v.strictObject({ name: v.string(), arguments: v.string() }),
})
const callDelta = v.union([
  v.strictObject({ index: whole, ...toolCall.entries }),
  v.strictObject({ index: whole, function: v.strictObject({ arguments: v.string() }) }),
])

export const chatSchema = v.strictObject({
  ...chatHead,
  object: v.literal('chat.completion'),
  choices: v.array(
    v.strictObject({
      index: whole,
      message: v.pipe(
        v.strictObject({
          role: v.literal('assistant'),
          content: v.nullable(v.string()),
          refusal: v.null(),
          tool_calls: v.optional(v.pipe(v.array(toolCall), v.minLength(1))),
        }),
        v.check(({ content, tool_calls: calls }) => content !== null || calls !== undefined, 'content, or calls'),
      ),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
    }),
  ),
  usage: usageSchema,
})

const chatDelta = v.union([
  v.strictObject({ role: v.literal('assistant'), content: v.literal(''), refusal: v.null() }),
  v.strictObject({ content: v.optional(v.string()), tool_calls: v.pipe(v.array(callDelta), v.minLength(1)) }),
  v.strictObject({ content: v.string() }),
  v.strictObject({}),
])
const chunkUsage = v.optional(v.nullable(usageSchema))
export const chatChunkSchema = v.pipe(
  v.strictObject({
    ...chatHead,
    object: v.literal('chat.completion.chunk'),
    choices: v.array(v.strictObject({ index: whole, delta: chatDelta, logprobs: chatLogprobs, finish_reason: v.nullable(finishReason) })),
    usage: chunkUsage,
  }),
  v.check(({ choices, usage }) => (choices.length === 0) === (usage != null), 'usage comes in a chunk without choices'),
)

export const oldSchema = v.strictObject({
  ...oldHead,
  choices: v.array(v.strictObject({ text: v.string(), index: whole, logprobs: oldLogprobs, finish_reason: finishReason })),
  usage: usageSchema,
})
export const oldChunkSchema = v.pipe(
  v.strictObject({
    ...oldHead,
    choices: v.array(v.strictObject({ text: v.string(), index: whole, logprobs: oldLogprobs, finish_reason: v.nullable(finishReason) })),
    usage: chunkUsage,
  }),
  v.check(({ choices, usage }) => (choices.length === 0) === (usage != null), 'usage comes in a chunk without choices'),
)

const message = (status: string, content: v.GenericSchema) =>
  v.strictObject({
    type: v.literal('message'),
    id: v.pipe(v.string(), v.regex(/^msg_[0-9a-f]{24}$/)),
    status: v.literal(status),
    role: v.literal('assistant'),
    content,
  })
const itemCallId = v.pipe(v.string(), v.regex(/^fc_[0-9a-f]{24}_\d+$/))
const functionCall = (status: string, json: v.GenericSchema = v.string()) =>
  v.strictObject({
    type: v.literal('function_call'),
    id: itemCallId,
    call_id: callId,
    name: v.pipe(v.string(), v.minLength(1)),
    arguments: json,
    status: v.literal(status),
  })
const responseLogprobs = v.array(v.strictObject({ ...tokenEntries, top_logprobs: v.array(v.strictObject(tokenEntries)) }))
const outputText = v.strictObject({
  type: v.literal('output_text'),
  text: v.string(),
  annotations: nothing,
  logprobs: responseLogprobs,
})
const endedItem = (status: string) => v.union([message(status, one(outputText)), functionCall(status)])
const responseHead = {
  id: v.pipe(v.string(), v.regex(/^resp_[0-9a-f]{24}$/)),
  object: v.literal('response'),
  created_at: whole,
  model: v.string(),
  instructions: v.nullable(v.string()),
  metadata: v.record(v.string(), v.string()),
  max_output_tokens: v.nullable(whole),
  temperature: v.number(),
  top_p: v.number(),
  top_logprobs: whole,
  service_tier: v.picklist(['default', 'flex', 'priority']),
  error: v.null(),
  previous_response_id: v.nullable(v.pipe(v.string(), v.regex(/^resp_/))),
  store: v.boolean(),
  background: v.literal(false),
  parallel_tool_calls: v.boolean(),
  max_tool_calls: v.null(),
  tools: v.array(
    v.strictObject({
      type: v.literal('function'),
      name: v.string(),
      description: v.nullable(v.string()),
      parameters: v.nullable(v.record(v.string(), v.unknown())),
      strict: v.nullable(v.boolean()),
    }),
  ),
  tool_choice: v.union([v.picklist(['none', 'auto', 'required']), v.strictObject({ type: v.literal('function'), name: v.string() })]),
  truncation: v.literal('disabled'),
  presence_penalty: v.literal(0),
  frequency_penalty: v.literal(0),
  reasoning: v.strictObject({ effort: v.null(), summary: v.null() }),
  text: v.strictObject({
    format: v.variant('type', [
      v.strictObject({ type: v.picklist(['text', 'json_object']) }),
      v.looseObject({ type: v.literal('json_schema'), name: v.string(), schema: v.record(v.string(), v.unknown()) }),
    ]),
  }),
  safety_identifier: v.null(),
  prompt_cache_key: v.null(),
}
const responseUsage = v.strictObject({
  input_tokens: whole,
  input_tokens_details: v.strictObject({ cached_tokens: whole, cache_write_tokens: v.literal(0) }),
  output_tokens: whole,
  output_tokens_details: v.strictObject({ reasoning_tokens: whole }),
  total_tokens: whole,
  tabswarm: v.strictObject({ request_id: requestId, routes: routesSchema }),
})
const openResponse = v.strictObject({
  ...responseHead,
  status: v.literal('in_progress'),
  completed_at: v.null(),
  incomplete_details: v.null(),
  output: nothing,
  usage: v.null(),
})
export const completedResponse = v.strictObject({
  ...responseHead,
  status: v.literal('completed'),
  completed_at: whole,
  incomplete_details: v.null(),
  output: v.pipe(v.array(endedItem('completed')), v.minLength(1)),
  usage: responseUsage,
})
export const incompleteResponse = v.strictObject({
  ...responseHead,
  status: v.literal('incomplete'),
  completed_at: v.null(),
  incomplete_details: v.strictObject({ reason: v.literal('max_output_tokens') }),
  output: v.pipe(v.array(v.union([endedItem('completed'), endedItem('incomplete')])), v.minLength(1)),
  usage: responseUsage,
})
const event = <Type extends string>(type: Type, entries: v.ObjectEntries) =>
  v.strictObject({ type: v.literal(type), sequence_number: whole, ...entries })
const itemAt = { output_index: whole }
const callAt = { ...itemAt, item_id: itemCallId }
const textAt = { ...itemAt, content_index: v.literal(0), item_id: v.pipe(v.string(), v.regex(/^msg_/)) }
export const responseEvent = v.variant('type', [
  event('response.created', { response: openResponse }),
  event('response.in_progress', { response: openResponse }),
  event('response.output_item.added', {
    ...itemAt,
    item: v.union([message('in_progress', nothing), functionCall('in_progress', v.literal(''))]),
  }),
  event('response.function_call_arguments.delta', { ...callAt, delta: v.pipe(v.string(), v.minLength(1)) }),
  event('response.function_call_arguments.done', { ...callAt, name: v.string(), arguments: v.string() }),
  event('response.content_part.added', { ...textAt, part: outputText }),
  event('response.output_text.delta', { ...textAt, delta: v.string(), logprobs: responseLogprobs }),
  event('response.output_text.done', { ...textAt, text: v.string(), logprobs: responseLogprobs }),
  event('response.content_part.done', { ...textAt, part: outputText }),
  event('response.output_item.done', {
    ...itemAt,
    item: v.union([endedItem('completed'), endedItem('incomplete')]),
  }),
  event('response.completed', { response: completedResponse }),
  event('response.incomplete', { response: incompleteResponse }),
  event('error', { ...errorSchema.entries.error.entries, ...errorSchema.entries }),
])

export const fileSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^file-[0-9a-f]{24}$/)),
  object: v.literal('file'),
  bytes: whole,
  created_at: whole,
  expires_at: whole,
  filename: v.string(),
  purpose: v.picklist(['batch', 'batch_output']),
  status: v.literal('processed'),
  status_details: v.null(),
})
export const deletedSchema = v.strictObject({ id: v.string(), object: v.string(), deleted: v.literal(true) })
export const listOf = (item: v.GenericSchema) =>
  v.strictObject({
    object: v.literal('list'),
    data: v.array(item),
    first_id: v.nullable(v.string()),
    last_id: v.nullable(v.string()),
    has_more: v.boolean(),
  })
const fileId = v.nullable(v.pipe(v.string(), v.regex(/^file-/)))
const faultSchema = v.strictObject({ code: v.string(), message: v.string(), param: v.nullable(v.string()), line: v.nullable(whole) })
export const batchSchema = v.pipe(
  v.strictObject({
    id: v.pipe(v.string(), v.regex(/^batch_[0-9a-f]{24}$/)),
    object: v.literal('batch'),
    endpoint: v.pipe(v.string(), v.regex(/^\/v1\//)),
    errors: v.nullable(v.strictObject({ object: v.literal('list'), data: v.pipe(v.array(faultSchema), v.minLength(1)) })),
    input_file_id: fileId,
    completion_window: v.literal('24h'),
    status: v.picklist(['validating', 'in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling', 'cancelled']),
    output_file_id: fileId,
    error_file_id: fileId,
    created_at: whole,
    in_progress_at: v.nullable(whole),
    expires_at: whole,
    finalizing_at: v.nullable(whole),
    completed_at: v.nullable(whole),
    failed_at: v.nullable(whole),
    expired_at: v.nullable(whole),
    cancelling_at: v.nullable(whole),
    cancelled_at: v.nullable(whole),
    request_counts: v.strictObject({ total: whole, completed: whole, failed: whole }),
    metadata: v.nullable(v.record(v.string(), v.string())),
  }),
  v.check(({ request_counts: { total, completed, failed } }) => completed + failed <= total, 'no more answers than lines'),
)
const answered = { id: v.pipe(v.string(), v.regex(/^batch_req_[0-9a-f]{24}$/)), custom_id: v.string() }

/** A line of a batch's output file, and of its error file. */
export const outputLine = v.strictObject({
  ...answered,
  response: v.strictObject({
    status_code: v.literal(200),
    request_id: requestId,
    body: v.union([chatSchema, oldSchema, completedResponse]),
  }),
  error: v.null(),
})
export const errorLine = v.union([
  v.strictObject({
    ...answered,
    response: v.strictObject({ status_code: v.pipe(whole, v.minValue(400)), request_id: requestId, body: errorSchema }),
    error: v.null(),
  }),
  v.strictObject({ ...answered, response: v.null(), error: v.strictObject({ code: v.string(), message: v.string() }) }),
])
