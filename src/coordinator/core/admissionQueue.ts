/**
 * AdmissionQueue: requests for sessions, answered at once where there is a chain, and else kept for as long as their requesters said that they
 * would wait. Those of a dearer tier go first, of one tier who came first. A large session that finds no room keeps no smaller one from it.
 */

import { type ModelId, type PeerId, type SessionId, TIER_DEFAULT, TIERS } from '../../shared/index.ts'
import type { AdmitMessage, Decision } from './admission.ts'
import type { Demand } from './demand.ts'
import type { Effects } from './effects.ts'
import type { MayServe } from './events.ts'
import { QUEUE_TELL_MS, QUEUE_TRIED_AFTER_MS, QUEUE_TRY_MS, QUEUED_PER_REQUESTER_MAX, RETRY_BUSY_MS, ROOM_SETTLES_MS } from './limits.ts'
import type { PlacedStage } from './placement.ts'

export interface AdmissionAsked {
  readonly requester: PeerId
  readonly message: AdmitMessage
  /** What the session is to be called, where somebody holds its price already. */
  readonly sessionId: SessionId | null
  /** Whom it may have as stages; null: everybody. */
  readonly mayServe: MayServe | null
}

export interface AdmissionQueuePorts {
  readonly decide: (asked: Omit<AdmissionAsked, 'sessionId'>, nowMs: number) => Decision
  /** Requesters that it stands for. */
  readonly shareOf: (requester: PeerId) => number
  readonly grant: (asked: AdmissionAsked, stages: readonly PlacedStage[], nowMs: number) => void
  readonly demand: Demand
  readonly effects: Effects
}

type Refusal = Extract<Decision, { kind: 'refused' }>['refusal']

interface Waiting extends AdmissionAsked {
  /** It is refused then. */
  readonly untilMs: number
  /** Counted as demand that was not met, last. */
  countedMs: number
  /** Requests before it, as its requester heard last; null: it has not heard of its place. */
  toldAhead: number | null
  toldMs: number
}

/** What was found to be without a chain, in this round: no larger session of the model has one. */
interface Lack {
  readonly positions: number
  readonly refusal: Refusal
}

export class AdmissionQueue {
  readonly #ports: AdmissionQueuePorts
  /** In the order of their turns. */
  #waiting: readonly Waiting[] = []
  #triedMs = Number.NEGATIVE_INFINITY
  /** When the last session ended. */
  #endedMs = Number.NEGATIVE_INFINITY

  constructor(ports: AdmissionQueuePorts) {
    this.#ports = ports
  }

  /** Whether the request would get a chain now, or a place here. Changes nothing. */
  mayTake(asked: Omit<AdmissionAsked, 'sessionId'>, nowMs: number): boolean {
    const decision = this.#ports.decide(asked, nowMs)
    return decision.kind === 'chain' || this.#mayWait(asked, decision.refusal)
  }

