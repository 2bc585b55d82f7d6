/**
 * The peer's side of the control socket, rules C1 … C12: proves its key, keeps the socket alive, comes back when it breaks, and
 * knows the coordinator's time. What the messages mean is for its owner.
 */

import { createNanoEvents, type Emitter } from 'nanoevents'
import {
  type AccountAnswer,
  type AccountAnswerTo,
  type AccountAsk,
  type AccountAskOf,
  type ClientMessage,
  IDENTIFY_CONTEXT,
  PROTOCOL_VERSION,
  parseServerMessage,
  type ServerMessage,
} from '../protocol/index.ts'
import {
  type CancelTimer,
  concatBytes,
  type ErrorBody,
  fromBase64Url,
  type ModelId,
  type PeerId,
  type SessionId,
  TabswarmError,
  type Tier,
  toBase64Url,
  utf8Encode,
} from '../shared/index.ts'
import { backoffMs } from './backoff.ts'
import type { ControlClientOptions, ControlEvents, ControlSocket, ControlState, Message, Saying } from './controlTypes.ts'
import { CoordinatorTime } from './coordinatorTime.ts'
import { type Answer, CoordinatorRefused, type Question, Questions } from './questions.ts'

interface RepairRequest {
  readonly sessionId: SessionId
  readonly revision: number
  readonly lostPeerIds: readonly PeerId[]
}

interface AdmitRequest {
  readonly modelId: ModelId
  readonly promptTokens: number
  readonly maxTokens: number
  readonly tier: Tier
  /** How long it may wait for room; at most QUEUE_WAIT_MS_MAX. */
  readonly waitMs: number
  /** Who pays, where it is not the peer's own account. */
  readonly voucher?: string
}

export interface AdmitWatch {
  /** The request waits behind so many others. */
  readonly onQueued?: (ahead: number) => void
  /** Takes it back where it still waits; else it is answered all the same. */
  readonly signal?: AbortSignal
}

/** From the socket's opening to `welcome`. */
export const WELCOME_DEADLINE_MS = 15_000
/** The server pings every few seconds; a socket that is silent for this long is dead. */
export const SILENCE_MS_MAX = 30_000
export const ADMIT_DEADLINE_MS = 20_000
/** The coordinator waits for spares that load before it refuses. */
export const REPAIR_DEADLINE_MS = 250_000
const STATEMENT_DEADLINE_MS = 20_000
const ACCOUNT_DEADLINE_MS = 20_000
/** The whole ledger is read. */
const VERIFY_DEADLINE_MS = 250_000

/** Sessions whose end is told again: four times as many as a requester may have open. */
const ENDED_KEPT = 16

/** Receipts that are told again: those of checkpoints and ends of the last minutes. */
const RECEIPTS_KEPT = 64

/** Errors that come again however often one tries; a person has to act. */
const FINAL_REASONS: readonly string[] = ['protocol-version', 'replaced', 'banned', 'no-volunteer']

type Ended = Extract<ClientMessage, { type: 'ended' }>
type Receipt = Extract<ClientMessage, { type: 'receipt' }>

export class ControlClient {
  readonly #options: ControlClientOptions
  readonly #events: Emitter<ControlEvents> = createNanoEvents<ControlEvents>()
  readonly #time: CoordinatorTime
  readonly #questions: Questions
  #state: ControlState = { kind: 'connecting' }
  #socket: ControlSocket | null = null
  #coordinatorKey: Uint8Array | null = null
  #lastError: ErrorBody | null = null
  #failures = 0
  #lastEnded: readonly Ended[] = []
  #lastReceipts: readonly Receipt[] = []
  #cancelTimer: CancelTimer = () => undefined

  /** Connects at once. */
  constructor(options: ControlClientOptions) {
    this.#options = options
    this.#time = new CoordinatorTime(options.clock)
    this.#questions = new Questions(options.clock)
    this.#connect()
  }

  get state(): ControlState {
    return this.#state
  }

  /** Returns the function that ends the subscription. */
  on<Name extends keyof ControlEvents>(name: Name, listener: ControlEvents[Name]): () => void {
    return this.#events.on(name, listener)
  }

  /** The coordinator's clock, milliseconds. Before the first `challenge` there is none: asserts. */
  coordinatorNowMs(): number {
    return this.#time.nowMs()
  }

