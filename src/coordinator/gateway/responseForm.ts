/**
 * The form of the Responses API: one response object, and the numbered events of a streamed one, each with its name. Its output is a message, where anything
 * is said, and calls; of a stream in the order in which they began.
 */

import type { AnswerEvent, AnswerHead, AnswerWriter, CallPart, WholeChoice } from './answerForms.ts'
import { callIdOf, logprobOf, usageOf } from './answerForms.ts'
import type { Outcome } from './answering.ts'
import type { ChosenToken } from './ports.ts'
import type { ResponseRequest } from './responseRequests.ts'

type Head = AnswerHead<ResponseRequest>
type Status = 'in_progress' | 'completed' | 'incomplete'

export type OutputItem =
  | {
      readonly type: 'message'
      readonly id: string
      readonly status: Status
      readonly role: 'assistant'
      readonly content: readonly { readonly type: 'output_text'; readonly text: string }[]
    }
  | {
      readonly type: 'function_call'
      readonly id: string
      readonly call_id: string
      readonly name: string
      readonly arguments: string
      readonly status: Status
    }

/** What an item is of: the message, or the call of that index. */
type Place = 'message' | number

export function responseWriter(head: Head): AnswerWriter {
  return new ResponseWriter(head)
}

class ResponseWriter implements AnswerWriter {
  readonly #head: Head
  #sequence = 0
  /** Items that have begun. */
  readonly #places: Place[] = []

  constructor(head: Head) {
    this.#head = head
  }

  whole: AnswerWriter['whole'] = ([choice], outcome) => {
    const said = choice?.said ?? NO_TEXT
    return this.#ended(said, outcome, placesOf(said))
  }

