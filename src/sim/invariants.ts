/**
 * Invariants: what must hold after every event of a simulation. Cheap ones are told as they happen (a wrong token, a gap in positions, a
 * grant over somebody who is gone); the others are looked at with every tick. The first that breaks ends the run.
 */

import {
  AWAY_AFTER_MS,
  type Capacity,
  type CoreOptions,
  KV_BLOCK_POSITIONS,
  placeChain,
  UNHELD_MS,
  uncovered,
} from '../coordinator/core/index.ts'
import type { Span } from '../model/index.ts'
import { type Grant, REPAIR_WAIT_MS } from '../protocol/index.ts'
import type { ChainRepair } from '../session/index.ts'
import type { ModelId, PeerId, SessionId } from '../shared/index.ts'
import type { StageHost } from '../stage/index.ts'
import type { Disturbances } from './disturbances.ts'
import type { Accusation } from './network.ts'
import type { Asking, Outcome } from './requesterTab.ts'
import type { Trace } from './trace.ts'
import type { VolunteerTab } from './volunteerTab.ts'

export type InvariantKind =
  /** A token differs from the undisturbed run's. */
  | 'wrong-answer'
  /** A session got on with nothing for WAIT_MS_MAX. */
  | 'left-waiting'
  /** A session ended with an error though nothing had happened to a tab of its chain, and the coordinator lacked nothing. */
  | 'unjustified-error'
  /** A chain was lost though nothing had happened to its tabs, or more often than what had happened to them explains. */
  | 'unjustified-repair'
  /** A tab says that another broke the protocol, or that it is broken itself: all are honest here, whatever happens to them. */
  | 'accused'
  /** Layers were nobody's for COVER_MS_MAX though the tabs that were there all the time could hold them. */
  | 'uncovered'
  /** Rows came to a KV cache at another position, or slots were used against the engine's contract. */
  | 'positions'
  /** More KV was granted at a peer than it has, or its log passed its budget. */
  | 'memory'
  /** A grant names somebody whose socket is gone or who has been silent for too long, or a stage without layers. */
  | 'bad-grant'
  /** Somebody still holds something of a session long after it has ended, or gone on without him. */
  | 'left-behind'
  /** Receipts of honest tabs contradict each other, or prove something else than was done. */
  | 'receipts'
  /** The run had too few tabs, sessions or faults to prove anything. */
  | 'too-little'

/** What a run had: tabs at any time at least, sessions that were served to an end, and faults. */
export interface Counts {
  readonly peers: number
  readonly sessions: number
  readonly faults: number
}

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

/**
 * What happened to a tab of a chain explains the chain's loss for so long: links are given up after 15 s, a repaired chain that does not
 * open after 8, one that opens for the first time after 20.
 */
const LOSS_EFFECT_MS = 30_000
/** Its own tab's disturbance explains a question without a grant for so long: a socket is dropped after 30 s of silence. */
const REFUSAL_EFFECT_MS = 60_000
/** Losses of one session that one disturbance explains: at both ends of a link, and while the tab is slow or comes back. */
const LOSSES_A_DISTURBANCE = 5
/** Who was told to load other layers, or frees a session late, refuses so what was granted meanwhile, or ends what stands still. */
const EXPECTED_LOSSES: readonly Loss['reason'][] = ['not-serving', 'no-room', 'stopped']
/** Of what a stage keeps of each position of KV memory: hashes of what came and of what went, and three bytes; room is doubled. */
const POSITION_BYTES_MAX = 2 * (2 * 32 + 3)
/** The same of parts that have ended lately. */
const ENDED_BYTES_MAX = 32 * 1024 * 1024
/** Said after the last word of somebody who is silent: what was under way, and a socket's delay. */
const SILENCE_SLACK_MS = 200
/** A link that nobody closes is lost after 15 s; then stages wait for a repair, and their timers may be late for a pass. */
const FREED_MS_MAX = 15_000 + REPAIR_WAIT_MS + 3_000

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
  readonly disturbances: Disturbances
}

type Loss = Extract<ChainRepair, { phase: 'lost' }>

interface Reserved {
  readonly driver: PeerId
  readonly peerIds: readonly PeerId[]
  readonly positions: number
  readonly sinceMs: number
}

