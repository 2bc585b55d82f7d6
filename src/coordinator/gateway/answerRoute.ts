/** answerRoute: one POST for an answer, from its body to its last byte, streamed or whole. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock, ModelId } from '../../shared/index.ts'
import { toHex } from '../../shared/index.ts'
import type { Payer } from '../economy/index.ts'
import type { AnswerForm, AnswerHead } from './answerForms.ts'
import { Answering, type AnsweringEvents, type ChoicePart, type Outcome } from './answering.ts'
import { ApiError, type ApiErrorBody, apiErrorOf, faultOf, internalError } from './apiError.ts'
import { EventStream } from './eventStream.ts'
import type { GatewayAccounts, GatewayDriver, GatewayModels } from './ports.ts'
import { Quotas } from './quotas.ts'
import type { AnswerRequest } from './requests.ts'

export interface GatewayOptions {
  readonly driver: GatewayDriver
  readonly models: GatewayModels
  /** Null: nobody pays, and no key is asked for. */
  readonly accounts: GatewayAccounts | null
  readonly clock: Clock
  /** Cryptographically strong. */
  readonly randomBytes: (count: number) => Uint8Array
  /** What an operator should know; never prompts. */
  readonly log: (line: string) => void
}

/** How a kind of request is read, and what its answers look like. */
export interface AnswerKind {
  readonly read: (body: unknown, drawSeed: () => number) => AnswerRequest
  readonly form: AnswerForm
}

/** In the queue, before it is refused. */
const QUEUE_WAIT_MS = 30_000
/** Whom peers of this coordinator are open to. */
const POOL = 'public'

export class AnswerRoute {
  readonly #options: GatewayOptions
  readonly #quotas = new Quotas()

  constructor(options: GatewayOptions) {
    this.#options = options
  }

  async handle(request: FastifyRequest, reply: FastifyReply, requestId: string, { read, form }: AnswerKind): Promise<unknown> {
    const { accounts, models, clock, randomBytes } = this.#options
    const asked = await this.#read(request, read)
    const payer = await this.authorize(request, { model: asked.model, pool: POOL })
    const model = models.list().find(({ id }) => id === asked.model)
    if (model === undefined)
      throw new ApiError(404, `there is no model ${asked.model} here; GET /v1/models lists those there are`, { code: 'model_not_found' })
    const leave = payer === null ? () => undefined : this.#quotas.enter(payer.keyId)
    const payment = payer === null ? null : (accounts?.pay(payer) ?? null)
    try {
      const head = { requestId, id: toHex(randomBytes(12)), created: Math.floor(clock.nowMs() / 1_000), request: asked }
      return await this.#answer(reply, { modelId: model.id, voucher: payment?.voucher ?? null }, head, form)
    } finally {
      payment?.end()
      leave()
    }
  }

  /** Null: no key is needed. Rejects with an ApiError or an AccountError. */
  async authorize(request: FastifyRequest, scope: { readonly model: string; readonly pool: string } | null): Promise<Payer | null> {
    const { accounts } = this.#options
    if (accounts === null) return null
    const [, key] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
    if (key === undefined)
      throw new ApiError(401, 'there is no API key: send it as "Authorization: Bearer KEY"; tabswarm key create makes one', {
        code: 'invalid_api_key',
      })
    return accounts.authorize(key, scope)
  }

  /** What is wrong with the body is told to those alone who have a key. */
  async #read(request: FastifyRequest, read: AnswerKind['read']): Promise<AnswerRequest> {
    try {
      return read(request.body, () => this.#drawSeed())
    } catch (error) {
      await this.authorize(request, null)
      throw error
    }
  }

  #drawSeed(): number {
    return Buffer.from(this.#options.randomBytes(4)).readUInt32LE()
  }

