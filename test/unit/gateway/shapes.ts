/**
 * The shapes of everything that the API answers, as strict schemas, and a fetch for the clients that holds each JSON body and each chunk against them
 * while it passes: a test of a client fails on what that client would have overlooked.
 */

import * as v from 'valibot'

const whole = v.pipe(v.number(), v.integer(), v.minValue(0))
const finishReason = v.picklist(['stop', 'length'])

export const errorSchema = v.strictObject({
  error: v.strictObject({
    message: v.pipe(v.string(), v.minLength(1)),
    type: v.pipe(v.string(), v.minLength(1)),
    param: v.nullable(v.string()),
    code: v.nullable(v.string()),
  }),
})

const modelSchema = v.strictObject({
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

const recordSchema = v.strictObject({
  object: v.literal('usage'),
  request_id: requestId,
  created: whole,
  model: v.string(),
  service_tier: v.picklist(['default', 'flex', 'priority']),
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
const recordsSchema = v.strictObject({
  object: v.literal('list'),
  data: v.array(recordSchema),
  has_more: v.boolean(),
  totals: v.strictObject({ requests: whole, prompt_tokens: whole, completion_tokens: whole, credits }),
})

const estimateSchema = v.strictObject({
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
      token_logprobs: v.array(v.number()),
      top_logprobs: v.array(v.record(v.string(), v.number())),
      text_offset: v.array(whole),
    }),
    v.check(({ tokens, ...lists }) => Object.values(lists).every(({ length }) => length === tokens.length), 'as many of each as tokens'),
  ),
)

const head = { created: whole, model: v.string(), service_tier: v.picklist(['default', 'flex', 'priority']), system_fingerprint: v.null() }
const chatHead = { ...head, id: v.pipe(v.string(), v.regex(/^chatcmpl-[0-9a-f]{24}$/)) }
const oldHead = { ...head, id: v.pipe(v.string(), v.regex(/^cmpl-[0-9a-f]{24}$/)), object: v.literal('text_completion') }

const chatSchema = v.strictObject({
  ...chatHead,
  object: v.literal('chat.completion'),
  choices: v.array(
    v.strictObject({
      index: whole,
      message: v.strictObject({ role: v.literal('assistant'), content: v.string(), refusal: v.null() }),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
    }),
  ),
  usage: usageSchema,
})

const chatDelta = v.union([
  v.strictObject({ role: v.literal('assistant'), content: v.literal(''), refusal: v.null() }),
  v.strictObject({ content: v.string() }),
  v.strictObject({}),
])
const chunkUsage = v.optional(v.nullable(usageSchema))
const chatChunkSchema = v.pipe(
  v.strictObject({
    ...chatHead,
    object: v.literal('chat.completion.chunk'),
    choices: v.array(v.strictObject({ index: whole, delta: chatDelta, logprobs: chatLogprobs, finish_reason: v.nullable(finishReason) })),
    usage: chunkUsage,
  }),
  v.check(({ choices, usage }) => (choices.length === 0) === (usage != null), 'usage comes in a chunk without choices'),
)

const oldSchema = v.strictObject({
  ...oldHead,
  choices: v.array(v.strictObject({ text: v.string(), index: whole, logprobs: oldLogprobs, finish_reason: finishReason })),
  usage: usageSchema,
})
const oldChunkSchema = v.pipe(
  v.strictObject({
    ...oldHead,
    choices: v.array(v.strictObject({ text: v.string(), index: whole, logprobs: oldLogprobs, finish_reason: v.nullable(finishReason) })),
    usage: chunkUsage,
  }),
  v.check(({ choices, usage }) => (choices.length === 0) === (usage != null), 'usage comes in a chunk without choices'),
)

const SCHEMAS: readonly { readonly path: RegExp; readonly body: v.GenericSchema; readonly chunk?: v.GenericSchema }[] = [
  { path: /^\/v1\/models$/, body: v.strictObject({ object: v.literal('list'), data: v.array(modelSchema) }) },
  { path: /^\/v1\/models\/[^/]+$/, body: modelSchema },
  { path: /^\/v1\/estimate$/, body: estimateSchema },
  { path: /^\/v1\/usage$/, body: recordsSchema },
  { path: /^\/v1\/usage\/[^/]+$/, body: recordSchema },
  { path: /^\/v1\/chat\/completions$/, body: chatSchema, chunk: v.union([chatChunkSchema, errorSchema]) },
  { path: /^\/v1\/completions$/, body: oldSchema, chunk: v.union([oldChunkSchema, errorSchema]) },
]

/** Throws where an answer of the address `path` is not as its schema says. */
export function checkBody(path: string, status: number, body: unknown): void {
  v.parse(status === 200 ? schemasOf(path).body : errorSchema, body)
}

export function checkChunk(path: string, data: string): void {
  if (data !== '[DONE]') v.parse(schemasOf(path).chunk ?? v.never(), JSON.parse(data))
}

function schemasOf(path: string) {
  const found = SCHEMAS.find((one) => one.path.test(path))
  if (found === undefined) throw new Error(`no schema for ${path}`)
  return found
}

export interface CheckedFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** What was not as it should be; bodies and chunks that were checked. */
  readonly seen: { readonly faults: string[]; bodies: number; chunks: number; readonly headers: Headers[] }
}

export function checkedFetch(): CheckedFetch {
  const seen: CheckedFetch['seen'] = { faults: [], bodies: 0, chunks: 0, headers: [] }
  const checked = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init)
    const path = new URL(response.url).pathname
    const { status, headers } = response
    seen.headers.push(headers)
    if (!/^req_[0-9a-f]{32}$/.test(headers.get('x-request-id') ?? '')) seen.faults.push(`${path}: no x-request-id`)
    const check = (what: () => void) => {
      try {
        what()
      } catch (error) {
        seen.faults.push(`${path} ${status}: ${error instanceof v.ValiError ? JSON.stringify(v.flatten(error.issues)) : String(error)}`)
      }
    }
    const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true
    const decoder = new TextDecoder()
    let text = ''
    const onBytes = new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        text += decoder.decode(bytes, { stream: true })
        for (let end = text.indexOf('\n\n'); isStream && end >= 0; end = text.indexOf('\n\n')) {
          const event = text.slice(0, end)
          text = text.slice(end + 2)
          if (event.startsWith(':')) continue
          seen.chunks++
          check(() => checkChunk(path, event.replace(/^data: /, '')))
        }
        controller.enqueue(bytes)
      },
      flush() {
        if (isStream) return check(() => v.parse(v.literal('', 'an event was cut off'), text))
        seen.bodies++
        check(() => checkBody(path, status, JSON.parse(text)))
      },
    })
    return new Response(response.body?.pipeThrough(onBytes) ?? null, response)
  }
  return Object.assign(checked, { seen })
}