/** A stage that has to be free of a session by now, or soon. */
interface Leaving {
  readonly sessionId: SessionId
  readonly peerId: PeerId
  readonly sinceMs: number
}

export class Invariants {
  broken: Broken | null = null
  /** How long layers of a model were nobody's, each time. */
  readonly holesMs: number[] = []
  readonly #options: InvariantsOptions
  readonly #holes = new Map<ModelId, number>()
  /** Whether layers may be nobody's since the last look. */
  #mayHaveHoles = true
  readonly #granted = new Map<SessionId, Reserved>()
  readonly #ended = new Set<SessionId>()
  /** Peers of the chain that each session's driver uses. */
  readonly #adopted = new Map<SessionId, readonly PeerId[]>()
  /** By session and peer, in the order of their times. */
  readonly #leaving = new Map<string, Leaving>()
  /** All that a session was granted, each with its driver first. */
  readonly #chains = new Map<SessionId, readonly (readonly PeerId[])[]>()

  constructor(options: InvariantsOptions) {
    this.#options = options
  }

  /** The first one counts. `about`: words that its trace must have one of. */
  break(kind: InvariantKind, what: string, about: readonly string[]): void {
    const { trace, nowMs } = this.#options
    this.broken ??= { kind, what, atMs: nowMs(), trace: trace.about(about) }
  }

