/** The form of the Responses API: one response object, and the numbered events of a streamed one, each with its name. */

import type { AnswerEvent, AnswerHead, AnswerWriter, WholeChoice } from './answerForms.ts'
import { logprobOf, usageOf } from './answerForms.ts'
import type { Outcome } from './answering.ts'
import type { ChosenToken } from './ports.ts'
import type { ResponseRequest } from './responseRequests.ts'

type Head = AnswerHead<ResponseRequest>

/** Where the only text of the only message stands. */
const MESSAGE = { output_index: 0 } as const
const TEXT = { ...MESSAGE, content_index: 0 } as const

export function responseWriter(head: Head): AnswerWriter {
  let sequence = 0
  const event = (type: string, data: object): AnswerEvent => ({ name: type, data: { type, ...data, sequence_number: sequence++ } })
  const ids = { item_id: messageId(head) }
  const logprobs = (tokens: readonly ChosenToken[]) => logprobsOf(head, tokens)
  return {
    whole: ([choice], outcome) => endedResponse(head, choice?.said ?? NO_TEXT, outcome),
    begun() {
      const response = { ...responseOf(head), ...OPEN }
      return [
        event('response.created', { response }),
        event('response.in_progress', { response }),
        event('response.output_item.added', { ...MESSAGE, item: { ...messageOf(head, 'in_progress'), content: [] } }),
        event('response.content_part.added', { ...TEXT, ...ids, part: textPart(head, NO_TEXT) }),
      ]
    },
    part: (_index, { text, tokens }) => [event('response.output_text.delta', { ...TEXT, ...ids, delta: text, logprobs: logprobs(tokens) })],
    finished: () => [],
    ended([finished], outcome) {
      const choice = finished?.said ?? NO_TEXT
      const response = endedResponse(head, choice, outcome)
      const [item] = response.output
      return [
        event('response.output_text.done', { ...TEXT, ...ids, text: choice.text, logprobs: logprobs(choice.tokens) }),
        event('response.content_part.done', { ...TEXT, ...ids, part: textPart(head, choice) }),
        event('response.output_item.done', { ...MESSAGE, item }),
        event(`response.${response.status}`, { response }),
      ]
    },
    // OpenAI's keys stand beside the others', whose clients look for `error`.
    failed({ body: { error } }) {
      const { code, message, param } = error
      return event('error', { code, message, param, error })
    },
  }
}

const NO_TEXT: WholeChoice = { text: '', tokens: [], calls: [] }
const OPEN = { status: 'in_progress', completed_at: null, incomplete_details: null, output: [], usage: null } as const

function endedResponse(head: Head, choice: WholeChoice, outcome: Outcome) {
  const isCut = outcome.finishReasons[0] === 'length'
  const status = isCut ? 'incomplete' : 'completed'
  const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details, tabswarm } = usageOf(head, outcome)
  return {
    ...responseOf(head),
    status,
    completed_at: isCut ? null : head.now(),
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    output: [{ ...messageOf(head, status), content: [textPart(head, choice)] }],
    usage: {
      input_tokens: prompt_tokens,
      // What is computed is not kept for other requests.
      input_tokens_details: { ...prompt_tokens_details, cache_write_tokens: 0 },
      output_tokens: completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens,
      tabswarm,
    },
  }
}

/** All that is so from the beginning. */
function responseOf({ id, created, request }: Head) {
  const { model, instructions, metadata, maxTokens, sampling, serviceTier, topLogprobs, isStored, previousId } = request
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: created,
    model,
    instructions,
    metadata,
    max_output_tokens: maxTokens,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_logprobs: topLogprobs ?? 0,
    service_tier: serviceTier,
    error: null,
    previous_response_id: previousId,
    store: isStored,
    background: false,
    parallel_tool_calls: true,
    max_tool_calls: null,
    tools: [],
    tool_choice: 'auto',
    truncation: 'disabled',
    presence_penalty: 0,
    frequency_penalty: 0,
    reasoning: { effort: null, summary: null },
    text: { format: { type: 'text' } },
    safety_identifier: null,
    prompt_cache_key: null,
  }
}

function messageOf(head: Head, status: 'in_progress' | 'completed' | 'incomplete') {
  return { type: 'message', id: messageId(head), status, role: 'assistant' }
}

function messageId({ id }: Head): string {
  return `msg_${id}`
}

function textPart(head: Head, { text, tokens }: WholeChoice) {
  return { type: 'output_text', text, annotations: [], logprobs: logprobsOf(head, tokens) }
}

function logprobsOf({ request }: Head, tokens: readonly ChosenToken[]): readonly object[] {
  return request.topLogprobs === null ? [] : tokens.map(logprobOf)
}