  /**
   * False while the socket is not online. Nothing is kept then, for who pledges does it again after each `online`; but for `ended` and
   * `receipt`, which are said again anyway (rules C21 and C25).
   */
  send(message: Saying): boolean {
    if (message.type === 'ended') this.#lastEnded = [...this.#lastEnded, message].slice(-ENDED_KEPT)
    if (message.type === 'receipt') this.#lastReceipts = [...this.#lastReceipts, message].slice(-RECEIPTS_KEPT)
    if (this.#state.kind !== 'online') return false
    this.#post(message)
    return true
  }

  /** Asks for a session. Rejects with TabswarmError: the coordinator's reason, `offline`, `timeout` or `cancelled`. */
  async admit(request: AdmitRequest, { onQueued, signal }: AdmitWatch = {}): Promise<Message<'admitted'>> {
    let asked = ''
    const message = (requestId: string) => {
      asked = requestId
      return { type: 'admit' as const, requestId, ...request }
    }
    const unsubscribe = this.on('queued', ({ requestId, ahead }) => {
      if (requestId === asked) onQueued?.(ahead)
    })
    const withdraw = () => void this.send({ type: 'withdraw', requestId: asked })
    signal?.addEventListener('abort', withdraw, { once: true })
    try {
      return await this.#ask({ answer: 'admitted', deadlineMs: request.waitMs + ADMIT_DEADLINE_MS, repeats: false, message })
    } finally {
      unsubscribe()
      signal?.removeEventListener('abort', withdraw)
    }
  }

  /** Asks for another chain of an open session, also while the socket is away for a while. Rejects as `admit` does, but for `offline`. */
  repair({ sessionId, revision, lostPeerIds }: RepairRequest): Promise<Message<'admitted'>> {
    const message = (requestId: string) => ({ type: 'repair' as const, requestId, sessionId, revision, lostPeerIds: [...lostPeerIds] })
    return this.#ask({ answer: 'admitted', deadlineMs: REPAIR_DEADLINE_MS, repeats: true, message })
  }

  /** A part of a month of this peer's account. Rejects as `admit` does. */
  statement(month: string, cursor: number | null): Promise<Message<'statement'>> {
    const message = (requestId: string) => ({ type: 'statement' as const, requestId, month, cursor })
    return this.#ask({ answer: 'statement', deadlineMs: STATEMENT_DEADLINE_MS, repeats: false, message })
  }

  /** Something of this peer's account. Rejects as `admit` does. */
  async account<Kind extends AccountAsk['kind']>(ask: AccountAskOf<Kind>): Promise<AccountAnswerTo<Kind>> {
    const message = (requestId: string) => ({ type: 'account-request' as const, requestId, ask })
    const deadlineMs = ask.kind === 'verify-ledger' ? VERIFY_DEADLINE_MS : ACCOUNT_DEADLINE_MS
    const { answer } = await this.#ask({ answer: 'account-answer', deadlineMs, repeats: false, message })
    if (!isAnswerTo(answer, ask.kind))
      throw new TabswarmError('protocol', `the coordinator answered ${answer.kind} to ${ask.kind}; reload the page`)
    return answer
  }

  #ask<Type extends Answer['type']>(question: Question<Type>): Promise<Extract<Answer, { type: Type }>> {
    const { kind } = this.#state
    if (kind === 'closed' || (kind !== 'online' && !question.repeats))
      return Promise.reject(new TabswarmError('offline', 'this tab is not connected to the coordinator; it is trying again'))
    const post = (message: ClientMessage) => {
      if (kind === 'online') this.#post(message)
    }
    return this.#questions.ask(question, post)
  }

  close(): void {
    this.#finish({ reason: 'closed', message: 'the connection to the coordinator was closed here' })
  }

