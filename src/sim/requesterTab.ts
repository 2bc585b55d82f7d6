/**
 * RequesterTab: a tab that asks. Admission with patience, then the real driver over the network: chain, repairs, generation. Every token
 * is held against the undisturbed answer as it comes.
 */

import type { ClientMessage, Grant, ServerMessage, SignedGrant, SignedReceipt } from '../protocol/index.ts'
import { ReceiptBook, type ReceiptRequest, RowBudget } from '../receipts/index.ts'
import {
  type Chain,
  type ChainRepair,
  chunkRowsFor,
  type DriverBook,
  generate,
  LapTimes,
  LinkRouter,
  openLinkChain,
  SessionError,
} from '../session/index.ts'
import { type PeerId, type SessionId, type Sha256, type Signer, TabswarmError, toErrorBody } from '../shared/index.ts'
import { ARITHMETIC_WIDTH } from './arithmetic.ts'
import type { Client, Coordinator, Said } from './coordinator.ts'
import { VOCABULARY } from './modelEngine.ts'
import type { Network } from './network.ts'
import { answerOf, drafterOf, type Question } from './question.ts'

/** One question on its way to an answer; figures are milliseconds of virtual time. */
export interface Asking {
  readonly question: Question
  readonly driver: PeerId
  readonly region: string
  readonly askedMs: number
  grantedMs: number | null
  firstTokenMs: number | null
  /** When a token came last, or the question. */
  progressMs: number
  tokens: number
  laps: number
  sessionId: SessionId | null
  /** Of all its chains. */
  readonly peerIds: Set<PeerId>
  /** From the loss of a stage to the first results over the repaired chain. */
  readonly repairsMs: number[]
  repairStartedMs: number | null
  /** Of the present grant. */
  stages: readonly PeerId[]
  /** Of the shortest chain that it had. */
  stagesFewest: number
  /** How often the chain was lost, and when last. */
  losses: number
  lostMs: number | null
  /** Why the coordinator gave no other chain, in its word. */
  repairRefusal: string | null
}

export type Outcome =
  | { readonly kind: 'answered' }
  /** `reason` is the coordinator's or the session's. */
  | { readonly kind: 'refused' | 'failed'; readonly reason: string; readonly message: string }
  /** The tab itself went. */
  | { readonly kind: 'left' }

export interface RequesterEvents {
  onOutcome(asking: Asking, outcome: Outcome): void
  onRepair(asking: Asking, repair: ChainRepair): void
  /** Rows are submitted. */
  onSubmitted(asking: Asking, rowCount: number): void
  /** A token, or the end of the answer, is not what the undisturbed run gave. */
  onWrong(asking: Asking, what: string): void
}

export interface RequesterOptions {
  readonly peerId: PeerId
  readonly region: string
  readonly network: Network
  readonly coordinator: Coordinator
  /** Null: it signs no receipts. */
  readonly signer: Signer | null
  readonly sha256: Sha256
  readonly events: RequesterEvents
}

/** Who is refused asks again when told to, for so long. */
const PATIENCE_MS = 60_000
/** The control client's deadlines. */
const ADMIT_DEADLINE_MS = 20_000
const REPAIR_DEADLINE_MS = 250_000
const RECONNECT_MS = 1_000
/** The control client repeats so many after its socket broke. */
const ENDED_KEPT = 16

type Ended = Extract<ClientMessage, { type: 'ended' }>

interface Admission {
  readonly grant: Grant
  readonly signedGrant: SignedGrant
}

interface Pending {
  readonly resolve: (admission: Admission) => void
  readonly reject: (error: unknown) => void
  /** Said again after a reconnection. */
  readonly repeated: Said | null
}

class Refusal extends TabswarmError<string> {
  readonly retryAfterMs: number | null

  constructor({ reason, message, retryAfterMs }: Extract<ServerMessage, { type: 'refused' }>) {
    super(reason, message)
    this.retryAfterMs = retryAfterMs
  }
}

export class RequesterTab implements Client {
  readonly peerId: PeerId
  readonly region: string
  isDead = false
  frozenUntilMs = 0
  /** It has no worker. */
  readonly hungUntilMs = 0
  island = 0
  slowness = 1
  readonly accept = null
  readonly askings = new Set<Asking>()
  readonly #options: RequesterOptions
  readonly #router: LinkRouter
  readonly #receipts: DriverBook | null
  readonly #pending = new Map<string, Pending>()
  readonly #listeners = { gone: new Set<(peerId: PeerId) => void>(), draining: new Set<(peerId: PeerId) => void>() }
  #lastEnded: readonly Ended[] = []
  #requests = 0

  constructor(options: RequesterOptions) {
    const { peerId, region, network, coordinator, signer, sha256 } = options
    this.#options = options
    this.peerId = peerId
    this.region = region
    this.#router = new LinkRouter({ dial: (to) => network.dial(this, to), clock: network.time.clockOf(this) })
    const onReceipt = (signed: SignedReceipt) => {
      if (!this.isDead) coordinator.tell(this, signed)
    }
    const tools = { peerId, sha256, clock: network.time.clockOf(this), budget: new RowBudget(), head: () => null, onReceipt }
    this.#receipts = signer === null ? null : { book: new ReceiptBook({ ...tools, signer }), publicKey: signer.publicKey }
    network.add(this)
    coordinator.connect(this)
  }

