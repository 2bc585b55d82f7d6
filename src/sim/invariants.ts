/**
 * Invariants: what must hold after every event of a simulation. Cheap ones are told as they happen (a wrong token, a gap in positions, a
 * grant over somebody who is gone); the others are looked at with every tick. The first that breaks ends the run.
 */

import { type Capacity, type CoreOptions, KV_BLOCK_POSITIONS, placeChain, uncovered } from '../coordinator/core/index.ts'
import type { Grant } from '../protocol/index.ts'
import type { ModelId, PeerId, SessionId } from '../shared/index.ts'
import type { Asking, Outcome } from './requesterTab.ts'
import type { Trace } from './trace.ts'
import type { VolunteerTab } from './volunteerTab.ts'

export type InvariantKind =
  /** A token differs from the undisturbed run's. */
  | 'wrong-answer'
  /** A session got on with nothing for WAIT_MS_MAX. */
  | 'left-waiting'
  /** A session ended with an error though nothing had happened to any of its tabs, or with one that nothing explains. */
  | 'unjustified-error'
  /** Layers were nobody's for COVER_MS_MAX though the tabs that were there all the time could hold them. */
  | 'uncovered'
  /** Rows came to a KV cache at another position, or slots were used against the engine's contract. */
  | 'positions'
  /** More KV was granted at a peer than it has, or its log passed its budget. */
  | 'memory'
  /** A grant names somebody whose socket is gone, or a stage without layers. */
  | 'bad-grant'
  /** After the end somebody still holds something of a session. */
  | 'left-behind'

export interface Broken {
  readonly kind: InvariantKind
  readonly what: string
  readonly atMs: number
  readonly trace: readonly string[]
}

/**
 * Without a token, a repair or an answer of the coordinator: four repairs in vain, each with a wait for layers (240 s) and an opening (8 s),
 * after a stage that answered pings and computed nothing (120 s), and the wait for a place (60 s); in all less than this.
 */
const WAIT_MS_MAX = 1_200_000

/** Until the sessions of a tab that is to load have ended: 500 tokens, and stages that wait for lost ones (30 s). */
const DRAIN_MS_MAX = 180_000
/** Weights of the largest span over the line, and preparing. */
const LOAD_MS_MAX = 60_000
/**
 * From the loss of layers until somebody serves them: a silent tab is dropped after 30 s, one that comes back is waited for (5 s), then
 * somebody drains and loads; twice, for the one who does may be told otherwise once, since somebody else came or went.
 */
const COVER_MS_MAX = 35_000 + 2 * (DRAIN_MS_MAX + LOAD_MS_MAX)

/** Something that happened to a tab explains errors of sessions for so long: links are given up 15 s, grants 30 s after. */
const EFFECT_MS = 60_000

/** Refusals that say that capacity is missing. */
const LACKS: readonly string[] = ['busy', 'incomplete', 'no-volunteers', 'too-large', 'too-many-sessions']

export interface InvariantsOptions {
  readonly models: CoreOptions['models']
  readonly trace: Trace
  readonly nowMs: () => number
  readonly logBytesMax: number
  readonly volunteers: ReadonlyMap<PeerId, VolunteerTab>
  readonly hasSocket: (peerId: PeerId) => boolean
  readonly askings: () => Iterable<Asking>
  /** When something was last done to a tab, also one that is gone. */
  readonly disturbedMs: (peerId: PeerId) => number
}

interface Reserved {
  readonly peerIds: readonly PeerId[]
  readonly positions: number
}

export class Invariants {
  broken: Broken | null = null
  /** How long layers of a model were nobody's, each time. */
  readonly holesMs: number[] = []
  readonly #options: InvariantsOptions
  readonly #holes = new Map<ModelId, number>()
  readonly #granted = new Map<SessionId, Reserved>()
  /** Positions granted at each peer. */
  readonly #kvGranted = new Map<PeerId, number>()

  constructor(options: InvariantsOptions) {
    this.#options = options
  }

  /** The first one counts. `about`: words that its trace must have one of. */
  break(kind: InvariantKind, what: string, about: readonly string[]): void {
    const { trace, nowMs } = this.#options
    this.broken ??= { kind, what, atMs: nowMs(), trace: trace.about(about) }
  }

