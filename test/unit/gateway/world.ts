/** The API over a real HTTP server, with a scripted driver and scripted accounts behind it. The app around it answers in another shape, as the coordinator's does. */

import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { AccountError } from '../../../src/coordinator/accounts/index.ts'
import type { AuditListener, Payer } from '../../../src/coordinator/economy/index.ts'
import {
  type Answering,
  type ApiRequestEntry,
  type ChosenToken,
  type DriverAnswer,
  DriverError,
  type DriverEvent,
  type DriverRequest,
  type Gateway,
  type GatewayAccounts,
  type GatewayDriver,
  type GatewayStorage,
  type OfferedModel,
  type Prompt,
  registerGateway,
  type UsageEvent,
} from '../../../src/coordinator/gateway/index.ts'
import {
  type Deferred,
  deferred,
  isPeerId,
  isSessionId,
  ManualClock,
  type ModelId,
  type PeerId,
  type Pool,
  type SessionId,
} from '../../../src/shared/index.ts'
import { type CheckedFetch, checkedFetch } from './shapes.ts'

export const MODEL = 'tiny-llama' as ModelId
export const KEY = 'key-of-ada'
export const PEER = peerId('ab'.repeat(16))
export const NOW_SECONDS = 1_790_000_000

function peerId(text: string): PeerId {
  if (!isPeerId(text)) throw new Error(`${text} is no peer id`)
  return text
}

function sessionId(index: number): SessionId {
  const text = index.toString(16).padStart(32, '0')
  if (!isSessionId(text)) throw new Error(`${text} is no session id`)
  return text
}

/** One question of the gateway, whose answer the test plays. */
export class ScriptedAsk implements Answering {
  readonly request: DriverRequest
  readonly sessionId: SessionId
  isStopped = false
  readonly #onEvent: (event: DriverEvent) => void
  readonly #answer: Deferred<DriverAnswer> = deferred()
  #completionTokens = 0
  #promptTokens = 0

  constructor(request: DriverRequest, index: number, onEvent: (event: DriverEvent) => void) {
    this.request = request
    this.sessionId = sessionId(index)
    this.#onEvent = onEvent
  }

  get answer(): Promise<DriverAnswer> {
    return this.#answer.promise
  }

  admit(promptTokens = 7): void {
    this.#promptTokens = promptTokens
    this.#onEvent({ kind: 'admitted', sessionId: this.sessionId, promptTokens, maxTokens: this.request.maxTokens ?? 1_024 })
  }

  say(text: string, tokens: readonly ChosenToken[] = []): void {
    this.#completionTokens++
    this.#onEvent({ kind: 'text', text, completionTokens: this.#completionTokens, tokens })
  }

  /** More of the prompt, said again. */
  echo(text: string, tokens: readonly ChosenToken[] = []): void {
    this.#onEvent({ kind: 'text', text, completionTokens: 0, tokens })
  }

  finish(finishReason: DriverAnswer['finishReason'] = 'stop'): void {
    this.#answer.resolve({
      sessionId: this.sessionId,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
      finishReason,
      stages: [{ peerId: PEER, firstLayer: 0, endLayer: 4, engine: 'wasm', link: 'webrtc' }],
      dataPath: 'webrtc',
      repairs: 1,
    })
  }

  fail(reason: string, message = `it failed: ${reason}`, retryAfterMs: number | null = null): void {
    this.#answer.reject(new DriverError(reason, message, retryAfterMs))
  }

  stop(): void {
    this.isStopped = true
    this.finish('cancelled')
  }
}

export class ScriptedDriver implements GatewayDriver {
  readonly asks: ScriptedAsk[] = []
  /** What becomes of each question; the test may replace it. */
  play: (ask: ScriptedAsk) => void = (ask) => answerWith(ask, ['Hello', ', ', 'world'])
  /** Asked, and not yet over. */
  open = 0