  ask(wanted: ReceiptRequest): void {
    this.#receipts?.book.ask(wanted)
  }

  receive(message: ServerMessage): void {
    if (message.type === 'gone' || message.type === 'draining')
      for (const listener of [...this.#listeners[message.type]]) listener(message.peerId)
    if (message.type === 'refused') this.#take(message.requestId)?.reject(new Refusal(message))
  }

  admitted(requestId: string, grant: Grant, signedGrant: SignedGrant): void {
    const pending = this.#take(requestId)
    if (pending !== undefined) pending.resolve({ grant, signedGrant })
    // Nobody waits for it any more: it is given back.
    else this.#sayEnded({ type: 'ended', sessionId: grant.sessionId, outcome: 'cancelled', failedPeerId: null, laps: null })
  }

  load(): { readonly sessions: number; readonly kvPositionsFree: number } {
    return { sessions: 0, kvPositionsFree: 0 }
  }

  disconnected(): void {
    const { network, coordinator } = this.#options
    for (const [requestId, { repeated }] of [...this.#pending])
      if (repeated === null) this.#take(requestId)?.reject(new TabswarmError('disconnected', 'the control socket broke'))
    network.time.after(RECONNECT_MS, this, () => {
      coordinator.connect(this)
      // Rules C21 and C13.
      const repeated = [...this.#pending.values()].flatMap((pending) => pending.repeated ?? [])
      for (const message of [...this.#lastEnded, ...repeated]) coordinator.say(this, message)
    })
  }

  /** The tab is closed in mid-answer: with the page's goodbye, or without. */
  leave(isSaid: boolean): void {
    const { network, coordinator, events } = this.#options
    this.isDead = true
    network.remove(this, isSaid)
    network.time.after(50, null, () => coordinator.disconnect(this))
    for (const asking of this.askings) events.onOutcome(asking, { kind: 'left' })
    this.askings.clear()
  }

  pose(question: Question): void {
    const { nowMs } = this.#options.network.time
    const asking: Asking = {
      question,
      driver: this.peerId,
      region: this.region,
      askedMs: nowMs,
      grantedMs: null,
      firstTokenMs: null,
      progressMs: nowMs,
      tokens: 0,
      laps: 0,
      sessionId: null,
      peerIds: new Set(),
      repairsMs: [],
      repairStartedMs: null,
      stages: [],
      stagesFewest: Number.POSITIVE_INFINITY,
      losses: 0,
      lostMs: null,
      repairRefusal: null,
    }
    this.askings.add(asking)
    void this.#run(asking).then((outcome) => {
      if (this.isDead) return
      this.askings.delete(asking)
      this.#options.events.onOutcome(asking, outcome)
    })
  }

  async #run(asking: Asking): Promise<Outcome> {
    let admission: Admission
    try {
      admission = await this.#admit(asking)
    } catch (error) {
      const { reason, message } = toErrorBody(error)
      return { kind: 'refused', reason, message }
    }
    const { nowMs } = this.#options.network.time
    asking.grantedMs = nowMs
    asking.progressMs = nowMs
    this.#note(asking, admission.grant)
    return this.#answer(asking, admission)
  }

  /** Again and again, as the refusals say. */
  async #admit({ question, askedMs }: Asking): Promise<Admission> {
    const { network } = this.#options
    const { model, promptTokenIds, maxTokens, tier } = question
    for (;;) {
      try {
        const waitMs = Math.max(0, askedMs + PATIENCE_MS - network.time.nowMs)
        const request = { type: 'admit', modelId: model.modelId, promptTokens: promptTokenIds.length, maxTokens, tier, waitMs } as const
        return await this.#request((requestId) => ({ ...request, requestId }), waitMs + ADMIT_DEADLINE_MS)
      } catch (error) {
        const waitMs = error instanceof Refusal ? error.retryAfterMs : RECONNECT_MS
        if (waitMs === null || network.time.nowMs + waitMs > askedMs + PATIENCE_MS) throw error
        await new Promise<void>((resolve) => {
          network.time.after(waitMs, this, resolve)
        })
      }
    }
  }

  async #answer(asking: Asking, { grant, signedGrant }: Admission): Promise<Outcome> {
    const { network } = this.#options
    const { question } = asking
    const { sessionId } = grant
    const answer = answerOf(question)
    const clock = network.time.clockOf(this)
    let present = grant
    let chain: Chain | null = null
    const lapTimes = new LapTimes()
    const ended = (outcome: 'finished' | 'failed', failedPeerId: PeerId | null) =>
      this.#sayEnded({ type: 'ended', sessionId, outcome, failedPeerId, laps: lapTimes.report() })
    try {
      chain = await openLinkChain({
        router: this.#router,
        grant,
        signedGrant,
        repair: async ({ revision, lostPeerIds }) => {
          const request = { type: 'repair' as const, sessionId, revision, lostPeerIds: [...lostPeerIds] }
          const repaired = await this.#request((requestId) => ({ ...request, requestId }), REPAIR_DEADLINE_MS).catch((error: unknown) => {
            if (error instanceof Refusal) asking.repairRefusal = error.reason
            throw error
          })
          present = repaired.grant
          this.#note(asking, present)
          return repaired
        },
        onGone: (listener) => this.#listen('gone', listener),
        onDraining: (listener) => this.#listen('draining', listener),
        vocabularySize: VOCABULARY,
        clock,
        ...(this.#receipts !== null && { receipts: this.#receipts }),
      })
      const { completionTokenIds, drafts } = await generate({
        chain: counted(chain, (rowCount) => this.#options.events.onSubmitted(asking, rowCount)),
        tokenizer: { vocabularySize: VOCABULARY, isEnd: () => false, tokenBytes: () => NO_BYTES },
        promptTokenIds: question.promptTokenIds,
        maxTokens: question.maxTokens,
        sampling: question.sampling,
        chunkRows: chunkRowsFor(ARITHMETIC_WIDTH),
        clock,
        onEvent: (event) => {
          lapTimes.handle(event)
          if (event.kind === 'token') this.#onToken(asking, event.id, answer)
          if (event.kind === 'repair') this.#onRepair(asking, event.repair)
        },
        ...(question.draftErrors === null ? {} : { drafter: drafterOf(question, answer, question.draftErrors) }),
      })
      asking.laps = drafts.laps + 1
      ended('finished', null)
      if (completionTokenIds.length !== answer.length)
        this.#options.events.onWrong(asking, `the answer has ${completionTokenIds.length} tokens of ${answer.length}`)
      return { kind: 'answered' }
    } catch (error) {
      const stage = error instanceof SessionError && error.stageIndex !== null ? present.stages[error.stageIndex] : undefined
      ended('failed', stage?.peerId ?? null)
      const { reason, message } = toErrorBody(error)
      return { kind: 'failed', reason, message }
    } finally {
      chain?.close()
    }
  }

  #sayEnded(message: Ended): void {
    this.#lastEnded = [...this.#lastEnded, message].slice(-ENDED_KEPT)
    this.#options.coordinator.say(this, message)
  }

  #note(asking: Asking, { sessionId, stages }: Grant): void {
    asking.sessionId = sessionId
    asking.stages = stages.map(({ peerId }) => peerId)
    asking.stagesFewest = Math.min(asking.stagesFewest, stages.length)
    for (const { peerId } of stages) asking.peerIds.add(peerId)
  }

