/** sendAttempt: an attempt's answer to one client, streamed or whole, until the client has gone. */

import type { FastifyReply } from 'fastify'
import type { Clock } from '../../shared/index.ts'
import type { AnswerEvent } from './answerForms.ts'
import type { ApiError } from './apiError.ts'
import type { Attempt, AttemptListener } from './attempt.ts'
import { EventStream } from './eventStream.ts'

/** Resolves to what fastify is to send, which is nothing where it has gone as a stream. Rejects with an ApiError before the first byte alone. */
export function sendAttempt(reply: FastifyReply, attempt: Attempt, stream: boolean, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const end = { resolve, reject }
    const leave = attempt.join(stream ? new StreamedReply(reply, clock, end) : new WholeReply(reply, end))
    reply.raw.on('close', leave)
  })
}

interface End {
  readonly resolve: (body: unknown) => void
  readonly reject: (error: ApiError) => void
}

class WholeReply implements AttemptListener {
  readonly #reply: FastifyReply
  readonly #end: End
  #json = ''

  constructor(reply: FastifyReply, end: End) {
    this.#reply = reply
    this.#end = end
  }

  onOpen(): void {}

  onData(json: string): void {
    this.#json = json
  }

  onEnd(): void {
    this.#reply.type('application/json; charset=utf-8')
    this.#end.resolve(this.#json)
  }

  onFailed(error: ApiError): void {
    this.#end.reject(error)
  }
}

class StreamedReply implements AttemptListener {
  readonly #reply: FastifyReply
  readonly #clock: Clock
  readonly #end: End
  #stream: EventStream | null = null

  constructor(reply: FastifyReply, clock: Clock, end: End) {
    this.#reply = reply
    this.#clock = clock
    this.#end = end
  }

  onOpen(): void {
    this.#reply.hijack()
    const headers = Object.entries(this.#reply.getHeaders()).map(([name, value]) => [name, String(value)] as const)
    this.#stream = new EventStream(this.#reply.raw, Object.fromEntries(headers), this.#clock)
  }

  onData(json: string, name: string | null): void {
    this.#stream?.send(json, name)
  }

  onEnd(): void {
    this.#stream?.send('[DONE]')
    this.#finish()
  }

  /** Never a bare end: what the client has so far is no answer. */
  onFailed(error: ApiError, { name, data }: AnswerEvent): void {
    if (this.#stream === null) return this.#end.reject(error)
    this.#stream.send(JSON.stringify(data), name)
    this.#finish()
  }

  #finish(): void {
    this.#stream?.end()
    this.#end.resolve(undefined)
  }
}
