/** answerRoute: one POST for an answer, from its body to its last byte, streamed or whole. */

import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, deferred, type Pool, required, toHex } from '../../shared/index.ts'
import type { KeyHolder, Payer } from '../economy/index.ts'
import { Answering } from './answering.ts'
import type { AnswerKind, ReadRequest } from './answerKinds.ts'
import { answerLength } from './answerLength.ts'
import { ApiError, apiErrorOf, badParameter, faultOf, internalError } from './apiError.ts'
import { type ApiRequestEntry, ApiRequests, newNotes, type RequestNotes } from './apiRequests.ts'
import { Attempt } from './attempt.ts'
import { Attempts, IDEMPOTENCY_KEY_CHARACTERS_MAX, type Question } from './attempts.ts'
import { DriverError } from './errors.ts'
import { estimate } from './estimate.ts'
import { Expectations } from './expectations.ts'
import { checkPool, checkPrice, type Policy, splitPolicy, unsatisfied } from './policy.ts'
import type { Among, GatewayAccounts, GatewayDriver, GatewayModels, OfferedModel } from './ports.ts'
import { Quotas } from './quotas.ts'
import type { Accepted, AnswerRequest } from './requests.ts'
import { RunningAnswers, shuttingDown } from './runningAnswers.ts'
import { sendAttempt } from './sendAttempt.ts'
import { priceOf, sizeOf } from './sizes.ts'
import type { GatewayStorage } from './storage/ports.ts'
import { type UsageEvent, UsageRecords } from './usageRecords.ts'

export interface GatewayOptions {
  readonly driver: GatewayDriver
  readonly models: GatewayModels
  /** Null: nobody pays, and no key is asked for. */
  readonly accounts: GatewayAccounts | null
  /** Where what clients leave here is kept; null: nothing is. */
  readonly storage: Promise<GatewayStorage> | null
  readonly clock: Clock
  /** Cryptographically strong. */
  readonly randomBytes: (count: number) => Uint8Array
  /** What an operator should know; never prompts. */
  readonly log: (line: string) => void
  /** Each request, once it is over. */
  readonly onRequest?: (entry: ApiRequestEntry) => void
  /** Each request that is over, once its cost is known or will not be. */
  readonly onUsage?: (event: UsageEvent) => void
}

interface AcceptedRead<Read> {
  readonly read: Read
  /** Null: no key is needed. */
  readonly holder: KeyHolder | null
  readonly payer: Accepted['payer']
  readonly policy: Policy
  readonly model: OfferedModel
}

type Reader<Read extends { readonly asked: AnswerRequest }> = (body: unknown, drawSeed: () => number) => Read

export const REQUEST_ID = 'x-request-id'
/** In the queue, before it is refused. */
const QUEUE_WAIT_MS = 30_000
/** Settlements come seconds after the end of a session. */
const SETTLE_MS = 5_000

