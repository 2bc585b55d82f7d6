/** Messages of a chat: from a client's JSON to what a prompt is made of. */

import * as v from 'valibot'
import { badParameter } from './apiError.ts'
import type { PromptMessage } from './ports.ts'
import { takingOneOf } from './reference/jsonSchema.ts'

export const MESSAGES_MAX = 2_048
const CALLS_MAX = 128

const TEXT_EXPECTED = 'a text is expected, or an array of parts {"type": "text", "text": "…"}'
const textPart = v.strictObject({ type: v.literal('text'), text: v.string() })
// No union: its error would name the content, not what is wrong in it.
const textParts = v.pipe(v.array(textPart, TEXT_EXPECTED), v.minLength(1, TEXT_EXPECTED))
const text = takingOneOf(
  v.lazy((content) => (typeof content === 'string' ? v.string() : textParts)),
  v.string(),
  textParts,
)
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(200))
const call = v.strictObject({
  id,
  type: v.literal('function'),
  function: v.strictObject({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(200)), arguments: v.string() }),
})

const messageSchema = v.variant('role', [
  v.strictObject({ role: v.picklist(['system', 'developer', 'user']), content: text }),
  v.strictObject({
    role: v.literal('assistant'),
    content: v.optional(v.nullable(text)),
    refusal: v.optional(v.null()),
    tool_calls: v.optional(v.nullable(v.pipe(v.array(call), v.maxLength(CALLS_MAX)))),
    audio: v.optional(v.null()),
    annotations: v.optional(v.array(v.unknown())),
  }),
  v.strictObject({ role: v.literal('tool'), content: text, tool_call_id: id }),
])

/** Clients send an answer back as they have it: with null for all that it has not. */
export const messagesSchema = v.pipe(
  v.array(v.pipe(takingOneOf(v.unknown(), messageSchema), v.transform(withoutNulls), messageSchema)),
  v.minLength(1, 'at least one message is needed'),
  v.maxLength(MESSAGES_MAX),
)

function withoutNulls(message: unknown): unknown {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return message
  return Object.fromEntries(Object.entries(message).filter(([name, value]) => value !== null || name === 'content'))
}

/** Throws an ApiError where an assistant said nothing, or the arguments of a call are no JSON object. */
export function promptMessages(messages: v.InferOutput<typeof messagesSchema>): PromptMessage[] {
  const read = messages.map((message, index): PromptMessage => {
    const content = textOf(message.content ?? '')
    if (message.role === 'tool') return { role: 'tool', content, toolCallId: message.tool_call_id }
    if (message.role !== 'assistant') return { role: message.role === 'developer' ? 'system' : message.role, content }
    const calls = message.tool_calls ?? []
    if (calls.length === 0 && message.content == null)
      throw badParameter(`messages.${index}.content`, 'a message of the assistant has content, or tool_calls')
    const toolCalls = calls.map(({ id, function: { name, arguments: json } }, at) => ({
      ...{ id, name },
      arguments: readArguments(json, `messages.${index}.tool_calls.${at}.function.arguments`),
    }))
    return toolCalls.length === 0 ? { role: 'assistant', content } : { role: 'assistant', content, toolCalls }
  })
  return withCalledNames(read)
}

/** Results of tools with the name of what was called: some templates show them by it. */
export function withCalledNames(messages: readonly PromptMessage[]): PromptMessage[] {
  const names = new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name])))
  return messages.map((message) => {
    const name = message.toolCallId === undefined ? undefined : names.get(message.toolCallId)
    return name === undefined ? message : { ...message, name }
  })
}

/** Said by name, since a schema's words for it would not say what to do. */
export function checkRoles(body: unknown): void {
  const messages = typeof body === 'object' && body !== null && 'messages' in body ? body.messages : null
  if (!Array.isArray(messages)) return
  for (const [index, message] of messages.entries()) {
    const unsupported = unsupportedIn(message)
    if (unsupported !== null)
      throw badParameter(`messages.${index}${unsupported.at}`, `${unsupported.what} is not supported here`, 'unsupported_parameter')
  }
}

function unsupportedIn(message: unknown): { readonly at: string; readonly what: string } | null {
  if (typeof message !== 'object' || message === null) return null
  const { role, content, name, function_call: call } = message as Readonly<Record<string, unknown>>
  if (role === 'function') return { at: '.role', what: 'a message of role function' }
  if (call !== undefined && call !== null) return { at: '.function_call', what: 'a function_call, which tool_calls has replaced,' }
  if (name !== undefined && name !== null) return { at: '.name', what: 'a name of a message, which no template of ours shows the model,' }
  if (!Array.isArray(content)) return null
  const part = content.findIndex((one) => typeof one === 'object' && one !== null && 'type' in one && one.type !== 'text')
  return part < 0 ? null : { at: `.content.${part}`, what: `content of type ${String((content[part] as { type: unknown }).type)}` }
}

function textOf(content: string | readonly { readonly text: string }[]): string {
  return typeof content === 'string' ? content : content.map((part) => part.text).join('')
}

/** Throws an ApiError, which says where, unless they are a JSON object. */
export function readArguments(json: string, at: string): Readonly<Record<string, unknown>> {
  let value: unknown = null
  try {
    value = json.trim() === '' ? {} : JSON.parse(json)
  } catch {
    // Told below.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>
  throw badParameter(at, 'the arguments of a call are a JSON object, as a text')
}
