/** ApiRequests: one entry for each request to the API, once it is over, for logs and metrics: never a word of what was asked or answered. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ModelId } from '../../shared/index.ts'

export interface ApiRequestEntry {
  readonly requestId: string
  readonly method: string
  /** Its pattern, as `/v1/models/:id`; null: there is none such. */
  readonly route: string | null
  /** 499, as proxies have it, where the client had gone before there was one. */
  readonly status: number
  readonly durationMs: number
  /** Whether its client had gone before the end. */
  readonly aborted: boolean
  /** The API key's id, never the key; null: none that is known. */
  readonly keyId: string | null
  /** What follows concerns answers alone. A known one's. */
  readonly model: ModelId | null
  readonly promptTokens: number
  readonly completionTokens: number
  /** From the request to the first of its text, milliseconds. */
  readonly firstTextMs: number | null
  /** Of a failure, also of one in mid-stream, whose status was 200. */
  readonly code: string | null
}

/** What is found out on the way. */
export type RequestNotes = {
  -readonly [Name in 'keyId' | 'model' | 'promptTokens' | 'completionTokens' | 'firstTextMs' | 'code']: ApiRequestEntry[Name]
}

/** Of a request of which nothing is known yet. */
export function newNotes(): RequestNotes {
  return { keyId: null, model: null, promptTokens: 0, completionTokens: 0, firstTextMs: null, code: null }
}

const CLIENT_CLOSED = 499

export class ApiRequests {
  readonly #notes = new WeakMap<FastifyRequest, RequestNotes>()

  notesOf(request: FastifyRequest): RequestNotes {
    const known = this.#notes.get(request)
    if (known !== undefined) return known
    const notes = newNotes()
    this.#notes.set(request, notes)
    return notes
  }

  /** Tells of each request of these routes, also of those whose client goes before it hears anything. */
  watch(routes: FastifyInstance, requestIdOf: (reply: FastifyReply) => string, onRequest: (entry: ApiRequestEntry) => void): void {
    routes.addHook('onRequest', async (request, reply) => {
      reply.raw.once('close', () => {
        onRequest({
          requestId: requestIdOf(reply),
          method: request.method,
          route: request.routeOptions.url ?? null,
          status: reply.raw.headersSent ? reply.statusCode : CLIENT_CLOSED,
          durationMs: reply.elapsedTime,
          aborted: !reply.raw.writableFinished,
          ...this.notesOf(request),
        })
      })
    })
  }
}
