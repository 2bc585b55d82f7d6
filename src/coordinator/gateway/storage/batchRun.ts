/**
 * BatchRun: one coordinator's work on one batch, from where the last one left it to its end: what is left is held together, asked line by line where the
 * swarm has room that nobody else asks for, and each answer is written once, sealed.
 */

import { type Clock, type ModelId, required, toHex, utf8Encode } from '../../../shared/index.ts'
import type { Payer, SessionSize } from '../../economy/index.ts'
import type { BatchRecord, BatchStatus } from '../../store/index.ts'
import { answerKindAt, type ReadRequest } from '../answerKinds.ts'
import { type AnswerRoute, findModel, newRequestId } from '../answerRoute.ts'
import { ApiError, apiErrorOf, badParameter, faultOf } from '../apiError.ts'
import type { Among, GatewayAccounts, GatewayDriver, GatewayModels } from '../ports.ts'
import { priceOf, sizeOf } from '../sizes.ts'
import { answerLine, type BatchHeader, isEnded, type LineAnswer } from './batchForms.ts'
import { type BatchLine, readBatchInput } from './batchInput.ts'
import type { ClientObjects } from './clientObjects.ts'
import { type GatewayStorage, KEPT_MS } from './ports.ts'
import type { Seal, SealingKey } from './sealing.ts'

export interface BatchTools {
  readonly objects: ClientObjects
  readonly answers: Pick<AnswerRoute, 'answer'>
  readonly models: GatewayModels
  readonly driver: Pick<GatewayDriver, 'count'>
  readonly accounts: Pick<GatewayAccounts, 'price' | 'setAside' | 'giveBack'>
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  readonly log: (line: string) => void
}

interface ReadyLine {
  readonly line: BatchLine
  readonly read: ReadRequest
  readonly modelId: ModelId
  readonly size: SessionSize
  /** Micro-credits. */
  readonly price: bigint
}

/** Why it ends before its last line: `stopped` leaves the rest to another run. */
export type BatchEnd = 'cancelled' | 'expired' | 'stopped'

/** Asked at the same time, of one batch. */
const LINES_AT_ONCE = 8
/** How often a line that finds no room looks again. */
const ROOM_MS = 1_000
/** Times that a line is asked whose answer was lost in its middle. */
const TRIES_MAX = 3
/** The swarm cannot now: no try is counted. */
const NO_ROOM: readonly string[] = [
  'busy',
  'no-volunteers',
  'incomplete',
  'offline',
  'no-accounts',
  'driver-lost',
  'rate_limit_exceeded',
  'policy_pool',
]

export class BatchRun {
  readonly batch: BatchRecord
  readonly #payer: Payer & Among
  readonly #run: number
  readonly #key: SealingKey
  readonly #tools: BatchTools
  readonly #stop = new AbortController()
  #end: BatchEnd | null = null
  #seals: Readonly<Record<'output' | 'error', Seal>> | null = null

  /** `run`: its number; what it holds is called by it. */
  constructor(batch: BatchRecord, run: number, key: SealingKey, tools: BatchTools) {
    this.batch = batch
    this.#payer = { keyId: batch.key, account: batch.account, pool: batch.pool }
    this.#run = run
    this.#key = key
    this.#tools = tools
  }