  ask(request: DriverRequest, onEvent: (event: DriverEvent) => void): Answering {
    const ask = new ScriptedAsk(request, this.asks.length, onEvent)
    this.asks.push(ask)
    this.open++
    const over = () => void this.open--
    ask.answer.then(over, over)
    // As messages of another process do, events come later.
    setImmediate(() => this.play(ask))
    return ask
  }

  /** A token a word. */
  async count(_modelId: ModelId, prompt: Prompt): Promise<number> {
    if (prompt.kind === 'ids') return prompt.ids.length
    const texts = prompt.kind === 'raw' ? [prompt.text] : prompt.messages.map(({ content }) => content)
    return texts.join(' ').split(' ').length
  }

  /** The question number `index`, once it has come. */
  async asked(index = 0): Promise<ScriptedAsk> {
    return until(() => this.asks[index] ?? null)
  }
}

export function answerWith(ask: ScriptedAsk, texts: readonly string[], finishReason: DriverAnswer['finishReason'] = 'stop'): void {
  ask.admit()
  for (const text of texts) ask.say(text)
  ask.finish(finishReason)
}

/** Polls: what is waited for comes over a socket. */
export async function until<Value>(probe: () => Value | null | false | Promise<Value | null | false>): Promise<Value> {
  for (let turn = 0; turn < 2_000; turn++) {
    const value = await probe()
    if (value !== null && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`waited in vain for ${probe.toString()}`)
}

export class ScriptedAccounts implements GatewayAccounts {
  readonly payments: { readonly payer: Payer; readonly voucher: string; isOver: boolean }[] = []
  readonly asked: Parameters<GatewayAccounts['authorize']>[] = []
  /** Says what a session has cost. */
  settle: (sessionId: SessionId, charged: bigint) => void = () => undefined

  /** Of requests that name none. */
  pool: Pool = 'public'
  /** How long keys take to be looked up. */
  lookUp: Promise<void> = Promise.resolve()

  async authorize(...asked: Parameters<GatewayAccounts['authorize']>): ReturnType<GatewayAccounts['authorize']> {
    this.asked.push(asked)
    await this.lookUp
    const [key, request] = asked
    if (key === 'key-of-none') throw new AccountError('bad-key', 'this API key is unknown or was revoked; make another')
    if (key === 'key-in-haste') throw new AccountError('too-many-requests', '5 requests a minute are allowed; ask again in 12 s', 12_000)
    if (key === 'key-of-others' && request !== null)
      throw new AccountError('not-allowed', `this key may not use the model ${request.model}`)
    return { keyId: key, account: `account of ${key}`, storesResponses: false, pool: request?.pool ?? this.pool }
  }

  pay(payer: Payer): ReturnType<GatewayAccounts['pay']> {
    const payment = { payer, voucher: `voucher ${this.payments.length}`, isOver: false }
    this.payments.push(payment)
    return {
      voucher: payment.voucher,
      end: () => {
        payment.isOver = true
      },
    }
  }

  readonly funds = new Map<string, { readonly payer: Payer; readonly amount: bigint; isOver: boolean }>()
  /** Why nothing can be set aside; null: it can. */
  refusal: { readonly reason: string; readonly message: string } | null = null

  async setAside(...[payer, fund, amount]: Parameters<GatewayAccounts['setAside']>): ReturnType<GatewayAccounts['setAside']> {
    if (this.refusal === null) this.funds.set(fund, { payer, amount, isOver: false })
    return this.refusal
  }

  giveBack(fund: string): void {
    const known = this.funds.get(fund)
    if (known === undefined) throw new Error(`nothing was set aside as ${fund}`)
    known.isOver = true
  }

  /** Micro-credits: one of the prompt, ten of the answer. */
  async price(...[, { promptTokens, maxTokens }, tier]: Parameters<GatewayAccounts['price']>): Promise<bigint> {
    return BigInt((promptTokens + 10 * maxTokens) * OFFERED.tiers[tier] * 2)
  }

  /** Micro-credits that whoever pays has. */
  purse = 10n ** 12n

  async affordable(_payer: Payer): Promise<bigint> {
    return this.purse
  }

  onSettled(listener: (sessionId: SessionId, charged: bigint) => void): () => void {
    this.settle = listener
    return () => undefined
  }

  /** Says who computed a stage's part again. */
  audit: AuditListener = () => undefined

  onAudited(listener: AuditListener): () => void {
    this.audit = listener
    return () => undefined
  }
}

const OFFERED: OfferedModel = {
  id: MODEL,
  name: 'Tiny Llama',
  license: 'apache-2.0',
  contextLength: 2_048,
  quantization: 'q4_1',
  price: { decode: '2.5', prompt: '1.25', cachedPrompt: '0.1' },
  tiers: { spot: 0.5, standard: 1, priority: 2 },
  isDefault: true,
}

export interface GatewayWorld {
  /** With /v1. */
  readonly baseUrl: string
  readonly port: number
  readonly driver: ScriptedDriver
  readonly accounts: ScriptedAccounts
  readonly clock: ManualClock
  readonly log: readonly string[]
  /** Those that are over. */
  readonly requests: readonly ApiRequestEntry[]
  readonly gateway: Gateway
  /** What was told of requests that are over. */
  readonly usage: readonly UsageEvent[]
  /** What the swarm can do, as the gateway is told. */
  readonly swarm: { layersCovered: number; hasRoom: boolean; readonly pools: Partial<Record<Pool, number>> }
  /** Checks every answer against its schema. */
  readonly fetch: CheckedFetch
  close(): Promise<void>
}

export interface GatewayWorldOptions {
  readonly hasAccounts?: boolean
  readonly accounts?: ScriptedAccounts
  readonly storage?: Promise<GatewayStorage> | null
  /** Left out: one that stands at NOW_SECONDS. */
  readonly clock?: ManualClock
}

export async function startGatewayWorld({
  hasAccounts = true,
  accounts = new ScriptedAccounts(),
  storage = null,
  clock = clockOfNow(),
}: GatewayWorldOptions = {}): Promise<GatewayWorld> {
  const driver = new ScriptedDriver()
  const log: string[] = []
  const requests: ApiRequestEntry[] = []
  const usage: UsageEvent[] = []
  const swarm: GatewayWorld['swarm'] = { layersCovered: 4, hasRoom: true, pools: {} }
  const app = fastify({ bodyLimit: 1_024, forceCloseConnections: true })
  app.setErrorHandler(
    (_error, _request, reply) => void reply.code(500).send({ error: { reason: 'of the app', message: 'not of the API' } }),
  )
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-content-type-options', 'nosniff'))
  const gateway = await registerGateway(app, {
    driver,
    storage,
    models: {
      list: () => [OFFERED],
      hasRoom: () => swarm.hasRoom,
      capacity: (_modelId, among) => {
        const layersCovered = swarm.pools[among?.pool ?? 'public'] ?? swarm.layersCovered
        return { peers: 3, layersCovered, layerCount: 4, sessions: 2 }
      },
    },
    accounts: hasAccounts ? accounts : null,
    clock,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    log: (line) => log.push(line),
    onRequest: (entry) => requests.push(entry),
    onUsage: (event) => usage.push(event),
  })
  app.setNotFoundHandler((_request, reply) => void reply.code(404).send({ error: { reason: 'of the app', message: 'not of the API' } }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    port,
    driver,
    accounts,
    clock,
    log,
    requests,
    gateway,
    usage,
    swarm,
    fetch: checkedFetch(),
    async close() {
      await gateway.close()
      await app.close()
    },
  }
}

function clockOfNow(): ManualClock {
  const clock = new ManualClock()
  clock.advance(NOW_SECONDS * 1_000)
  return clock
}
