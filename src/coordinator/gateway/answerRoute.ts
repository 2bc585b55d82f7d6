/** answerRoute: one POST for an answer, from its body to its last byte, streamed or whole. */

import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, formatCredits, type ModelId, toHex } from '../../shared/index.ts'
import type { Payer } from '../economy/index.ts'
import type { AnswerForm } from './answerForms.ts'
import { Answering } from './answering.ts'
import { ApiError, apiErrorOf, badParameter, faultOf, internalError } from './apiError.ts'
import { Attempt } from './attempt.ts'
import { Attempts, IDEMPOTENCY_KEY_CHARACTERS_MAX, type Question } from './attempts.ts'
import { ANSWER_TOKENS_DEFAULT, type GatewayAccounts, type GatewayDriver, type GatewayModels, type OfferedModel } from './ports.ts'
import { Quotas } from './quotas.ts'
import type { AnswerRequest } from './requests.ts'
import { sendAttempt } from './sendAttempt.ts'
import { UsageRecords } from './usageRecords.ts'

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

interface Accepted {
  readonly asked: AnswerRequest
  readonly payer: Payer | null
  readonly model: OfferedModel
}

export const REQUEST_ID = 'x-request-id'
/** In the queue, before it is refused. */
const QUEUE_WAIT_MS = 30_000
/** Whom peers of this coordinator are open to. */
const POOL = 'public'

export class AnswerRoute {
  readonly #options: GatewayOptions
  readonly #quotas = new Quotas()
  readonly #attempts: Attempts
  readonly usage: UsageRecords

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#attempts = new Attempts(options.clock)
    this.usage = new UsageRecords(options.clock)
    options.accounts?.onSettled((sessionId, charged) => this.usage.settled(sessionId, charged))
    options.accounts?.onAudited((sessionId, audit) => this.usage.audited(sessionId, audit))
  }

  async handle(request: FastifyRequest, reply: FastifyReply, { read, form }: AnswerKind): Promise<unknown> {
    const { clock, randomBytes } = this.#options
    const { asked, payer, model } = await this.#accept(request, read)
    // It went while its key was looked up: nobody would hear the answer, nor stop it.
    if (reply.raw.destroyed) throw cutOff()
    const question = questionOf(request, payer)
    const earlier = this.#attempts.find(question)
    const leave = payer === null ? () => undefined : this.#quotas.enter(payer.keyId)
    if (earlier !== null) {
      reply.raw.on('close', leave)
      reply.header(REQUEST_ID, earlier.requestId)
      return sendAttempt(reply, earlier, asked.stream, clock)
    }
    const requestId = String(reply.getHeader(REQUEST_ID))
    const head = { requestId, id: toHex(randomBytes(12)), created: Math.floor(clock.nowMs() / 1_000), request: asked }
    const attempt = new Attempt(head, form)
    this.#attempts.add(question, attempt)
    const sent = sendAttempt(reply, attempt, asked.stream, clock)
    void this.#answer(attempt, asked, model.id, payer).finally(leave)
    return sent
  }

  /** What a request of that kind may cost and have to wait for; nothing is computed but its tokens. */
  async estimate(request: FastifyRequest, { read }: Pick<AnswerKind, 'read'>): Promise<object> {
    const { driver, models, accounts } = this.#options
    const { asked, model } = await this.#accept(request, read)
    const { choices, tier } = asked
    const promptTokens = await driver.count(model.id, asked.prompt)
    const room = model.contextLength - promptTokens
    if (room <= 0)
      throw badParameter(
        'messages',
        `the prompt has ${promptTokens} tokens and the model reads ${model.contextLength}`,
        'context_length_exceeded',
      )
    const maxTokens = Math.min(asked.maxTokens ?? ANSWER_TOKENS_DEFAULT, room)
    const expectedTokens = Math.min(maxTokens, this.usage.usualTokens(model.id) ?? maxTokens)
    const price = async (tokens: number) =>
      formatCredits(BigInt(choices) * ((await accounts?.price(model.id, { promptTokens, maxTokens: tokens }, tier)) ?? 0n))
    const { layersCovered, layerCount } = models.capacity(model.id)
    return {
      promptTokens,
      maxTokens,
      expectedTokens,
      holdCredits: await price(maxTokens),
      expectedCredits: await price(expectedTokens),
      waitMs: models.hasRoom(model.id, { promptTokens, maxTokens }) ? 0 : null,
      policySatisfied: layersCovered === layerCount,
    }
  }

  /** A request that may be answered. Rejects with an ApiError or an AccountError. */
  async #accept(request: FastifyRequest, read: AnswerKind['read']): Promise<Accepted> {
    const asked = await this.#read(request, read)
    const payer = await this.authorize(request, { model: asked.model, pool: POOL })
    const model = this.#options.models.list().find(({ id }) => id === asked.model)
    if (model !== undefined) return { asked, payer, model }
    throw new ApiError(404, `there is no model ${asked.model} here; GET /v1/models lists those there are`, { code: 'model_not_found' })
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

  /** Never rejects. */
  async #answer(attempt: Attempt, asked: AnswerRequest, modelId: ModelId, payer: Payer | null): Promise<void> {
    const { driver, accounts, log } = this.#options
    const { requestId } = attempt
    this.usage.begin({ requestId, account: payer?.account ?? null, modelId, serviceTier: asked.serviceTier })
    const payment = payer === null ? null : (accounts?.pay(payer) ?? null)
    try {
      const terms = { modelId, voucher: payment?.voucher ?? null, waitMs: QUEUE_WAIT_MS }
      const answering = new Answering(driver, asked, terms, {
        onSession: (sessionId) => this.usage.opened(requestId, sessionId),
        onAdmitted: () => attempt.onAdmitted(),
        onPart: (part) => attempt.onPart(part),
      })
      attempt.begin(() => answering.stop())
      const outcome = await answering.outcome
      if (outcome.finishReasons.includes('cancelled')) throw cutOff()
      this.usage.ended(requestId, outcome)
      attempt.finish(outcome)
    } catch (error) {
      this.usage.ended(requestId, null)
      const told = apiErrorOf(error)
      if (told === null) log(`a request to the gateway failed: ${faultOf(error)}`)
      attempt.fail(told ?? internalError())
    } finally {
      payment?.end()
    }
  }
}

/** Its clients have gone, or the coordinator is about to. */
function cutOff(): ApiError {
  return new ApiError(503, 'the answer was cut off; ask again in a moment', { code: 'cut-off', retryAfterMs: 5_000 })
}

function questionOf(request: FastifyRequest, payer: Payer | null): Question {
  const { 'idempotency-key': given, 'x-stainless-retry-count': retries } = request.headers
  const idempotencyKey = typeof given === 'string' && given !== '' ? given : null
  if (idempotencyKey !== null && idempotencyKey.length > IDEMPOTENCY_KEY_CHARACTERS_MAX)
    throw badParameter('Idempotency-Key', `an Idempotency-Key has at most ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters`)
  const hash = createHash('sha256')
    .update(JSON.stringify([request.url, request.body]))
    .digest('hex')
  return { owner: payer?.keyId ?? '', hash, idempotencyKey, isRetry: Number(retries) > 0 }
}