  async #answer(
    reply: FastifyReply,
    terms: { readonly modelId: ModelId; readonly voucher: string | null },
    head: AnswerHead,
    form: AnswerForm,
  ): Promise<unknown> {
    const { driver } = this.#options
    const output = head.request.stream ? new StreamedOutput(reply, head, form, this.#options) : new WholeOutput(head, form)
    const answering = new Answering(driver, head.request, { ...terms, waitMs: QUEUE_WAIT_MS }, output)
    let isGone = false
    const onClose = () => {
      if (reply.raw.writableEnded) return
      isGone = true
      answering.stop()
    }
    reply.raw.on('close', onClose)
    try {
      const outcome = await answering.outcome
      if (outcome.finishReasons.includes('cancelled') && !isGone)
        throw new ApiError(503, 'the coordinator is shutting down; ask again in a moment', { code: 'shutting-down', retryAfterMs: 5_000 })
      return output.finish(outcome)
    } catch (error) {
      const told = apiErrorOf(error)
      if (told === null) this.#options.log(`a request to the gateway failed: ${faultOf(error)}`)
      return output.fail(told ?? internalError())
    } finally {
      reply.raw.off('close', onClose)
    }
  }
}

class WholeOutput implements AnsweringEvents {
  readonly #head: AnswerHead
  readonly #form: AnswerForm
  readonly #choices: { text: string; tokens: ChoicePart['tokens'] }[]

  constructor(head: AnswerHead, form: AnswerForm) {
    this.#head = head
    this.#form = form
    this.#choices = Array.from({ length: head.request.choices }, () => ({ text: '', tokens: [] }))
  }

  onAdmitted(): void {}

  onPart({ index, text, tokens }: ChoicePart): void {
    const choice = this.#choices[index]
    if (choice === undefined) return
    choice.text += text
    if (tokens.length > 0) choice.tokens = [...choice.tokens, ...tokens]
  }

  finish(outcome: Outcome): object {
    return this.#form.whole(this.#head, this.#choices, outcome)
  }

  fail(error: ApiError): never {
    throw error
  }
}

class StreamedOutput implements AnsweringEvents {
  readonly #reply: FastifyReply
  readonly #head: AnswerHead
  readonly #form: AnswerForm
  readonly #clock: Clock
  readonly #offsets: number[]
  #stream: EventStream | null = null

  constructor(reply: FastifyReply, head: AnswerHead, form: AnswerForm, { clock }: Pick<GatewayOptions, 'clock'>) {
    this.#reply = reply
    this.#head = head
    this.#form = form
    this.#clock = clock
    this.#offsets = Array.from({ length: head.request.choices }, () => 0)
  }

  onAdmitted(): void {
    this.#reply.hijack()
    const headers = Object.entries(this.#reply.getHeaders()).map(([name, value]) => [name, String(value)] as const)
    this.#stream = new EventStream(this.#reply.raw, Object.fromEntries(headers), this.#clock)
    for (const index of this.#offsets.keys()) {
      const first = this.#form.first(this.#head, index)
      if (first !== null) this.#stream.send(first)
    }
  }

  onPart({ index, text, tokens }: ChoicePart): void {
    if (text === '' && tokens.length === 0) return
    const offset = this.#offsets[index] ?? 0
    this.#offsets[index] = offset + text.length
    this.#stream?.send(this.#form.part(this.#head, index, { text, tokens }, offset))
  }

  finish(outcome: Outcome): undefined {
    for (const [index, reason] of outcome.finishReasons.entries()) this.#stream?.send(this.#form.last(this.#head, index, reason))
    if (this.#head.request.includeUsage) this.#stream?.send(this.#form.usage(this.#head, outcome))
    this.#stream?.send('[DONE]')
    this.#stream?.end()
  }

  /** Never a bare end: what the client has so far is no answer. */
  fail(error: ApiError): undefined {
    if (this.#stream === null) throw error
    this.#stream.send(error.body satisfies ApiErrorBody)
    this.#stream.end()
  }
}
