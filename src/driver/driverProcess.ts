/**
 * DriverProcess: the gateway's driver, in a process beside the coordinator's, so that neither a burst of answers nor a fault of the native WebRTC holds up
 * or ends the coordinator. It begins with the first question; where it dies, what it was asked fails by name, and the next question begins another.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
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

export interface DriverProcessOptions {
  /** Where the coordinator listens. */
  readonly origin: () => string
  readonly models: () => Promise<readonly DriverModel[]>
  /** A process will connect as this peer, and has not yet. */
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

export class DriverProcess implements GatewayDriver {
  readonly #options: DriverProcessOptions
  readonly #asked = new Map<number, Asked>()
  #child: Promise<ChildProcess> | null = null
  #asks = 0
  #closed = false

  constructor(options: DriverProcessOptions) {
    this.#options = options
  }

  /** So that the first question does not wait for it. */
  begin(): void {
    this.#process().catch(() => undefined)
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

  /** Stops what is open, and resolves when the process has ended. */
  async close(): Promise<void> {
    this.#closed = true
    const child = await this.#child?.catch(() => null)
    if (child == null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
    child.send({ kind: 'close' } satisfies ToDriver)
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_MS)
    await ended
    clearTimeout(timer)
  }

  #send<Answer extends DriverAnswer | number>(id: number, message: ToDriver, onEvent: Asked['onEvent']): Promise<Answer> {
    const { promise, resolve, reject } = deferred<Answer>()
    // Who settles it knows by the message's kind what it is.
    this.#asked.set(id, { onEvent, settle: (answer) => resolve(answer as Answer), fail: reject })
    if (this.#closed) this.#fail(new DriverError('shutting-down', 'the coordinator is shutting down; ask again when it is back'))
    else
      this.#process().then(
        (child) => void child.send(message),
        (error: unknown) => this.#lost(`it could not begin: ${String(error)}`),
      )
    return promise
  }

  #post(message: ToDriver): void {
    void this.#child?.then(
      (child) => void child.send(message),
      () => undefined,
    )
  }

  #process(): Promise<ChildProcess> {
    this.#child ??= this.#open()
    return this.#child
  }

  async #open(): Promise<ChildProcess> {
    const { origin, models, onIdentity } = this.#options
    const child = fork(fileURLToPath(new URL('../../bin/driver.mjs', import.meta.url)), [], {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const identified = deferred<void>()
    child.on('message', (message: FromDriver) => {
      if (message.kind === 'alarm') return this.#options.log(`the gateway's driver says: ${message.what}`)
      if (message.kind !== 'identity') return this.#receive(message)
      onIdentity(message.peerId)
      identified.resolve()
    })
    const end = (why: string) => {
      identified.reject(new Error(why))
      this.#lost(why)
    }
    child.on('error', (error) => end(String(error)))
    child.on('exit', (code, signal) => end(`its process has ended with ${signal ?? code}`))
    await identified.promise
    child.send({ kind: 'connect', origin: origin(), models: await models() } satisfies ToDriver)
    return child
  }

  #receive(message: Exclude<FromDriver, { kind: 'identity' | 'alarm' }>): void {
    const asked = this.#asked.get(message.id)
    if (asked === undefined) return
    if (message.kind === 'event') return asked.onEvent(message.event)
    this.#asked.delete(message.id)
    if (message.kind === 'answer') asked.settle(message.answer)
    else if (message.kind === 'counted') asked.settle(message.tokens)
    else asked.fail(new DriverError(message.failure.reason, message.failure.message, message.failure.retryAfterMs))
  }

  /** The next question begins another. */
  #lost(why: string): void {
    if (this.#child === null) return
    this.#child = null
    if (!this.#closed) this.#options.log(`the gateway's driver was lost: ${why}`)
    this.#fail(new DriverError('driver-lost', 'the coordinator lost its driver in mid-answer; ask again', RETRY_MS))
  }

  #fail(error: DriverError): void {
    const all = [...this.#asked.values()]
    this.#asked.clear()
    for (const { fail } of all) fail(error)
  }
}
