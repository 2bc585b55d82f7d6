/** The kinds of requests for an answer, by their paths: how each is read, and who writes its answer. */

import type { KeyHolder } from '../economy/index.ts'
import { type AnswerHead, type AnswerWriter, CHAT_FORM, COMPLETION_FORM, chunked } from './answerForms.ts'
import { type AnswerRequest, readChatRequest, readCompletionRequest } from './requests.ts'
import { responseWriter } from './responseForm.ts'
import { readUnstoredResponse } from './responseRequests.ts'

export interface ReadRequest {
  readonly asked: AnswerRequest
  /** Who writes the answer to it. */
  readonly write: (head: Omit<AnswerHead, 'request'>) => AnswerWriter
  /** What it becomes once it is known whose it is. Rejects with an ApiError. */
  readonly prepare?: (client: Client) => Promise<ReadRequest>
  /** Keeps the whole answer, before its end is told. */
  readonly keep?: (answer: object) => Promise<void>
}

export interface Client {
  readonly holder: KeyHolder
  readonly apiKey: string
}

/** Reads a client's JSON. Throws an ApiError. `drawSeed`: for requests that name none. */
export type AnswerKind = (body: unknown, drawSeed: () => number) => ReadRequest

export const ANSWER_KINDS = {
  '/chat/completions': kindOf(readChatRequest, chunked(CHAT_FORM)),
  '/completions': kindOf(readCompletionRequest, chunked(COMPLETION_FORM)),
  '/responses': kindOf(readUnstoredResponse, responseWriter),
} as const

/** `path`: with /v1. Null: there is no such kind. */
export function answerKindAt(path: string): AnswerKind | null {
  return Object.entries(ANSWER_KINDS).find(([known]) => `/v1${known}` === path)?.[1] ?? null
}

function kindOf<Request extends AnswerRequest>(
  read: (body: unknown, drawSeed: () => number) => Request,
  write: (head: AnswerHead<Request>) => AnswerWriter,
): AnswerKind {
  return (body, drawSeed) => {
    const asked = read(body, drawSeed)
    return { asked, write: (head) => write({ ...head, request: asked }) }
  }
}