  onGrant(grant: Grant): void {
    this.#granted.delete(grant.sessionId)
    const positions = Math.ceil(grant.maxPositions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS
    const peerIds = grant.stages.map(({ peerId }) => peerId)
    // The answer to a repair that was asked for before the session ended: its end is under way to the coordinator.
    if (this.#ended.has(grant.sessionId)) return
    if (grant.revision === 0) this.#adopted.set(grant.sessionId, peerIds)
    this.#chains.set(grant.sessionId, [...(this.#chains.get(grant.sessionId) ?? []), [grant.driver, ...peerIds]])
    this.#granted.set(grant.sessionId, { driver: grant.driver, peerIds, positions, sinceMs: this.#options.nowMs() })
    for (const { peerId, firstLayer, endLayer } of grant.stages) {
      const tab = this.#options.volunteers.get(peerId)
      if (!this.#options.hasSocket(peerId))
        this.break('bad-grant', `session ${grant.sessionId} is granted over ${peerId}, whose socket is gone`, [grant.sessionId, peerId])
      this.#checkPresent(grant.sessionId, peerId)
      if (tab === undefined || tab.isRecovering) continue
      // Who loads anew has none, and says so; the coordinator may not have heard it.
      const { served } = tab
      const granted = this.#kvGrantedAt(tab)
      if (served !== null && granted > Math.ceil(served.kvPositions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS)
        this.break('memory', `${granted} positions are granted at ${peerId}, which has ${served.kvPositions}`, [peerId])
      if (endLayer <= firstLayer) this.break('bad-grant', `an empty stage at ${peerId}`, [grant.sessionId])
    }
  }

  /** The driver goes on over this chain, and says so to who is left out. One that has lost more since takes none, and asks again. */
  onAdopted({ sessionId, stages }: Grant): void {
    const peerIds = stages.map(({ peerId }) => peerId)
    for (const peerId of peerIds) this.#leaving.delete(`${sessionId} ${peerId}`)
    this.#leave(sessionId, this.#adopted.get(sessionId)?.filter((peerId) => !peerIds.includes(peerId)) ?? [])
    this.#adopted.set(sessionId, peerIds)
  }

  /** The coordinator hears that a session is over, also one that nobody waited for any more. */
  onEnded(sessionId: SessionId): void {
    const known = this.#granted.get(sessionId)
    if (known !== undefined) this.#leave(sessionId, [...known.peerIds, ...(this.#adopted.get(sessionId) ?? [])])
    this.#granted.delete(sessionId)
    this.#adopted.delete(sessionId)
    this.#ended.add(sessionId)
  }

  /** A driver's socket is gone: the coordinator counts his sessions no more, at once or after a while, unless he comes back. */
  onDisconnected(peerId: PeerId): void {
    for (const [sessionId, reserved] of this.#granted) {
      if (reserved.driver !== peerId) continue
      this.#granted.set(sessionId, { ...reserved, positions: 0 })
    }
  }

  onOutcome(asking: Asking, outcome: Outcome): void {
    if (asking.sessionId !== null) this.onEnded(asking.sessionId)
    if (outcome.kind === 'answered' || outcome.kind === 'left') return
    const lack = outcome.kind === 'refused' ? outcome.reason : asking.repairRefusal
    if (lack !== null && LACKS.includes(lack)) return
    const { driver, stages, askedMs, lostMs } = asking
    const { disturbances, nowMs } = this.#options
    const isExplained =
      outcome.kind === 'refused'
        ? disturbances.countSince([driver], askedMs - REFUSAL_EFFECT_MS) > 0
        : disturbances.countSince([driver, ...stages], (lostMs ?? nowMs()) - LOSS_EFFECT_MS) > 0
    if (!isExplained) this.break('unjustified-error', `${outcome.reason}: ${outcome.message}`, aboutOf(asking))
  }

  /** A session's chain is lost, and another is asked for. */
  onLoss(asking: Asking, { reason, message }: Loss): void {
    if (EXPECTED_LOSSES.includes(reason)) return
    const { driver, stages, peerIds, losses, askedMs } = asking
    const { disturbances, nowMs } = this.#options
    if (reason === 'protocol' || reason === 'internal') this.break('accused', message, aboutOf(asking))
    // Who drains has been replaced already when that is told.
    const chain = reason === 'draining' ? peerIds : stages
    if (disturbances.countSince([driver, ...chain], nowMs() - LOSS_EFFECT_MS) === 0)
      this.break('unjustified-repair', `nothing had happened to the chain: ${message}`, aboutOf(asking))
    const causes = disturbances.countSince([driver, ...peerIds], askedMs - LOSS_EFFECT_MS)
    if (losses > LOSSES_A_DISTURBANCE * causes)
      this.break('unjustified-repair', `${losses} chains are lost for ${causes} disturbances: ${message}`, aboutOf(asking))
  }

  onAccusation({ by, to, sessionId, what }: Accusation): void {
    this.break('accused', `${by} to ${to}: ${what}`, sessionId === null ? [by, to] : [sessionId, by, to])
  }

  /** With every pass, and every session that begins or ends. */
  onWork(peerId: PeerId, { rows, positions }: StageHost['logBytes'], kvPositions: number): void {
    const { logBytesMax } = this.#options
    if (rows > logBytesMax) this.break('memory', `${peerId} logs ${rows} bytes of ${logBytesMax}`, [peerId])
    if (positions > POSITION_BYTES_MAX * kvPositions + ENDED_BYTES_MAX)
      this.break('memory', `${peerId} keeps ${positions} bytes of positions`, [peerId])
  }

  onWrong(asking: Asking, what: string): void {
    this.break('wrong-answer', what, aboutOf(asking))
  }

  /** Somebody serves layers no more that he served before, or is gone. */
  onLessServed(): void {
    this.#mayHaveHoles = true
  }

  /** With every tick. */
  check(): void {
    const nowMs = this.#options.nowMs()
    for (const asking of this.#options.askings())
      if (nowMs - asking.progressMs > WAIT_MS_MAX)
        this.break('left-waiting', `session ${asking.sessionId} waits since ${asking.progressMs}`, aboutOf(asking))
    this.#checkLeaving(nowMs)
    if (this.#mayHaveHoles || this.#holes.size > 0) this.#checkCover(nowMs)
  }

  /** When all is quiet. */
  checkEnd(openSessions: number): void {
    if (openSessions > 0) this.break('left-behind', `the coordinator counts ${openSessions} sessions as open`, [])
    for (const { peerId, host, engine } of this.#options.volunteers.values()) {
      const { openSlots } = engine.usage()
      const { rows, positions } = host.logBytes
      const left = { openSlots, sessions: host.sessionsOpen, logBytes: rows + positions, kv: engine.kvPositions - engine.kvPositionsFree }
      if (Object.values(left).some((count) => count !== 0)) this.break('left-behind', `${peerId} holds ${JSON.stringify(left)}`, [peerId])
    }
  }

  /** At the end of a run that nothing broke. */
  checkEnough(counts: Counts, least: Counts): void {
    const { peers, sessions, faults } = counts
    if (peers < least.peers || sessions < least.sessions || faults < least.faults)
      this.break('too-little', `${JSON.stringify(counts)} of at least ${JSON.stringify(least)}`, [])
  }

  #leave(sessionId: SessionId, peerIds: readonly PeerId[]): void {
    const sinceMs = this.#options.nowMs()
    for (const peerId of peerIds) {
      const key = `${sessionId} ${peerId}`
      // In the order of their times.
      this.#leaving.delete(key)
      this.#leaving.set(key, { sessionId, peerId, sinceMs })
    }
  }

  /** Positions of sessions that may be opened at the tab, or that it holds: the core counts no longer what nobody opened. */
  #kvGrantedAt({ peerId, host }: VolunteerTab): number {
    const openableMs = this.#options.nowMs() - UNHELD_MS - AWAY_AFTER_MS
    let granted = 0
    for (const [sessionId, { peerIds, positions, sinceMs }] of this.#granted)
      if (peerIds.includes(peerId) && (sinceMs > openableMs || host.logOf(sessionId) !== null)) granted += positions
    return granted
  }

  /** The core chooses nobody who was silent for longer than three pings. */
  #checkPresent(sessionId: SessionId, peerId: PeerId): void {
    const nowMs = this.#options.nowMs()
    const silentSinceMs = this.#options.disturbances.silentSinceMs(peerId, nowMs)
    if (silentSinceMs !== null && nowMs - silentSinceMs > AWAY_AFTER_MS + SILENCE_SLACK_MS)
      this.break('bad-grant', `session ${sessionId} is granted over ${peerId}, silent for ${nowMs - silentSinceMs} ms`, [sessionId, peerId])
  }

  /**
   * Whether stages have freed what they no longer serve, unless something happened to them, to their driver, who should have told them, or to a
   * stage before them: one that hangs may pass an `open` on long after it was sent, to somebody whom the driver never reached.
   */
  #checkLeaving(nowMs: number): void {
    const { volunteers, disturbances } = this.#options
    for (const [key, { sessionId, peerId, sinceMs }] of this.#leaving) {
      if (nowMs - sinceMs <= FREED_MS_MAX) return
      if (volunteers.get(peerId)?.host.logOf(sessionId) == null) {
        this.#leaving.delete(key)
        continue
      }
      const before = (this.#chains.get(sessionId) ?? []).flatMap((chain) => chain.slice(0, Math.max(0, chain.indexOf(peerId))))
      const disturbedMs = before.map((other) => disturbances.lastMs(other)).filter(Number.isFinite)
      const quietMs = Math.max(sinceMs, disturbances.lastMs(peerId), ...disturbedMs)
      if (nowMs - quietMs > FREED_MS_MAX)
        this.break('left-behind', `${peerId} keeps session ${sessionId}, which it serves no more since ${sinceMs}`, [sessionId, peerId])
    }
  }

  #checkCover(nowMs: number): void {
    this.#mayHaveHoles = false
    for (const { modelId, costs } of this.#options.models) {
      const sinceMs = this.#holes.get(modelId)
      if (uncovered(costs.layerCount, this.#spansOf(modelId)).length === 0) {
        if (sinceMs !== undefined) this.holesMs.push(nowMs - sinceMs)
        this.#holes.delete(modelId)
      } else if (sinceMs === undefined) this.#holes.set(modelId, nowMs)
      else if (nowMs - sinceMs > COVER_MS_MAX && this.#couldCover(nowMs - COVER_MS_MAX))
        this.break('uncovered', `layers of ${modelId} are nobody's since ${sinceMs}`, [modelId])
    }
  }

  #spansOf(modelId: ModelId): Span[] {
    const spans: Span[] = []
    for (const { served } of this.#options.volunteers.values()) if (served?.model.modelId === modelId) spans.push(served.span)
    return spans
  }

  /** Whether tabs that nothing has happened to since then can hold all models side by side. */
  #couldCover(sinceMs: number): boolean {
    let steady: Capacity[] = [...this.#options.volunteers.values()]
      .filter(({ peerId, joinedMs }) => joinedMs <= sinceMs && this.#options.disturbances.lastMs(peerId) < sinceMs)
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