  begun(): readonly AnswerEvent[] {
    const response = { ...responseOf(this.#head), ...OPEN }
    return [this.#event('response.created', { response }), this.#event('response.in_progress', { response })]
  }

  part: AnswerWriter['part'] = (_index, { text, tokens, calls }) => {
    const events: AnswerEvent[] = []
    // While it may become a call, nothing is said.
    if (text !== '' || (calls.length === 0 && this.#head.request.tools === null)) {
      events.push(...this.#begin('message', NO_TEXT))
      const logprobs = logprobsOf(this.#head, tokens)
      events.push(this.#event('response.output_text.delta', { ...this.#textAt(), delta: text, logprobs }))
    }
    for (const call of calls) {
      events.push(...this.#begin(call.index, { ...NO_TEXT, calls: [{ ...call, arguments: '' }] }))
      if (call.arguments !== '')
        events.push(this.#event('response.function_call_arguments.delta', { ...this.#at(call.index), delta: call.arguments }))
    }
    return events
  }

  finished(): readonly AnswerEvent[] {
    return []
  }

  ended: AnswerWriter['ended'] = ([finished], outcome) => {
    const said = finished?.said ?? NO_TEXT
    const events = this.#places.length === 0 ? this.#begin('message', NO_TEXT) : []
    const response = this.#ended(said, outcome, this.#places)
    for (const [at, place] of this.#places.entries()) events.push(...this.#end(place, said, response.output[at]))
    return [...events, this.#event(`response.${response.status}`, { response })]
  }

  // OpenAI's keys stand beside the others', whose clients look for `error`.
  failed: AnswerWriter['failed'] = ({ body: { error } }) => {
    const { code, message, param } = error
    return this.#event('error', { code, message, param, error })
  }

  /** An item that is new. */
  #begin(place: Place, said: WholeChoice): AnswerEvent[] {
    if (this.#places.includes(place)) return []
    this.#places.push(place)
    const item = itemOf(this.#head, place, said, 'in_progress')
    if (item.type === 'function_call') return [this.#event('response.output_item.added', { output_index: this.#places.length - 1, item })]
    return [
      this.#event('response.output_item.added', { output_index: this.#places.length - 1, item: { ...item, content: [] } }),
      this.#event('response.content_part.added', { ...this.#textAt(), part: textPart(this.#head, NO_TEXT) }),
    ]
  }

  /** All of an item. */
  #end(place: Place, said: WholeChoice, item: OutputItem | undefined): AnswerEvent[] {
    const done = this.#event.bind(this, 'response.output_item.done')
    const at = { output_index: this.#places.indexOf(place) }
    if (item?.type === 'function_call') {
      const { name, arguments: json } = item
      return [this.#event('response.function_call_arguments.done', { ...this.#at(place), name, arguments: json }), done({ ...at, item })]
    }
    const { text, tokens } = said
    return [
      this.#event('response.output_text.done', { ...this.#textAt(), text, logprobs: logprobsOf(this.#head, tokens) }),
      this.#event('response.content_part.done', { ...this.#textAt(), part: textPart(this.#head, said) }),
      done({ ...at, item }),
    ]
  }

  #at(place: Place) {
    return { output_index: this.#places.indexOf(place), item_id: itemId(this.#head, place) }
  }

  #textAt() {
    return { ...this.#at('message'), content_index: 0 }
  }

  #event(type: string, data: object): AnswerEvent {
    return { name: type, data: { type, ...data, sequence_number: this.#sequence++ } }
  }

  #ended(said: WholeChoice, outcome: Outcome, places: readonly Place[]) {
    const isCut = outcome.finishReasons[0] === 'length'
    const status: Status = isCut ? 'incomplete' : 'completed'
    const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details, tabswarm } = usageOf(this.#head, outcome)
    return {
      ...responseOf(this.#head),
      status,
      completed_at: isCut ? null : this.#head.now(),
      incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
      // The last one alone was cut.
      output: places.map((place, at) => itemOf(this.#head, place, said, at === places.length - 1 ? status : 'completed')),
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
}

const NO_TEXT: WholeChoice = { text: '', tokens: [], calls: [] }
const OPEN = { status: 'in_progress', completed_at: null, incomplete_details: null, output: [], usage: null } as const

/** Where nothing is said, an empty message. */
function placesOf({ text, calls }: WholeChoice): readonly Place[] {
  return [...(text !== '' || calls.length === 0 ? (['message'] as const) : []), ...calls.map(({ index }) => index)]
}

/** All that is so from the beginning. */
function responseOf({ id, created, request }: Head) {
  const { model, instructions, metadata, maxTokens, sampling, serviceTier, topLogprobs, isStored, previousId } = request
  const { tools, tool_choice, parallel_tool_calls, format } = request.given
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
    parallel_tool_calls,
    max_tool_calls: null,
    tools: tools.map(({ description = null, parameters = null, strict = null, ...tool }) => ({ ...tool, description, parameters, strict })),
    tool_choice,
    truncation: 'disabled',
    presence_penalty: 0,
    frequency_penalty: 0,
    reasoning: { effort: null, summary: null },
    text: { format },
    safety_identifier: null,
    prompt_cache_key: null,
  }
}

function itemOf(head: Head, place: Place, said: WholeChoice, status: Status): OutputItem {
  const id = itemId(head, place)
  if (place === 'message') return { type: 'message', id, status, role: 'assistant', content: [textPart(head, said)] }
  const call: CallPart | undefined = said.calls.find(({ index }) => index === place)
  const { name, arguments: json } = call ?? { name: null, arguments: '' }
  return { type: 'function_call', id, call_id: callIdOf(head, 0, place), name: name ?? '', arguments: json, status }
}

function itemId({ id }: Head, place: Place): string {
  return place === 'message' ? `msg_${id}` : `fc_${id}_${place}`
}

function textPart(head: Head, { text, tokens }: WholeChoice) {
  return { type: 'output_text' as const, text, annotations: [], logprobs: logprobsOf(head, tokens) }
}

function logprobsOf({ request }: Head, tokens: readonly ChosenToken[]): readonly object[] {
  return request.topLogprobs === null ? [] : tokens.map(logprobOf)
}