export class AnswerRoute {
  readonly #options: GatewayOptions
  readonly #quotas = new Quotas()
  readonly #attempts: Attempts
  readonly #expectations: Expectations
  readonly running: RunningAnswers
  readonly requests = new ApiRequests()
  readonly #keyListeners = new Set<(keyId: string, key: string) => void>()
  readonly usage: UsageRecords

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#attempts = new Attempts(options.clock)
    this.running = new RunningAnswers(options.clock)
    this.usage = new UsageRecords(options.clock, options.onUsage)
    this.#expectations = new Expectations(this.usage)
    options.accounts?.onSettled((sessionId, charged) => this.usage.settled(sessionId, charged))
    options.accounts?.onAudited((sessionId, audit) => this.usage.audited(sessionId, audit))
  }

  async handle(request: FastifyRequest, reply: FastifyReply, kind: AnswerKind): Promise<unknown> {
    const { clock } = this.#options
    const accepted = await this.#accept(request, kind)
    const { payer, model, policy } = accepted
    const read = await preparedOf(accepted.read, accepted.holder, request)
    await this.#demand({ ...accepted, read })
    const { stream } = read.asked
    // It went while its key was looked up: nobody would hear the answer, nor stop it.
    if (reply.raw.destroyed) throw this.#cutOff()
    const question = questionOf(request, payer, policy)
    const earlier = this.#attempts.find(question)
    if (earlier === null) {
      if (this.running.isClosing) throw shuttingDown()
      this.#expectations.checkWait(read.asked, model.id)
    }
    const leave = payer === null ? () => undefined : this.#quotas.enter(payer.keyId)
    if (earlier !== null) {
      reply.raw.on('close', leave)
      reply.header(REQUEST_ID, earlier.requestId)
      return sendAttempt(reply, earlier, stream, clock)
    }
    const attempt = this.#attempt(String(reply.getHeader(REQUEST_ID)), read)
    this.#attempts.add(question, attempt)
    const sent = sendAttempt(reply, attempt, stream, clock)
    void this.#answer(attempt, read, { payer, model }, this.requests.notesOf(request)).finally(() => {
      leave()
      this.#attempts.tidy()
    })
    return sent
  }

  /** Nothing new is begun; resolves once what runs has finished or was cut off, and what it cost is settled, or can not be now. */
  async drain(): Promise<void> {
    await this.running.drain()
    if (this.#options.accounts !== null) await this.usage.whenSettled(SETTLE_MS)
  }

  /** Nothing of what was answered is kept; usage that nobody has been told of is told. */
  close(): void {
    this.#attempts.close()
    this.usage.close()
  }

  /** The JSON of an answer for who has no line open here. Rejects with an ApiError. */
  async answer(
    read: ReadRequest,
    model: OfferedModel,
    payer: Payer & Among,
    signal: AbortSignal,
  ): Promise<{ readonly requestId: string; readonly json: string }> {
    const attempt = this.#attempt(newRequestId(this.#options.randomBytes), read)
    const { promise, resolve, reject } = deferred<string>()
    const leave = attempt.join({ onOpen: () => undefined, onData: resolve, onEnd: () => undefined, onFailed: reject })
    const stop = () => {
      leave()
      reject(this.#cutOff())
    }
    signal.addEventListener('abort', stop)
    try {
      void this.#answer(attempt, read, { payer, model }, newNotes())
      if (signal.aborted) stop()
      return { requestId: attempt.requestId, json: await promise }
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** What a request of that kind may cost and have to wait for; nothing is computed but its tokens. */
  async estimate(request: FastifyRequest, reader: Reader<Pick<ReadRequest, 'asked'>>): Promise<object> {
    const { read, payer, model, policy } = await this.#accept(request, reader)
    const leave = payer === null ? () => undefined : this.#quotas.enter(payer.keyId)
    try {
      return await estimate({ asked: read.asked, payer, model }, policy, { ...this.#options, expectations: this.#expectations })
    } finally {
      leave()
    }
  }

  /** A request that may be answered. Rejects with an ApiError or an AccountError. */
  async #accept<Read extends Pick<ReadRequest, 'asked'>>(request: FastifyRequest, reader: Reader<Read>): Promise<AcceptedRead<Read>> {
    const { read, policy } = await this.#read(request, reader)
    const { model: id } = read.asked
    const holder = await this.authorize(request, { model: id, pool: policy.pool })
    const model = findModel(this.#options.models, id)
    if (holder !== null) return { read, holder, payer: { ...holder, pool: required(holder.pool, 'a pool') }, model, policy }
    if (policy.pool !== null && policy.pool !== 'public') throw unsatisfied('this coordinator has no accounts, and so only the public pool')
    return { read, holder, payer: null, model, policy }
  }

  /** Rejects with an ApiError where what the client demands cannot be had. */
  async #demand({ read: { asked }, payer, model, policy }: AcceptedRead<ReadRequest>): Promise<void> {
    const { driver, models, accounts } = this.#options
    if (payer !== null) checkPool(models, model, payer)
    if (policy.maxPrice === null) return
    const accepted = { asked, payer, model }
    checkPrice(await priceOf(accepted, accounts, await sizeOf(accepted, driver, accounts)), policy)
  }

  /** Null: no key is needed. Rejects with an ApiError or an AccountError. */
  async authorize(
    request: FastifyRequest,
    scope: { readonly model: string; readonly pool: Pool | null } | null,
  ): Promise<KeyHolder | null> {
    const { accounts } = this.#options
    if (accounts === null) return null
    const key = apiKeyOf(request)
    const payer = await accounts.authorize(key, scope)
    this.requests.notesOf(request).keyId = payer.keyId
    for (const listener of this.#keyListeners) listener(payer.keyId, key)
    return payer
  }

  /** Hears of each API key that a client has shown, once it is known to be one. */
  onKey(listener: (keyId: string, key: string) => void): void {
    this.#keyListeners.add(listener)
  }

  /** What is wrong with the body is told to those alone who have a key. */
  async #read<Read extends Pick<ReadRequest, 'asked'>>(
    request: FastifyRequest,
    reader: Reader<Read>,
  ): Promise<{ readonly read: Read; readonly policy: Policy }> {
    try {
      const { body, policy } = splitPolicy(request.body, request.headers)
      return { read: reader(body, () => this.#drawSeed()), policy }
    } catch (error) {
      await this.authorize(request, null)
      throw error
    }
  }

  #attempt(requestId: string, { asked, write }: ReadRequest): Attempt {
    const { clock, randomBytes } = this.#options
    const now = () => Math.floor(clock.nowMs() / 1_000)
    return new Attempt(requestId, asked, write({ requestId, id: toHex(randomBytes(12)), created: now(), now }))
  }

  /** Its clients have gone, or the coordinator is about to. */
  #cutOff(): ApiError {
    if (this.running.isClosing) return shuttingDown()
    return new ApiError(503, 'the answer was cut off; ask again in a moment', { code: 'cut-off', retryAfterMs: 5_000 })
  }

  #drawSeed(): number {
    return Buffer.from(this.#options.randomBytes(4)).readUInt32LE()
  }

  /** Never rejects. */
  async #answer(
    attempt: Attempt,
    { asked, keep }: ReadRequest,
    { payer, model }: Pick<Accepted, 'payer' | 'model'>,
    notes: RequestNotes,
  ): Promise<void> {
    const { driver, accounts, clock, log } = this.#options
    const { requestId } = attempt
    const modelId = model.id
    const pool = payer?.pool ?? 'public'
    const startMs = clock.nowMs()
    notes.model = modelId
    const leave = this.running.enter(attempt)
    const { account = null, keyId = null } = payer ?? {}
    this.usage.begin({ requestId, account, keyId, modelId, serviceTier: asked.serviceTier, pool })
    const payment = payer === null ? null : (accounts?.pay(payer) ?? null)
    let answering: Answering | null = null
    let isGone = false
    let firstMs: number | null = null
    attempt.begin(() => {
      isGone = true
    })
    try {
      const maxTokens = await answerLength({ asked, payer, model }, accounts, () => driver.count(modelId, asked.prompt))
      if (isGone) throw this.#cutOff()
      const terms = { modelId, voucher: payment?.voucher ?? null, waitMs: QUEUE_WAIT_MS }
      const begun = new Answering(driver, { ...asked, maxTokens }, terms, {
        onSession: (sessionId) => this.usage.opened(requestId, sessionId),
        onAdmitted: () => attempt.onAdmitted(),
        onPart: (part) => {
          firstMs ??= clock.nowMs()
          notes.firstTextMs ??= firstMs - startMs
          attempt.onPart(part)
        },
        onFinished: (index, reason) => attempt.onFinished(index, reason),
      })
      answering = begun
      attempt.begin(() => begun.stop())
      const outcome = await begun.outcome
      const isCutOff = outcome.finishReasons.includes('cancelled')
      this.usage.ended(requestId, isCutOff ? 'failed' : 'completed', outcome)
      if (isCutOff) throw this.#cutOff()
      if (firstMs !== null) this.#expectations.came(modelId, outcome.completionTokens / asked.choices, clock.nowMs() - firstMs)
      Object.assign(notes, begun.progress)
      await keep?.(attempt.whole(outcome))
      attempt.finish(outcome)
    } catch (error) {
      this.usage.ended(requestId, 'failed', answering?.progress ?? {})
      const told = lacksPool(error, pool) ?? apiErrorOf(error)
      if (told === null) log(`a request to the gateway failed: ${faultOf(error)}`)
      const failure = told ?? internalError()
      Object.assign(notes, answering?.progress, { code: failure.reason })
      attempt.fail(failure)
    } finally {
      payment?.end()
      leave()
    }
  }
}

/** The last tab of the pool has gone since it was looked at. */
function lacksPool(error: unknown, pool: Pool): ApiError | null {
  const isLack = error instanceof DriverError && (error.reason === 'incomplete' || error.reason === 'no-volunteers')
  return isLack && pool !== 'public' ? unsatisfied(`tabs of the pool "${pool}" do not serve all layers any more`) : null
}

async function preparedOf(read: ReadRequest, holder: KeyHolder | null, request: FastifyRequest): Promise<ReadRequest> {
  return read.prepare === undefined || holder === null ? read : read.prepare({ holder, apiKey: apiKeyOf(request) })
}

/** What a client has shown as its API key. Throws an ApiError. */
export function apiKeyOf({ headers }: FastifyRequest): string {
  const [, key] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (key !== undefined) return key
  throw new ApiError(401, 'there is no API key: send it as "Authorization: Bearer KEY"; tabswarm key create makes one', {
    code: 'invalid_api_key',
  })
}

/** Throws an ApiError. */
export function findModel(models: GatewayModels, id: string): OfferedModel {
  const model = models.list().find((one) => one.id === id)
  if (model !== undefined) return model
  throw new ApiError(404, `there is no model ${id} here; GET /v1/models lists those there are`, { code: 'model_not_found' })
}

export function newRequestId(randomBytes: GatewayOptions['randomBytes']): string {
  return `req_${toHex(randomBytes(16))}`
}

function questionOf(request: FastifyRequest, payer: Payer | null, { pool, maxPrice }: Policy): Question {
  const { 'idempotency-key': given, 'x-stainless-retry-count': retries } = request.headers
  const idempotencyKey = typeof given === 'string' && given !== '' ? given : null
  if (idempotencyKey !== null && idempotencyKey.length > IDEMPOTENCY_KEY_CHARACTERS_MAX)
    throw badParameter('Idempotency-Key', `an Idempotency-Key has at most ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters`)
  const hash = createHash('sha256')
    .update(JSON.stringify([request.url, request.body, pool, String(maxPrice)]))
    .digest('hex')
  return { owner: payer?.keyId ?? '', hash, idempotencyKey, isRetry: Number(retries) > 0 }
}
