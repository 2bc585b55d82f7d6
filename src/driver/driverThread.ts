/**
 * DriverThread: the gateway's driver, in a thread of the coordinator's process, so that a burst of answers does not hold up the coordinator. It begins with
 * the first question; where it dies, what it was asked fails by name, and the next question begins another.
 */

import { Worker } from 'node:worker_threads'
import {
  type Answering,
  type DriverAnswer,
  DriverError,
  type DriverEvent,
  type DriverRequest,
  type GatewayDriver,
  type Prompt,
} from '../coordinator/gateway/index.ts'
import { deferred, type ModelId, type PeerId } from '../shared/index.ts'
import type { DriverModel, FromDriver, ToDriver } from './messages.ts'

export interface DriverThreadOptions {
  /** Where the coordinator listens. */
  readonly origin: () => string
  readonly models: () => Promise<readonly DriverModel[]>
  /** A thread will connect as this peer, and has not yet. */
  readonly onIdentity: (peerId: PeerId) => void
  readonly log: (line: string) => void
}

interface Asked {
  readonly onEvent: (event: DriverEvent) => void
  readonly settle: (answer: DriverAnswer | number) => void
  readonly fail: (error: DriverError) => void
}

const RETRY_MS = 1_000
/** Answers that are open are cut off then. */
const CLOSE_MS = 5_000

export class DriverThread implements GatewayDriver {
  readonly #options: DriverThreadOptions
  readonly #asked = new Map<number, Asked>()
  #worker: Promise<Worker> | null = null
  #asks = 0
  #closed = false

  constructor(options: DriverThreadOptions) {
    this.#options = options
  }

  /** So that the first question does not wait for it. */
  begin(): void {
    this.#thread().catch(() => undefined)
  }

  ask(request: DriverRequest, onEvent: (event: DriverEvent) => void): Answering {
    const id = this.#asks++
    const answer = this.#send<DriverAnswer>(id, { kind: 'ask', id, request }, onEvent)
    return { answer, stop: () => this.#post({ kind: 'stop', id }) }
  }

  count(modelId: ModelId, prompt: Prompt): Promise<number> {
    const id = this.#asks++
    return this.#send<number>(id, { kind: 'count', id, modelId, prompt }, () => undefined)
  }

  /** Stops what is open, and resolves when the thread has ended. */
  async close(): Promise<void> {
    this.#closed = true
    const worker = await this.#worker?.catch(() => null)
    if (worker == null) return
    const ended = new Promise<void>((resolve) => void worker.once('exit', () => resolve()))
    worker.postMessage({ kind: 'close' } satisfies ToDriver)
    const timer = setTimeout(() => void worker.terminate(), CLOSE_MS)
    await ended
    clearTimeout(timer)
  }

  #send<Answer extends DriverAnswer | number>(id: number, message: ToDriver, onEvent: Asked['onEvent']): Promise<Answer> {
    const { promise, resolve, reject } = deferred<Answer>()
    // Who settles it knows by the message's kind what it is.
    this.#asked.set(id, { onEvent, settle: (answer) => resolve(answer as Answer), fail: reject })
    if (this.#closed) this.#fail(new DriverError('shutting-down', 'the coordinator is shutting down; ask again when it is back'))
    else
      this.#thread().then(
        (worker) => worker.postMessage(message),
        (error: unknown) => this.#lost(`it could not begin: ${String(error)}`),
      )
    return promise
  }

  #post(message: ToDriver): void {
    void this.#worker?.then(
      (worker) => worker.postMessage(message),
      () => undefined,
    )
  }

  #thread(): Promise<Worker> {
    this.#worker ??= this.#open()
    return this.#worker
  }

  async #open(): Promise<Worker> {
    const { origin, models, onIdentity } = this.#options
    const worker = new Worker(new URL('../../bin/thread.mjs', import.meta.url))
    const identified = deferred<void>()
    worker.on('message', (message: FromDriver) => {
      if (message.kind !== 'identity') return this.#receive(message)
      onIdentity(message.peerId)
      identified.resolve()
    })
    worker.on('error', (error) => {
      identified.reject(error)
      this.#lost(String(error))
    })
    worker.on('exit', () => this.#lost('its thread has ended'))
    await identified.promise
    worker.postMessage({ kind: 'connect', origin: origin(), models: await models() } satisfies ToDriver)
    return worker
  }

  #receive(message: Exclude<FromDriver, { kind: 'identity' }>): void {
    const asked = this.#asked.get(message.id)
    if (asked === undefined) return
    if (message.kind === 'event') return asked.onEvent(message.event)
    this.#asked.delete(message.id)
    if (message.kind === 'answer') asked.settle(message.answer)
    else if (message.kind === 'counted') asked.settle(message.tokens)
    else asked.fail(new DriverError(message.failure.reason, message.failure.message, message.failure.retryAfterMs))
  }

  /** The next question begins another thread. */
  #lost(why: string): void {
    if (this.#worker === null) return
    this.#worker = null
    if (!this.#closed) this.#options.log(`the gateway's driver was lost: ${why}`)
    this.#fail(new DriverError('driver-lost', 'the coordinator lost its driver in mid-answer; ask again', RETRY_MS))
  }

  #fail(error: DriverError): void {
    const all = [...this.#asked.values()]
    this.#asked.clear()
    for (const { fail } of all) fail(error)
  }
}
