/** The forms of answers: what a whole answer and the events of a streamed one look like; here those of chat and of completions, which are chunks. */

import type { Outcome } from './answering.ts'
import type { ApiError } from './apiError.ts'
import type { ChosenToken, TokenLogprob } from './ports.ts'
import type { AnswerRequest } from './requests.ts'
import { routeForm } from './usageRecords.ts'

/** What all of an answer's JSON shares. */
export interface AnswerHead<Request extends AnswerRequest = AnswerRequest> {
  readonly requestId: string
  /** Hex digits. */
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  /** The same, at the time of the call. */
  readonly now: () => number
  readonly request: Request
}

/** More of a call, or all of it. */
export interface CallPart {
  /** Among the choice's calls. */
  readonly index: number
  /** Null where it has been said. */
  readonly name: string | null
  /** JSON. */
  readonly arguments: string
}

export interface WholeChoice {
  readonly text: string
  readonly tokens: readonly ChosenToken[]
  readonly calls: readonly CallPart[]
}

export interface FinishedChoice {
  readonly said: WholeChoice
  readonly finishReason: 'stop' | 'length' | 'tool_calls'
}

/** One event of a stream. */
export interface AnswerEvent {
  /** Null: it has no name of its own. */
  readonly name: string | null
  readonly data: object
}

/** Writes one answer. Either `whole`, or what is streamed in the order of its methods. */
export interface AnswerWriter {
  whole(choices: readonly FinishedChoice[], outcome: Outcome): object
  begun(): readonly AnswerEvent[]
  /** `textOffset`: characters of the choice before this part. */
  part(index: number, part: WholeChoice, textOffset: number): readonly AnswerEvent[]
  /** Of one choice: nothing more comes of it. */
  finished(index: number, choice: FinishedChoice): readonly AnswerEvent[]
  ended(choices: readonly FinishedChoice[], outcome: Outcome): readonly AnswerEvent[]
  /** Instead of `ended`. */
  failed(error: ApiError): AnswerEvent
}

/** A form whose streams are chunks. */
export interface ChunkForm {
  whole(head: AnswerHead, choices: readonly FinishedChoice[], outcome: Outcome): object
  /** Said first of a choice; null: nothing. */
  first(head: AnswerHead, index: number): object | null
  /** `textOffset`: characters of the choice before this part. */
  part(head: AnswerHead, index: number, part: WholeChoice, textOffset: number): object
  last(head: AnswerHead, index: number, finishReason: string): object
  usage(head: AnswerHead, outcome: Outcome): object
}

/** Writes an answer in chunks. */
export function chunked(form: ChunkForm): (head: AnswerHead) => AnswerWriter {
  return (head) => {
    const { choices: count, includeUsage } = head.request
    return {
      whole: (choices, outcome) => form.whole(head, choices, outcome),
      begun: () =>
        Array.from({ length: count }, (_, index) => form.first(head, index)).flatMap((first) => (first === null ? [] : chunk(first))),
      part: (index, part, textOffset) => [chunk(form.part(head, index, part, textOffset))],
      finished: (index, { finishReason }) => [chunk(form.last(head, index, finishReason))],
      ended: (_choices, outcome) => (includeUsage ? [chunk(form.usage(head, outcome))] : []),
      failed: ({ body }) => chunk(body),
    }
  }
}

function chunk(data: object): AnswerEvent {
  return { name: null, data }
}

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
  readonly prompt_tokens_details: { readonly cached_tokens: number }
  /** Not OpenAI's: by what way each choice was computed, and where its cost is told once it is settled. */
  readonly tabswarm: { readonly request_id: string; readonly routes: readonly object[] }
}

export function usageOf({ requestId }: AnswerHead, { promptTokens, completionTokens, routes }: Outcome): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    tabswarm: { request_id: requestId, routes: routes.map(routeForm) },
  }
}