  #listen(event: 'gone' | 'draining', listener: (peerId: PeerId) => void): () => void {
    this.#listeners[event].add(listener)
    return () => this.#listeners[event].delete(listener)
  }

  #onToken(asking: Asking, id: number, answer: readonly number[]): void {
    const { nowMs } = this.#options.network.time
    asking.firstTokenMs ??= nowMs
    asking.progressMs = nowMs
    const at = asking.tokens++
    if (answer[at] !== id) this.#options.events.onWrong(asking, `token ${at} is ${id}, the undisturbed answer has ${answer[at]}`)
  }

  #onRepair(asking: Asking, repair: ChainRepair): void {
    const { nowMs } = this.#options.network.time
    if (repair.phase === 'lost') {
      asking.repairStartedMs ??= nowMs
      asking.lostMs = nowMs
      asking.losses++
    }
    if (repair.phase === 'done' && asking.repairStartedMs !== null) {
      asking.repairsMs.push(nowMs - asking.repairStartedMs)
      asking.repairStartedMs = null
    }
    this.#options.events.onRepair(asking, repair)
  }

  #request(messageOf: (requestId: string) => Said, deadlineMs: number): Promise<Admission> {
    const { network, coordinator } = this.#options
    const requestId = `${this.peerId}:${this.#requests++}`
    const message = messageOf(requestId)
    return new Promise((resolve, reject) => {
      this.#pending.set(requestId, { resolve, reject, repeated: message.type === 'repair' ? message : null })
      network.time.after(deadlineMs, this, () =>
        this.#take(requestId)?.reject(new TabswarmError('timeout', `the coordinator did not answer within ${deadlineMs / 1_000} s`)),
      )
      coordinator.say(this, message)
    })
  }

  /** The request's waiter, once. */
  #take(requestId: string): Pending | undefined {
    const pending = this.#pending.get(requestId)
    this.#pending.delete(requestId)
    return pending
  }
}

const NO_BYTES = new Uint8Array(0)

/** The same chain, whose rows are counted as they are submitted. */
function counted(chain: Chain, onSubmitted: (rowCount: number) => void): Chain {
  return {
    maxPositions: chain.maxPositions,
    listen: (events) => chain.listen(events),
    submit(lap) {
      onSubmitted(lap.ids.length)
      return chain.submit(lap)
    },
    logits: (candidates) => chain.logits(candidates),
    truncate: (length) => chain.truncate(length),
    close: () => chain.close(),
  }
}