  /** Only the first word counts. */
  end(why: BatchEnd): void {
    if (this.#end !== null) return
    this.#end = why
    this.#stop.abort()
  }

  /** Rejects where the store or the driver does not answer: another run goes on from there. */
  async run(): Promise<void> {
    const { batch } = this
    const { clock, objects } = this.#tools
    if (batch.status === 'cancelling') this.end('cancelled')
    const cancel = clock.after(Math.max(0, batch.endsAtMs - clock.nowMs()), () => this.end('expired'))
    try {
      const storage = await objects.storage
      const lines = await this.#open(storage)
      await this.#answerAll(lines, storage)
      await this.#finish(lines, storage)
    } finally {
      cancel()
    }
  }

  async #open({ sealed }: GatewayStorage): Promise<readonly BatchLine[]> {
    const { inputFile, outputFile, errorFile, endpoint } = this.batch
    const { objects } = this.#tools
    const [input, output, error] = await Promise.all([
      objects.find(this.#key, ['file'], inputFile),
      objects.find(this.#key, ['output'], outputFile),
      objects.find(this.#key, ['output'], errorFile),
    ])
    this.#seals = { output: objects.seal(this.#key, output), error: objects.seal(this.#key, error) }
    const answered = await sealed.indexes([outputFile, errorFile])
    return readBatchInput(await objects.whole(this.#key, input), endpoint).lines.filter(({ index }) => !answered.has(index))
  }

  async #answerAll(lines: readonly BatchLine[], { batches }: GatewayStorage): Promise<void> {
    const ready: ReadyLine[] = []
    for (const line of lines) {
      if (this.#end !== null) return
      const prepared = await this.#prepare(line)
      if (prepared !== null) ready.push(prepared)
    }
    if (ready.length === 0) return void (await batches.move(this.batch.id, ['validating'], 'in_progress'))
    const { id } = this.batch
    const fund = `${id}.${this.#run}`
    const amount = ready.reduce((sum, { price }) => sum + price, 0n)
    const refusal = await this.#setAside(fund, amount)
    if (refusal !== null) return this.#refuse(refusal)
    try {
      await batches.move(id, ['validating'], 'in_progress')
      const work = async () => {
        for (let next = ready.shift(); next !== undefined && this.#end === null; next = ready.shift()) await this.#ask(next, fund)
      }
      await Promise.all(Array.from({ length: LINES_AT_ONCE }, work))
    } catch (error) {
      this.end('stopped')
      throw error
    } finally {
      if (amount > 0n) this.#tools.accounts.giveBack(fund)
    }
  }

  /** Null: what it asks cannot be answered, which is its answer. */
  async #prepare(line: BatchLine): Promise<ReadyLine | null> {
    const { models, driver, accounts, randomBytes } = this.#tools
    try {
      const read = readLine(this.batch.endpoint, line, () => Buffer.from(randomBytes(4)).readUInt32LE())
      const { asked } = read
      const model = findModel(models, asked.model)
      const accepted = { asked, payer: this.#payer, model }
      // What is set aside decides what it can pay, not its account's balance.
      const size = await sizeOf(accepted, driver, null)
      return { line, read, modelId: model.id, size, price: await priceOf(accepted, accounts, size) }
    } catch (error) {
      const told = apiErrorOf(error)
      if (told === null || told.retryAfterMs !== null) throw error
      await this.#writeError(line, told)
      return null
    }
  }

  async #setAside(fund: string, amount: bigint): Promise<ApiError | null> {
    if (amount === 0n) return null
    try {
      const refusal = await this.#tools.accounts.setAside(this.#payer, fund, amount, 'spot')
      return refusal === null ? null : new ApiError(402, refusal.message, { code: 'insufficient_quota' })
    } catch (error) {
      const told = apiErrorOf(error)
      if (told === null || told.retryAfterMs !== null) throw error
      return told
    }
  }

  async #refuse({ reason: code, message }: ApiError): Promise<void> {
    const { id } = this.batch
    const { objects } = this.#tools
    const { sealed, batches } = await objects.storage
    const found = await objects.find(this.#key, ['batch'], id)
    const header = objects.header<BatchHeader>(this.#key, found)
    const errors = [...header.errors, { code, message, param: null, line: null }]
    await sealed.setHeader(id, objects.seal(this.#key, found).closeJson('header', { ...header, errors }))
    await batches.move(id, ['validating', 'in_progress'], 'failed')
  }

  async #ask({ line, read, modelId, size }: ReadyLine, fund: string): Promise<void> {
    const { answers, models, log } = this.#tools
    const { pool, account } = this.#payer
    for (let tries = 1; this.#end === null; ) {
      if (!models.hasRoom(modelId, size, { pool, account })) {
        await this.#wait(ROOM_MS)
        continue
      }
      try {
        const { requestId, json } = await answers.answer(read, findModel(models, modelId), { ...this.#payer, fund }, this.#stop.signal)
        const response = { status_code: 200, request_id: requestId, body: JSON.parse(json) as unknown }
        return await this.#write(line, { id: this.#newId(), response, error: null }, false)
      } catch (error) {
        if (this.#end !== null) return
        const told = apiErrorOf(error)
        if (told === null) {
          log(`a line of a batch failed: ${faultOf(error)}`)
          throw error
        }
        const isLost = !NO_ROOM.includes(told.reason)
        const againMs = told.reason === 'policy_pool' ? ROOM_MS : told.retryAfterMs
        if (againMs === null || (isLost && tries >= TRIES_MAX)) return this.#writeError(line, told)
        if (isLost) tries++
        await this.#wait(againMs)
      }
    }
  }

  async #finish(lines: readonly BatchLine[], storage: GatewayStorage): Promise<void> {
    if (this.#end === 'stopped') return
    const { id, inputFile, outputFile, errorFile, key } = this.batch
    const { batches, sealed } = storage
    if (this.#end === 'expired') await this.#expireRest(lines, storage)
    const open: readonly BatchStatus[] = ['validating', 'in_progress', 'finalizing', 'cancelling']
    if (this.#end === 'expired') await batches.move(id, open, 'expired')
    // Who cancelled meanwhile is told so, though all was answered.
    else if (this.#end === null && (await batches.move(id, ['in_progress'], 'finalizing')))
      await batches.move(id, ['finalizing'], 'completed')
    else await batches.move(id, open, 'cancelled')
    await sealed.expire([id, inputFile, outputFile, errorFile], this.#tools.clock.nowMs() + KEPT_MS)
    const ended = await batches.find(id, key)
    if (ended === null || !isEnded(ended)) return
    if (ended.completed === 0) await sealed.remove(outputFile, key)
    if (ended.failed === 0) await sealed.remove(errorFile, key)
  }

  async #expireRest(lines: readonly BatchLine[], { sealed }: GatewayStorage): Promise<void> {
    const answered = await sealed.indexes([this.batch.outputFile, this.batch.errorFile])
    const error = { code: 'batch_expired', message: 'the batch’s day was over before the swarm had room for this request; ask it again' }
    for (const line of lines) if (!answered.has(line.index)) await this.#write(line, { id: this.#newId(), response: null, error }, true)
  }

  #writeError(line: BatchLine, { status, body }: ApiError): Promise<void> {
    const response = { status_code: status, request_id: newRequestId(this.#tools.randomBytes), body }
    return this.#write(line, { id: this.#newId(), response, error: null }, true)
  }

  async #write(line: BatchLine, answer: LineAnswer, isFailed: boolean): Promise<void> {
    const { batches } = await this.#tools.objects.storage
    const text = utf8Encode(answerLine(line, answer))
    const seal = isFailed ? this.#seals?.error : this.#seals?.output
    if (seal === undefined) throw new Error('assertion failed: an answer before the batch was opened')
    const { index } = line
    const isWritten = await batches.answer(this.batch.id, { index, sealed: seal.close(index, text), bytes: text.length, isFailed })
    // It was removed with its key.
    if (!isWritten) this.end('stopped')
  }

  #newId(): string {
    return `batch_req_${toHex(this.#tools.randomBytes(12))}`
  }

  #wait(delayMs: number): Promise<void> {
    const { signal } = this.#stop
    return new Promise((resolve) => {
      const done = () => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#tools.clock.after(delayMs, done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }
}

/** Throws an ApiError. */
function readLine(endpoint: string, { body }: BatchLine, drawSeed: () => number): ReadRequest {
  const kind = required(answerKindAt(endpoint), `the endpoint ${endpoint}`)
  const { service_tier: tier } = body
  if (tier !== undefined && tier !== null && tier !== 'auto' && tier !== 'flex')
    throw badParameter('service_tier', 'a batch is computed at the tier flex; leave service_tier out')
  const read = kind({ ...body, service_tier: 'flex' }, drawSeed)
  if (read.asked.stream) throw badParameter('stream', 'a batch has no streams; leave stream out')
  return read
}