export const CHAT_FORM: ChunkForm = {
  whole: (head, choices, outcome) => ({
    ...headOf(head, 'chat.completion', 'chatcmpl'),
    choices: choices.map(({ said: { text, tokens, calls }, finishReason }, index) => ({
      index,
      message: {
        role: 'assistant',
        content: text === '' && calls.length > 0 ? null : text,
        refusal: null,
        ...(calls.length > 0 && { tool_calls: calls.map((call) => callForm(head, index, call)) }),
      },
      logprobs: chatLogprobs(head, tokens),
      finish_reason: finishReason,
    })),
    usage: usageOf(head, outcome),
  }),
  first: (head, index) =>
    chatChunk(head, { index, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null }),
  part: (head, index, { text, tokens, calls }) => {
    const toolCalls = calls.map((call) => ({
      index: call.index,
      ...(call.name === null ? { function: { arguments: call.arguments } } : callForm(head, index, call)),
    }))
    const delta = { ...((text !== '' || calls.length === 0) && { content: text }), ...(calls.length > 0 && { tool_calls: toolCalls }) }
    return chatChunk(head, { index, delta, logprobs: chatLogprobs(head, tokens), finish_reason: null })
  },
  last: (head, index, reason) => chatChunk(head, { index, delta: {}, logprobs: null, finish_reason: reason }),
  usage: (head, outcome) => ({ ...headOf(head, 'chat.completion.chunk', 'chatcmpl'), choices: [], usage: usageOf(head, outcome) }),
}

export const COMPLETION_FORM: ChunkForm = {
  whole: (head, choices, outcome) => ({
    ...headOf(head, 'text_completion', 'cmpl'),
    choices: choices.map(({ said: { text, tokens }, finishReason }, index) => ({
      text,
      index,
      logprobs: completionLogprobs(head, tokens, 0),
      finish_reason: finishReason,
    })),
    usage: usageOf(head, outcome),
  }),
  first: () => null,
  part: (head, index, { text, tokens }, textOffset) =>
    completionChunk(head, { text, index, logprobs: completionLogprobs(head, tokens, textOffset), finish_reason: null }),
  last: (head, index, reason) => completionChunk(head, { text: '', index, logprobs: null, finish_reason: reason }),
  usage: (head, outcome) => ({ ...headOf(head, 'text_completion', 'cmpl'), choices: [], usage: usageOf(head, outcome) }),
}

function callForm(head: AnswerHead, choice: number, { index, name, arguments: json }: CallPart): object {
  return { id: callIdOf(head, choice, index), type: 'function', function: { name, arguments: json } }
}

/** One that no other answer's calls have. */
export function callIdOf({ id }: AnswerHead, choice: number, index: number): string {
  return `call_${id}_${choice}_${index}`
}

function headOf({ id, created, request }: AnswerHead, object: string, prefix: string) {
  return { id: `${prefix}-${id}`, object, created, model: request.model, service_tier: request.serviceTier, system_fingerprint: null }
}

/** Where a stream ends with its usage, each chunk before it says that this one has none. */
function unused({ request }: AnswerHead): object {
  return request.includeUsage ? { usage: null } : {}
}

function chatChunk(head: AnswerHead, choice: object): object {
  return { ...headOf(head, 'chat.completion.chunk', 'chatcmpl'), choices: [choice], ...unused(head) }
}

function completionChunk(head: AnswerHead, choice: object): object {
  return { ...headOf(head, 'text_completion', 'cmpl'), choices: [choice], ...unused(head) }
}

function chatLogprobs({ request }: AnswerHead, tokens: readonly ChosenToken[]): object | null {
  return request.topLogprobs === null ? null : { content: tokens.map(logprobOf), refusal: null }
}

/** As chat and responses tell it. */
export function logprobOf(token: ChosenToken): object {
  const described = ({ text, logprob, bytes }: TokenLogprob | ChosenToken) => ({ token: text, logprob, bytes })
  return { ...described(token), top_logprobs: token.top.map(described) }
}

function completionLogprobs({ request }: AnswerHead, tokens: readonly ChosenToken[], textOffset: number): object | null {
  if (request.topLogprobs === null) return null
  let offset = textOffset
  const offsets = tokens.map(({ text }) => {
    const at = offset
    offset += text.length
    return at
  })
  return {
    tokens: tokens.map(tokenName),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top, logprob }) =>
      logprob === null ? null : Object.fromEntries(top.map((token) => [tokenName(token), token.logprob])),
    ),
    text_offset: offsets,
  }
}

/** A part of a character by its bytes, as OpenAI has it: `bytes:\xe2`. Several of one token's best may be such, and are keys of one object. */
function tokenName({ text, bytes }: Pick<TokenLogprob, 'text' | 'bytes'>): string {
  if (!text.includes('\u{fffd}')) return text
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
}
