/** responseItems: what a response goes on from: messages, calls that were made and what came of them, from a client's JSON to what a prompt is made of. */

import * as v from 'valibot'
import { badParameter } from './apiError.ts'
import { MESSAGES_MAX, readArguments } from './messages.ts'
import type { PromptMessage } from './ports.ts'
import { takingOneOf } from './reference/jsonSchema.ts'

const PART_TYPES = ['input_text', 'output_text', 'text'] as const
const ITEM_TYPES = ['message', 'function_call', 'function_call_output'] as const
/** As long as a prompt may be. */
const LOGPROBS_MAX = 1_048_576

const textPart = v.strictObject({
  type: v.picklist(PART_TYPES),
  text: v.string(),
  annotations: v.optional(v.pipe(v.array(v.unknown()), v.maxLength(MESSAGES_MAX))),
  logprobs: v.optional(v.nullable(v.pipe(v.array(v.unknown()), v.maxLength(LOGPROBS_MAX)))),
})
// No union: its error would name the content, not what is wrong in it.
const textParts = v.pipe(v.array(textPart), v.minLength(1))
const content = takingOneOf(
  v.lazy((given) => (typeof given === 'string' ? v.string() : textParts)),
  v.string(),
  textParts,
)
const status = v.nullish(v.picklist(['in_progress', 'completed', 'incomplete']))
const callId = v.pipe(v.string(), v.minLength(1), v.maxLength(200))
const messageItem = v.strictObject({
  type: v.optional(v.literal('message')),
  role: v.picklist(['system', 'developer', 'user', 'assistant']),
  content,
  id: v.nullish(v.string()),
  status,
  phase: v.nullish(v.string()),
})
const callItem = v.strictObject({
  type: v.literal('function_call'),
  call_id: callId,
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  arguments: v.string(),
  id: v.nullish(v.string()),
  status,
})
const outputItem = v.strictObject({
  type: v.literal('function_call_output'),
  call_id: callId,
  output: content,
  id: v.nullish(v.string()),
  status,
})
const itemSchema = takingOneOf(
  v.lazy((item) => {
    const type = isRecord(item) ? item.type : undefined
    return type === 'function_call' ? callItem : type === 'function_call_output' ? outputItem : messageItem
  }),
  ...[messageItem, callItem, outputItem],
)
const itemsSchema = v.pipe(v.array(itemSchema), v.minLength(1), v.maxLength(MESSAGES_MAX))
export const inputSchema = takingOneOf(
  v.lazy((input) => (typeof input === 'string' ? v.string() : itemsSchema)),
  v.string(),
  itemsSchema,
)

/** Calls are part of the message that they follow, where it is the assistant's. Throws an ApiError where the arguments of a call are no JSON object. */
export function inputMessages(input: v.InferOutput<typeof inputSchema>): PromptMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  const messages: PromptMessage[] = []
  for (const [index, item] of input.entries()) {
    if (item.type === 'function_call_output') messages.push({ role: 'tool', content: textOf(item.output), toolCallId: item.call_id })
    else if (item.type === 'function_call') {
      const call = { id: item.call_id, name: item.name, arguments: readArguments(item.arguments, `input.${index}.arguments`) }
      const last = messages.at(-1)
      if (last?.role === 'assistant') messages[messages.length - 1] = { ...last, toolCalls: [...(last.toolCalls ?? []), call] }
      else messages.push({ role: 'assistant', content: '', toolCalls: [call] })
    } else messages.push({ role: item.role === 'developer' ? 'system' : item.role, content: textOf(item.content) })
  }
  return messages
}

/** Said by name, since a schema's words for it would not say what to do. */
export function checkItems(body: unknown): void {
  if (!isRecord(body)) return
  for (const [index, tool] of listOf(body.tools).entries())
    if (isRecord(tool) && typeof tool.type === 'string' && tool.type !== 'function')
      throw unsupported(`tools.${index}`, `a tool of type ${tool.type}`)
  for (const [index, item] of listOf(body.input).entries()) {
    if (!isRecord(item)) continue
    const { type, content: parts, output } = item
    if (typeof type === 'string' && !isOneOf(type, ITEM_TYPES)) throw unsupported(`input.${index}`, `an item of type ${type}`)
    const name = type === 'function_call_output' ? 'output' : 'content'
    for (const [part, one] of listOf(name === 'output' ? output : parts).entries())
      if (isRecord(one) && typeof one.type === 'string' && !isOneOf(one.type, PART_TYPES))
        throw unsupported(`input.${index}.${name}.${part}`, `content of type ${one.type}`)
  }
}

export function unsupported(param: string, what: string) {
  return badParameter(param, `${what.slice(0, 200)} is not supported here`, 'unsupported_parameter')
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(given: string | readonly { readonly text: string }[]): string {
  return typeof given === 'string' ? given : given.map(({ text }) => text).join('')
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isOneOf(value: string, known: readonly string[]): boolean {
  return known.includes(value)
}