  /** Answers it, or keeps it. */
  ask(asked: AdmissionAsked, nowMs: number): void {
    const { message } = asked
    const decision = this.#ports.decide(asked, nowMs)
    if (decision.kind === 'refused' && !this.#mayWait(asked, decision.refusal)) {
      this.#count(message.modelId, decision.refusal, nowMs)
      return this.#refuse(asked, decision.refusal)
    }
    const before = this.#waiting.filter((other) => rankOf(other) >= rankOf(asked))
    if (decision.kind === 'chain' && before.every((other) => other.message.modelId !== message.modelId))
      return this.#ports.grant(asked, decision.stages, nowMs)
    const untilMs = nowMs + this.#waitMsOf(asked)
    const waiting = { ...asked, untilMs, countedMs: Number.NEGATIVE_INFINITY, toldAhead: null, toldMs: 0 }
    this.#waiting = [...before, waiting, ...this.#waiting.filter((other) => !before.includes(other))]
    if (untilMs <= nowMs || this.#isSettled(nowMs)) this.#try(nowMs)
    else this.#tellPlaces(nowMs)
  }

  /** The requester waits no more, and is told so. Nothing happens where it has been answered. */
  withdraw(requester: PeerId, requestId: string): void {
    const asked = this.#waiting.find((waiting) => waiting.requester === requester && waiting.message.requestId === requestId)
    if (asked === undefined) return
    this.#waiting = this.#waiting.filter((waiting) => waiting !== asked)
    this.#refuse(asked, { reason: 'cancelled', message: 'the request was taken back', retryAfterMs: null })
  }

  /** The requester is gone. */
  dropOf(requester: PeerId): void {
    for (const asked of this.#waiting) if (asked.requester === requester) this.#tellRefused(asked)
    this.#waiting = this.#waiting.filter((waiting) => waiting.requester !== requester)
  }

  /** A session has ended: its room is somebody's as soon as its stages have heard of it too. */
  roomMade(nowMs: number): void {
    this.#endedMs = nowMs
  }

  /** Something may have changed that they wait for. */
  settle(nowMs: number): void {
    if (this.#waiting.length > 0 && nowMs - this.#triedMs >= QUEUE_TRY_MS && this.#isSettled(nowMs)) this.#try(nowMs)
  }

  /** Where sessions end all the time, whoever waits is tried all the same. */
  #isSettled(nowMs: number): boolean {
    return nowMs - this.#endedMs >= ROOM_SETTLES_MS || nowMs - this.#triedMs >= QUEUE_TRIED_AFTER_MS
  }

  #mayWait(asked: Omit<AdmissionAsked, 'sessionId'>, { retryAfterMs }: Refusal): boolean {
    return retryAfterMs !== null && this.#waitMsOf(asked) > 0
  }

  /** Nothing where too many of the requester wait already. */
  #waitMsOf({ requester, message }: Omit<AdmissionAsked, 'sessionId'>): number {
    const others = this.#waiting.filter((waiting) => waiting.requester === requester)
    return others.length < this.#ports.shareOf(requester) * QUEUED_PER_REQUESTER_MAX ? (message.waitMs ?? 0) : 0
  }

  #try(nowMs: number): void {
    this.#triedMs = nowMs
    const lacks = new Map<ModelId, Lack>()
    this.#waiting = this.#waiting.filter((waiting) => !this.#settleOne(waiting, lacks, nowMs))
    this.#tellPlaces(nowMs)
  }

  /** True when it has been answered. */
  #settleOne(waiting: Waiting, lacks: Map<ModelId, Lack>, nowMs: number): boolean {
    const { message, mayServe } = waiting
    const { modelId } = message
    const positions = message.promptTokens + message.maxTokens
    const lack = lacks.get(modelId)
    const decision: Decision =
      lack !== undefined && positions >= lack.positions ? { kind: 'refused', refusal: lack.refusal } : this.#ports.decide(waiting, nowMs)
    if (decision.kind === 'chain') {
      this.#ports.grant(waiting, decision.stages, nowMs)
      return true
    }
    const { refusal } = decision
    // What some may not use others may.
    if (refusal.isForLack && mayServe === null) lacks.set(modelId, { positions, refusal })
    if (nowMs - waiting.countedMs >= RETRY_BUSY_MS) {
      waiting.countedMs = nowMs
      this.#count(modelId, refusal, nowMs)
    }
    if (refusal.retryAfterMs !== null && nowMs < waiting.untilMs) return false
    this.#refuse(waiting, refusal)
    return true
  }

  /** Of each whose place has changed, and at first. */
  #tellPlaces(nowMs: number): void {
    const ahead = new Map<ModelId, number>()
    for (const waiting of this.#waiting) {
      const { modelId, requestId } = waiting.message
      const place = ahead.get(modelId) ?? 0
      ahead.set(modelId, place + 1)
      if (waiting.toldAhead === place || (waiting.toldAhead !== null && nowMs - waiting.toldMs < QUEUE_TELL_MS)) continue
      Object.assign(waiting, { toldAhead: place, toldMs: nowMs })
      this.#ports.effects.send(waiting.requester, { type: 'queued', requestId, ahead: place })
    }
  }

  #count(modelId: ModelId, { isForLack }: Refusal, nowMs: number): void {
    if (isForLack) this.#ports.demand.refused(modelId, nowMs)
  }

  #refuse(asked: AdmissionAsked, refusal: Omit<Refusal, 'reason' | 'isForLack'> & { readonly reason: string }): void {
    this.#ports.effects.refuse(asked.requester, asked.message.requestId, refusal)
    this.#tellRefused(asked)
  }

  #tellRefused({ sessionId }: AdmissionAsked): void {
    if (sessionId !== null) this.#ports.effects.session({ kind: 'refused', sessionId })
  }
}

function rankOf({ message }: AdmissionAsked): number {
  return TIERS.indexOf(message.tier ?? TIER_DEFAULT)
}
