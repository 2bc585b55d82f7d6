/**
 * storedResponses: responses that their client has kept here for a day, where its API key was made for that: the conversation so far, sealed, so that the
 * next request may go on from it by its id.
 */

import type { FastifyInstance } from 'fastify'
import { utf8Decode, utf8Encode } from '../../../shared/index.ts'
import type { SealedObject } from '../../store/index.ts'
import type { AnswerKind, Client, ReadRequest } from '../answerKinds.ts'
import type { AnswerRoute } from '../answerRoute.ts'
import { ApiError } from '../apiError.ts'
import { readArguments } from '../messages.ts'
import type { PromptMessage } from '../ports.ts'
import { type OutputItem, responseWriter } from '../responseForm.ts'
import { conversation, type ResponseRequest, readResponseRequest } from '../responseRequests.ts'
import { callerOf } from './callers.ts'
import type { ClientObjects } from './clientObjects.ts'
import { KEPT_MS } from './ports.ts'
import { SealingKey } from './sealing.ts'

interface StoredResponse {
  /** As it was answered. */
  readonly response: object
  /** What was said until its end; instructions are each request's own. */
  readonly messages: readonly PromptMessage[]
}

/** A response as the form has it. */
interface AnsweredResponse {
  readonly id: string
  readonly output: readonly OutputItem[]
}

export function storedResponseKind(objects: ClientObjects): AnswerKind {
  return (body, drawSeed) => {
    const asked = readResponseRequest(body, drawSeed)
    const read = readOf(asked)
    return asked.isStored || asked.previousId !== null ? { ...read, prepare: (client) => prepare(objects, asked, client) } : read
  }
}

export function registerStoredResponses(v1: FastifyInstance, answers: Pick<AnswerRoute, 'authorize'>, objects: ClientObjects): void {
  v1.get<{ Params: { id: string } }>('/responses/:id', async (request) => {
    const { key } = await callerOf(answers, request)
    return (await read(objects, key, await objects.find(key, ['response'], request.params.id))).response
  })
  v1.delete<{ Params: { id: string } }>('/responses/:id', async (request) => {
    const { key } = await callerOf(answers, request)
    const { id } = await objects.find(key, ['response'], request.params.id)
    await (await objects.storage).sealed.remove(id, key.keyId)
    return { id, object: 'response', deleted: true }
  })
}

function readOf(asked: ResponseRequest): ReadRequest {
  return { asked, write: (head) => responseWriter({ ...head, request: asked }) }
}

async function prepare(objects: ClientObjects, asked: ResponseRequest, { holder, apiKey }: Client): Promise<ReadRequest> {
  const { isStored, previousId, messages } = asked
  if (!holder.storesResponses)
    throw new ApiError(403, 'this API key keeps no responses: leave it out, or make a key with tabswarm key create --store-responses', {
      param: isStored ? 'store' : 'previous_response_id',
      code: 'storage_off',
    })
  const key = new SealingKey(apiKey, holder.keyId)
  const before =
    previousId === null
      ? []
      : (await read(objects, key, await objects.find(key, ['response'], previousId, 'previous_response_id'))).messages
  const all = [...before, ...messages]
  const whole = readOf({ ...asked, prompt: conversation(asked, all) })
  return isStored ? { ...whole, keep: (answer) => keep(objects, key, all, answer as AnsweredResponse) } : whole
}

async function keep(
  objects: ClientObjects,
  key: SealingKey,
  messages: readonly PromptMessage[],
  response: AnsweredResponse,
): Promise<void> {
  const stored: StoredResponse = { response, messages: [...messages, spokenBy(response.output)] }
  const object = { id: response.id, kind: 'response', header: {}, expiresAtMs: objects.nowMs() + KEPT_MS } as const
  await objects.add(key, object, utf8Encode(JSON.stringify(stored)))
}

/** What the assistant said, as the next prompt has it: without calls that were cut, which nobody can answer. */
function spokenBy(output: AnsweredResponse['output']): PromptMessage {
  const content = output.flatMap((item) => (item.type === 'message' ? item.content.map(({ text }) => text) : [])).join('')
  const toolCalls = output.flatMap((item) => {
    const given = item.type === 'function_call' ? argumentsOf(item.arguments) : null
    return given === null || item.type !== 'function_call' ? [] : [{ id: item.call_id, name: item.name, arguments: given }]
  })
  return { role: 'assistant', content, ...(toolCalls.length > 0 && { toolCalls }) }
}

function argumentsOf(json: string): Readonly<Record<string, unknown>> | null {
  try {
    return readArguments(json, 'output')
  } catch {
    return null
  }
}

/** Nobody but `keep` wrote it. */
async function read(objects: ClientObjects, key: SealingKey, object: SealedObject): Promise<StoredResponse> {
  return JSON.parse(utf8Decode(await objects.whole(key, object))) as StoredResponse
}