  onGrant(grant: Grant): void {
    this.#release(grant.sessionId)
    const positions = Math.ceil(grant.maxPositions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS
    const peerIds = grant.stages.map(({ peerId }) => peerId)
    this.#granted.set(grant.sessionId, { peerIds, positions })
    for (const { peerId, firstLayer, endLayer } of grant.stages) {
      const tab = this.#options.volunteers.get(peerId)
      if (!this.#options.hasSocket(peerId))
        this.break('bad-grant', `session ${grant.sessionId} is granted over ${peerId}, whose socket is gone`, [grant.sessionId, peerId])
      const granted = (this.#kvGranted.get(peerId) ?? 0) + positions
      this.#kvGranted.set(peerId, granted)
      if (tab === undefined || tab.isRecovering) continue
      // Who loads anew has none, and says so; the coordinator may not have heard it.
      const { served } = tab
      if (served !== null && granted > Math.ceil(served.kvPositions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS)
        this.break('memory', `${granted} positions are granted at ${peerId}, which has ${served.kvPositions}`, [peerId])
      if (endLayer <= firstLayer) this.break('bad-grant', `an empty stage at ${peerId}`, [grant.sessionId])
    }
  }

  onOutcome(asking: Asking, outcome: Outcome): void {
    if (asking.sessionId !== null) this.#release(asking.sessionId)
    if (outcome.kind === 'answered' || outcome.kind === 'left') return
    if (outcome.kind === 'refused' && LACKS.includes(outcome.reason)) return
    const since = asking.askedMs - EFFECT_MS
    const explained = [asking.driver, ...asking.peerIds].some((peerId) => this.#options.disturbedMs(peerId) >= since)
    if (!explained) this.break('unjustified-error', `${outcome.reason}: ${outcome.message}`, aboutOf(asking))
  }

  onWrong(asking: Asking, what: string): void {
    this.break('wrong-answer', what, aboutOf(asking))
  }

  /** With every tick. */
  check(): void {
    const nowMs = this.#options.nowMs()
    for (const asking of this.#options.askings())
      if (nowMs - asking.progressMs > WAIT_MS_MAX)
        this.break('left-waiting', `session ${asking.sessionId} waits since ${asking.progressMs}`, aboutOf(asking))
    this.#checkLogs()
    this.#checkCover(nowMs)
  }

  /** When all is quiet. */
  checkEnd(openSessions: number): void {
    if (openSessions > 0) this.break('left-behind', `the coordinator counts ${openSessions} sessions as open`, [])
    for (const { peerId, host, engine } of this.#options.volunteers.values()) {
      const { openSlots } = engine.usage()
      const left = { openSlots, sessions: host.sessionsOpen, logBytes: host.logBytes, kv: engine.kvPositions - engine.kvPositionsFree }
      if (Object.values(left).some((count) => count !== 0)) this.break('left-behind', `${peerId} holds ${JSON.stringify(left)}`, [peerId])
    }
  }

  #release(sessionId: SessionId): void {
    const known = this.#granted.get(sessionId)
    if (known === undefined) return
    this.#granted.delete(sessionId)
    for (const peerId of known.peerIds) this.#kvGranted.set(peerId, (this.#kvGranted.get(peerId) ?? 0) - known.positions)
  }

  #checkLogs(): void {
    for (const peerId of this.#kvGranted.keys()) {
      const tab = this.#options.volunteers.get(peerId)
      if (tab === undefined) this.#kvGranted.delete(peerId)
      else if (tab.host.logBytes > this.#options.logBytesMax)
        this.break('memory', `${peerId} logs ${tab.host.logBytes} bytes of ${this.#options.logBytesMax}`, [peerId])
    }
  }

  #checkCover(nowMs: number): void {
    for (const { modelId, costs } of this.#options.models) {
      const spans = [...this.#options.volunteers.values()].flatMap(({ served }) => (served?.model.modelId === modelId ? [served.span] : []))
      const sinceMs = this.#holes.get(modelId)
      if (uncovered(costs.layerCount, spans).length === 0) {
        if (sinceMs !== undefined) this.holesMs.push(nowMs - sinceMs)
        this.#holes.delete(modelId)
      } else if (sinceMs === undefined) this.#holes.set(modelId, nowMs)
      else if (nowMs - sinceMs > COVER_MS_MAX && this.#couldCover(nowMs - COVER_MS_MAX))
        this.break('uncovered', `layers of ${modelId} are nobody's since ${sinceMs}`, [modelId])
    }
  }

  /** Whether tabs that nothing has happened to since then can hold all models side by side. */
  #couldCover(sinceMs: number): boolean {
    let steady: Capacity[] = [...this.#options.volunteers.values()]
      .filter(({ peerId, joinedMs }) => joinedMs <= sinceMs && this.#options.disturbedMs(peerId) < sinceMs)
      .map(({ peerId, group }) => ({ peerId, memoryBytes: group.memoryBytes, weightForm: 'blocks', macsPerSecond: group.macsPerSecond }))
    for (const { costs } of this.#options.models) {
      const chain = placeChain(costs, steady, 1)
      if (chain === null) return false
      const used = new Set(chain.map(({ peerId }) => peerId))
      steady = steady.filter(({ peerId }) => !used.has(peerId))
    }
    return true
  }
}

function aboutOf({ sessionId, driver, peerIds }: Asking): string[] {
  return [...(sessionId === null ? [] : [sessionId]), driver, ...peerIds]
}
