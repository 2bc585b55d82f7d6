/**
 * FastSwarm: the gateway over HTTP on a driver that says a word every so many milliseconds and computes nothing, for load: what is measured is the gateway
 * itself. Accounts are left out; a key is not asked for.
 */

import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import {
  ANSWER_TOKENS_DEFAULT,
  type Answering,
  type DriverAnswer,
  type DriverEvent,
  type DriverRequest,
  type GatewayDriver,
  registerGateway,
} from '../coordinator/gateway/index.ts'
import { type CancelTimer, type Clock, deferred, isSessionId, type ModelId, type SessionId } from '../shared/index.ts'

export const FAST_MODEL = 'fast' as ModelId

export interface FastSwarmOptions {
  readonly clock: Clock
  readonly tokenMs: number
  /** Said as every token. */
  readonly word: string
  readonly log: (line: string) => void
}

export interface FastSwarm {
  /** With /v1. */
  readonly baseUrl: string
  /** Answers that are under way. */
  open(): number
  close(): Promise<void>
}

const PROMPT_TOKENS = 8

export async function startFastSwarm(options: FastSwarmOptions): Promise<FastSwarm> {
  const { clock, log } = options
  const driver = new FastDriver(options)
  const app = fastify({ forceCloseConnections: true })
  const capacity = { peers: 1, layersCovered: 1, layerCount: 1, sessions: 0 }
  const price = { decode: '0', prompt: '0', cachedPrompt: '0' }
  const tiers = { spot: 1, standard: 1, priority: 1 }
  const about = { id: FAST_MODEL, name: 'Fast', license: null, contextLength: 2 ** 20, quantization: null }
  await registerGateway(app, {
    driver,
    models: { list: () => [{ ...about, price, tiers, isDefault: true }], hasRoom: () => true, capacity: () => capacity },
    accounts: null,
    storage: null,
    clock,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    log,
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { baseUrl: `http://127.0.0.1:${port}/v1`, open: () => driver.open, close: () => app.close() }
}

class FastDriver implements GatewayDriver {
  readonly #options: FastSwarmOptions
  #asked = 0
  open = 0

  constructor(options: FastSwarmOptions) {
    this.#options = options
  }

  ask({ maxTokens }: DriverRequest, onEvent: (event: DriverEvent) => void): Answering {
    const { clock, tokenMs, word } = this.#options
    const { promise, resolve } = deferred<DriverAnswer>()
    const sessionId = sessionIdOf(this.#asked++)
    const most = maxTokens ?? ANSWER_TOKENS_DEFAULT
    let completionTokens = 0
    let cancel: CancelTimer = () => undefined
    let isOver = false
    const finish = (finishReason: DriverAnswer['finishReason']) => {
      if (isOver) return
      isOver = true
      cancel()
      this.open--
      resolve({ sessionId, promptTokens: PROMPT_TOKENS, completionTokens, finishReason, stages: [], dataPath: 'webrtc', repairs: 0 })
    }
    const step = () => {
      completionTokens++
      onEvent({ kind: 'text', text: word, completionTokens, tokens: [] })
      if (completionTokens < most) cancel = clock.after(tokenMs, step)
      else finish('length')
    }
    this.open++
    cancel = clock.after(tokenMs, () => {
      onEvent({ kind: 'admitted', sessionId, promptTokens: PROMPT_TOKENS, maxTokens: most })
      step()
    })
    return { answer: promise, stop: () => finish('cancelled') }
  }

  async count(): Promise<number> {
    return PROMPT_TOKENS
  }
}

function sessionIdOf(index: number): SessionId {
  const text = index.toString(16).padStart(32, '0')
  if (!isSessionId(text)) throw new Error(`assertion failed: ${text} is a session id`)
  return text
}
