/**
 * BatchRunner: which batches this coordinator works on. It can open a batch while it holds what the batch is sealed with, in memory: from the request that
 * made it on, or, after a restart, from the next request with the same API key on. Until then the batch waits.
 */

import { type CancelTimer, type Clock, toHex } from '../../../shared/index.ts'
import type { BatchRecord } from '../../store/index.ts'
import { faultOf } from '../apiError.ts'
import { BatchRun, type BatchTools } from './batchRun.ts'
import { KEPT_MS } from './ports.ts'
import { SealingKey } from './sealing.ts'

/** How often it is looked for work, and said that work goes on. */
const LOOK_MS = 5_000
/** Who has not said so for that long is taken for dead. */
const RUNS_MS = 60_000
/** At the same time: each has its whole file in memory. */
const RUNS_MAX = 4
/** How often what has expired is removed. */
const FORGET_MS = 10 * 60_000

export class BatchRunner {
  readonly #tools: BatchTools
  readonly #clock: Clock
  /** Its name among the coordinators of one database. */
  readonly #name: string
  readonly #runs = new Map<string, { readonly run: BatchRun; readonly over: Promise<void> }>()
  /** By the API key's id; of those with a batch that has not ended. */
  readonly #keys = new Map<string, SealingKey>()
  #wanted: ReadonlySet<string> = new Set()
  #looking: Promise<void> | null = null
  #isAskedAgain = false
  #cancelTimer: CancelTimer = () => undefined
  #forgotMs = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(tools: BatchTools) {
    this.#tools = tools
    this.#clock = tools.clock
    this.#name = toHex(tools.randomBytes(8))
    this.#tick()
  }

  /** A client has shown this key. */
  keySeen(keyId: string, apiKey: string): void {
    if (this.#wanted.has(keyId) && !this.#keys.has(keyId)) this.added(new SealingKey(apiKey, keyId))
  }

  /** A batch of this key is new. */
  added(key: SealingKey): void {
    this.#keys.set(key.keyId, key)
    this.#look()
  }

  cancel(id: string): void {
    const running = this.#runs.get(id)
    if (running !== undefined) running.run.end('cancelled')
    else this.#look()
  }

  /** What is under way is left to the next coordinator; resolves when nothing is any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer()
    await this.#looking
    for (const { run } of this.#runs.values()) run.end('stopped')
    await Promise.all([...this.#runs.values()].map(({ over }) => over))
  }

  #tick(): void {
    this.#look()
    this.#cancelTimer = this.#clock.after(LOOK_MS, () => this.#tick())
  }

  /** One look at a time, and one more for all who have asked meanwhile. */
  #look(): void {
    this.#isAskedAgain = this.#looking !== null
    if (this.#isAskedAgain || this.#closed) return
    this.#looking = this.#takeUp()
      .catch((error: unknown) => this.#tools.log(`batches wait, since the store does not answer: ${faultOf(error)}`))
      .finally(() => {
        this.#looking = null
        if (this.#isAskedAgain) this.#look()
      })
  }

  async #takeUp(): Promise<void> {
    const { batches, sealed } = await this.#tools.objects.storage
    const nowMs = this.#clock.nowMs()
    const unfinished = await batches.unfinished()
    // A key that was seen while they were read stays.
    const wanted = new Set(unfinished.map(({ key }) => key))
    for (const keyId of this.#keys.keys()) if (!wanted.has(keyId) && this.#wanted.has(keyId)) this.#keys.delete(keyId)
    this.#wanted = wanted
    for (const batch of unfinished) await this.#takeUpOne(batch, nowMs)
    if (nowMs - this.#forgotMs < FORGET_MS) return
    this.#forgotMs = nowMs
    await sealed.forget()
  }

  async #takeUpOne(batch: BatchRecord, nowMs: number): Promise<void> {
    const { batches, sealed } = await this.#tools.objects.storage
    const { id } = batch
    const running = this.#runs.get(id)
    if (running !== undefined) {
      const status = await batches.renew(id, this.#name, nowMs + RUNS_MS)
      if (status === null) running.run.end('stopped')
      if (status === 'cancelling') running.run.end('cancelled')
      return
    }
    const key = this.#keys.get(batch.key)
    if (key !== undefined && this.#runs.size < RUNS_MAX && !this.#closed) {
      const number = await batches.claim(id, this.#name, nowMs + RUNS_MS)
      if (number !== null) this.#begin(batch, number, key)
    } else if (key === undefined && batch.endsAtMs <= nowMs && (await batches.move(id, [batch.status], 'expired')))
      await sealed.expire([id, batch.inputFile, batch.outputFile, batch.errorFile], nowMs + KEPT_MS)
  }

  #begin(batch: BatchRecord, number: number, key: SealingKey): void {
    const run = new BatchRun(batch, number, key, this.#tools)
    const over = run
      .run()
      .catch((error: unknown) => this.#tools.log(`a batch is left for the next try: ${faultOf(error)}`))
      .then(async () => (await this.#tools.objects.storage).batches.release(batch.id, this.#name))
      .catch((error: unknown) => this.#tools.log(`a batch stays claimed for a minute: ${faultOf(error)}`))
      .finally(() => this.#runs.delete(batch.id))
    this.#runs.set(batch.id, { run, over })
  }
}