  #connect(): void {
    this.#setState({ kind: 'connecting' })
    this.#lastError = null
    this.#coordinatorKey = null
    let socket: ControlSocket
    try {
      socket = this.#options.openSocket(this.#options.url)
    } catch (error) {
      this.#lost({ reason: 'offline', message: `the coordinator's address cannot be opened: ${String(error)}` })
      return
    }
    this.#socket = socket
    socket.onmessage = ({ data }: { data?: unknown }) => {
      if (this.#socket === socket) this.#receive(data)
    }
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost({ reason: 'offline', message: 'the connection to the coordinator broke; trying again' })
    }
    socket.onerror = () => undefined // A close follows, and says as much.
    this.#expect(WELCOME_DEADLINE_MS)
  }

  /** The next message must come within this time. */
  #expect(withinMs: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#options.clock.after(withinMs, () =>
      this.#lost({ reason: 'offline', message: `the coordinator was silent for ${withinMs / 1000} s; trying again` }),
    )
  }

  #receive(data: unknown): void {
    const parsed = parseServerMessage(typeof data === 'string' ? data : '')
    if (!parsed.ok)
      return this.#lost({ reason: 'protocol', message: `the coordinator sent a message that breaks the protocol: ${parsed.error}` })
    const message = parsed.value
    if (this.#state.kind === 'online') {
      this.#expect(SILENCE_MS_MAX)
      this.#handle(message)
    } else if (message.type === 'challenge' && this.#coordinatorKey === null) {
      void this.#identify(message, this.#socket)
    } else if (message.type === 'welcome' && this.#coordinatorKey !== null) {
      this.#welcome(message, this.#coordinatorKey)
    } else if (message.type === 'error') {
      this.#handle(message)
    } else {
      this.#lost({ reason: 'protocol', message: `the coordinator sent ${message.type} before its welcome` })
    }
  }

  async #identify(challenge: Message<'challenge'>, socket: ControlSocket | null): Promise<void> {
    if (challenge.protocol !== PROTOCOL_VERSION)
      return this.#finish({
        reason: 'protocol-version',
        message: `the coordinator speaks protocol ${challenge.protocol}, this page ${PROTOCOL_VERSION}: reload the page`,
      })
    const nonce = fromBase64Url(challenge.nonce)
    const key = fromBase64Url(challenge.coordinatorKey)
    if (nonce === null || key === null) return this.#lost({ reason: 'protocol', message: 'the coordinator sent a malformed challenge' })
    this.#coordinatorKey = key
    this.#time.observe(challenge.timeMs)
    const { signer, certify } = this.#options
    const [signature, certificate] = await Promise.all([
      signer.sign(concatBytes([utf8Encode(IDENTIFY_CONTEXT), nonce, key])),
      certify(this.#time.nowMs()),
    ])
    if (this.#socket !== socket) return
    this.#post({
      type: 'identify',
      protocol: PROTOCOL_VERSION,
      publicKey: toBase64Url(signer.publicKey),
      signature: toBase64Url(signature),
      certificate,
    })
  }

  #welcome(welcome: Message<'welcome'>, coordinatorKey: Uint8Array): void {
    if (welcome.peerId !== this.#options.peerId)
      return this.#lost({ reason: 'protocol', message: `the coordinator took this peer for ${welcome.peerId}` })
    this.#failures = 0
    this.#time.observe(welcome.timeMs)
    this.#expect(SILENCE_MS_MAX)
    // What listeners ask for now, they say themselves.
    const repeated = this.#questions.repeated()
    this.#setState({ kind: 'online', welcome, coordinatorKey })
    for (const message of [...this.#lastEnded, ...this.#lastReceipts, ...repeated]) this.#post(message)
  }

  #handle(message: ServerMessage): void {
    switch (message.type) {
      case 'ping':
        this.#time.observe(message.timeMs)
        return void this.#answerPing(message.sequence)
      case 'assign':
        return this.#events.emit('assign', message)
      case 'release':
        return this.#events.emit('release')
      case 'gone':
        return this.#events.emit('gone', message)
      case 'draining':
        return this.#events.emit('draining', message)
      case 'ask-receipt':
        return this.#events.emit('ask-receipt', message)
      case 'release-log':
        return this.#events.emit('release-log', message)
      case 'send-log':
      case 'audit':
        return this.#events.emit('audit', message)
      case 'account':
        return this.#events.emit('account', message)
      case 'network':
        return this.#events.emit('network', message)
      case 'paths':
        return this.#events.emit('paths', message)
      case 'relay':
      case 'relay-refused':
        return this.#events.emit('relay', message)
      case 'settled':
        return this.#events.emit('settled', message)
      case 'verdict':
        return this.#events.emit('verdict', message)
      case 'head':
        return this.#events.emit('head', message)
      case 'audited':
        return this.#events.emit('audited', message)
      case 'queued':
        return this.#events.emit('queued', message)
      case 'admitted':
      case 'statement':
      case 'account-answer':
        return this.#questions.answer(message)
      case 'refused':
        return this.#questions.refuse(message.requestId, new CoordinatorRefused(message.reason, message.message, message.retryAfterMs))
      case 'error':
        this.#lastError = { reason: message.reason, message: message.message }
        if (FINAL_REASONS.includes(message.reason)) this.#finish(this.#lastError)
        return
      case 'challenge':
      case 'welcome':
        return this.#lost({ reason: 'protocol', message: `the coordinator sent a second ${message.type}` })
    }
  }

  /** Over the socket that it came from, or not at all. */
  async #answerPing(sequence: number): Promise<void> {
    const socket = this.#socket
    const load = await this.#options.load()
    if (load !== null && socket === this.#socket) this.#post({ type: 'pong', sequence, ...load })
  }

  /** The socket is of no use any more; tries again later. An `error` message received before says why. */
  #lost(fallback: ErrorBody): void {
    if (this.#state.kind === 'closed') return
    const error = this.#lastError ?? fallback
    this.#drop()
    this.#questions.lost(new TabswarmError('offline', `the connection to the coordinator broke: ${error.message}`))
    const retryInMs = backoffMs(this.#failures++, this.#options.random)
    this.#cancelTimer = this.#options.clock.after(retryInMs, () => this.#connect())
    this.#setState({ kind: 'offline', error, retryInMs })
  }

  #finish(error: ErrorBody): void {
    if (this.#state.kind === 'closed') return
    this.#drop()
    this.#questions.close(new TabswarmError(error.reason, error.message))
    this.#setState({ kind: 'closed', error })
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = null
    this.#cancelTimer()
    socket?.close()
  }

  #post(message: ClientMessage): void {
    this.#socket?.send(JSON.stringify(message))
  }

  #setState(state: ControlState): void {
    this.#state = state
    this.#events.emit('state', state)
  }
}

function isAnswerTo<Kind extends AccountAsk['kind']>(answer: AccountAnswer, kind: Kind): answer is AccountAnswerTo<Kind> {
  return answer.kind === kind
}
