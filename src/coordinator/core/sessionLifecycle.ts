/**
 * SessionLifecycle: requesters' sessions from their admission over repairs to their end, which comes by the driver's word, by time, or
 * because nobody came back. Each grant, of a new session or of another chain, is issued in `#grant`. Who is chosen is decided in admission.ts
 * and chainRepair.ts; who waits for it, by AdmissionQueue and PendingRepairs; what sessions reserve is counted by OpenSessions. Each session passes `#close` at its end, once.
 */

import { type Grant, type RowEncoding, TOP_K_DEFAULT } from '../../protocol/index.ts'
import { type ModelId, type PeerId, required, type SessionId } from '../../shared/index.ts'
import { type Decision, decideAdmission } from './admission.ts'
import { type AdmissionAsked, AdmissionQueue } from './admissionQueue.ts'
import { decideRepair, type PendingRepair } from './chainRepair.ts'
import type { Demand } from './demand.ts'
import type { Effects } from './effects.ts'
import type { MayServe, PeerMessage, SeenLeave, SessionOutcome } from './events.ts'
import { Ghosts } from './ghosts.ts'
import type { Heartbeats } from './heartbeats.ts'
import { GRANT_LIFE_MS, ORPHAN_MS } from './limits.ts'
import type { PeerRecord } from './peers.ts'
import { PendingRepairs } from './pendingRepairs.ts'
import type { PlacedStage } from './placement.ts'
import { type ChainChange, mayHold, noteRoom } from './room.ts'
import type { RoundTrips } from './roundTrips.ts'
import type { OpenSessions } from './sessions.ts'
import type { SwarmModel } from './swarm.ts'

/** What grants are made of. */
export interface GrantOptions {
  /** At least one; the first is the default. */
  readonly models: readonly SwarmModel[]
  /** Stages that a chain has at least, where there are enough peers. */
  readonly stagesMin: number
  readonly rowEncoding: RowEncoding
  /** 16 random bytes in hex. */
  readonly newSessionId: () => SessionId
}

export interface SessionPorts {
  readonly peers: ReadonlyMap<PeerId, PeerRecord>
  /** Changed here alone. */
  readonly open: OpenSessions
  readonly demand: Demand
  readonly roundTrips: RoundTrips
  readonly heartbeats: Heartbeats
  readonly effects: Effects
  /** Others are to load what the peer serves. */
  readonly onGivenUp: (peerId: PeerId) => void
}

const NOBODY: ReadonlySet<PeerId> = new Set()

export class SessionLifecycle {
  readonly #options: GrantOptions
  readonly #ports: SessionPorts
  readonly #queue: AdmissionQueue
  readonly #repairs = new PendingRepairs()
  /** Open sessions that nobody could go on with. */
  readonly #broken = new Set<SessionId>()
  /** Of open sessions: peers that left in the midst of it. */
  readonly #leaves = new Map<SessionId, SeenLeave[]>()
  /** Of open sessions that not everybody may serve. */
  readonly #mayServe = new Map<SessionId, MayServe>()
  readonly #ghosts: Ghosts

  constructor(options: GrantOptions, ports: SessionPorts) {
    this.#options = options
    this.#ports = ports
    const { peers, open, onGivenUp } = ports
    this.#queue = new AdmissionQueue({
      decide: (asked, nowMs) => this.#decide(asked, nowMs),
      shareOf: (requester) => this.#shareOf(requester),
      grant: (asked, stages, nowMs) => this.#open(asked, stages, nowMs),
      demand: ports.demand,
      effects: ports.effects,
    })
    this.#ghosts = new Ghosts({ peers, open, repairs: this.#repairs, onGivenUp })
  }

  /** Whether `admit` would be answered by a chain now, or wait for one. Changes nothing. */
  mayAdmit(asked: Omit<AdmissionAsked, 'sessionId'>, nowMs: number): boolean {
    return this.#queue.mayTake(asked, nowMs)
  }

  admit(asked: AdmissionAsked, nowMs: number): void {
    this.#queue.ask(asked, nowMs)
  }

  withdraw(requester: PeerId, requestId: string): void {
    this.#queue.withdraw(requester, requestId)
  }

  #open({ requester, message, sessionId, mayServe }: AdmissionAsked, placed: readonly PlacedStage[], nowMs: number): void {
    const { effects } = this.#ports
    const { rowEncoding, newSessionId } = this.#options
    const { modelId, manifestHash } = required(this.#modelOf(message.modelId), `model ${message.modelId}`)
    const grant: Grant = {
      version: 1,
      sessionId: sessionId ?? newSessionId(),
      revision: 0,
      modelId,
      manifestHash,
      driver: requester,
      stages: placed.map(({ peerId, span }) => ({ peerId, firstLayer: span.firstLayer, endLayer: span.endLayer })),
      maxPositions: message.promptTokens + message.maxTokens,
      topK: TOP_K_DEFAULT,
      rowEncoding,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + GRANT_LIFE_MS,
    }
    if (mayServe !== null) this.#mayServe.set(grant.sessionId, mayServe)
    this.#grant(grant, message.requestId, { before: null, lost: NOBODY })
    effects.session({ kind: 'opened', grant })
  }

  /** Answered by `tryRepairs`, as soon as there are stages for every layer. */
  repair(driver: PeerId, { requestId, sessionId, lostPeerIds }: Extract<PeerMessage, { type: 'repair' }>, nowMs: number): void {
    const { peers, open, effects, heartbeats } = this.#ports
    const grant = open.get(sessionId)
    if (grant === null || grant.driver !== driver) {
      const message = 'the coordinator does not know this session any more; ask again'
      return effects.refuse(driver, requestId, { reason: 'unknown-session', message })
    }
    // Also where it is refused: the stages have missed it since.
    const brokenMs = open.breaks(sessionId, nowMs)
    const share = this.#shareOf(driver)
    const retryAfterMs = this.#repairs.ask(driver, share, nowMs)
    if (retryAfterMs > 0) {
      const message = 'this tab asks for other chains all the time; look at its connection, then ask again'
      return effects.refuse(driver, requestId, { reason: 'too-many-repairs', message, retryAfterMs })
    }
    const lost = new Set(lostPeerIds.filter((peerId) => grant.stages.some((stage) => stage.peerId === peerId)))
    for (const peerId of lost) {
      open.loses(sessionId, peerId, nowMs)
      const peer = peers.get(peerId)
      if (peer !== undefined && !peer.draining) heartbeats.suspect(peer, { peerId: driver, share }, nowMs)
    }
    const older = this.#repairs.add({ driver, requestId, sessionId, lost, sinceMs: nowMs, brokenMs })
    const message = 'this session has asked for another chain since'
    if (older !== null) effects.refuse(driver, older.requestId, { reason: 'superseded', message })
    for (const peerId of lost) this.#failed(peerId, driver, nowMs)
  }

  /** Whether somebody waits for the model: a broken session, or who was refused for lack of capacity. */
  isWaitedFor(modelId: ModelId, nowMs: number): boolean {
    const { open, demand } = this.#ports
    return demand.isRefused(modelId, nowMs) || this.#repairs.sessionIds.some((sessionId) => open.get(sessionId)?.modelId === modelId)
  }

  /** Something may have changed that broken sessions wait for, and after them new ones. */
  settle(nowMs: number): void {
    this.#repairs.settle((pending) => this.#tryRepair(pending, nowMs))
    this.#queue.settle(nowMs)
  }

  /** The driver says that its session is over. */
  ended(driver: PeerId, { sessionId, outcome, failedPeerId }: Extract<PeerMessage, { type: 'ended' }>, nowMs: number): void {
    const { open } = this.#ports
    const grant = open.get(sessionId)
    if (grant === null || grant.driver !== driver) return
    open.end(sessionId)
    const lost = new Set(failedPeerId === null ? [] : [failedPeerId])
    noteRoom({ before: grant, after: null, lost }, this.#ports.peers, nowMs)
    this.#close([grant], outcome, nowMs)
    const accused = grant.stages.find((stage) => stage.peerId === failedPeerId)
    if (accused !== undefined) {
      const peer = this.#ports.peers.get(accused.peerId)
      if (peer !== undefined) this.#ports.heartbeats.suspect(peer, { peerId: driver, share: this.#shareOf(driver) }, nowMs)
      this.#failed(accused.peerId, driver, nowMs)
    }
    if (outcome === 'finished') this.#ghosts.finished(grant)
  }

  /** Ends what has expired, what nobody has come back for, and what no stage holds. */
  tick(nowMs: number): void {
    const { peers, open } = this.#ports
    this.#repairs.forgetSettled(nowMs)
    const mayBeHeld = ({ sessionId, stages }: Grant) =>
      this.#repairs.has(sessionId) || stages.some(({ peerId }) => mayHold(peers.get(peerId), nowMs))
    this.#close(open.expire(nowMs, mayBeHeld), 'vanished', nowMs)
    this.#ghosts.tick(nowMs)
  }

  /** A peer is connected (again). */
  came(peerId: PeerId): void {
    this.#ports.open.adopt(peerId)
  }

  /** A peer is gone: as a driver it may come back for its sessions, as a stage it is lost to others'. */
  left(peer: PeerRecord, nowMs: number): void {
    const { open } = this.#ports
    const { peerId, heardMs } = peer
    this.#repairs.dropOf(peerId)
    this.#queue.dropOf(peerId)
    this.#tellDriversOver(peerId, 'gone')
    const leave = { peerId, announced: hasAnnounced(peer) }
    for (const { sessionId } of open.over(peerId)) this.#leaves.set(sessionId, [...(this.#leaves.get(sessionId) ?? []), leave])
    this.#close(open.orphan(peerId, nowMs + ORPHAN_MS, heardMs), 'vanished', nowMs)
  }

  /** A peer will leave, and serves what is open until then. */
  drains(peerId: PeerId): void {
    this.#tellDriversOver(peerId, 'draining')
  }

  /** Accounts for the grant, and has it signed and sent. */
  #grant(grant: Grant, requestId: string, instead: Pick<ChainChange, 'before' | 'lost'>): void {
    const { peers, open, effects } = this.#ports
    noteRoom({ ...instead, after: grant }, peers, grant.issuedAtMs)
    const stages = grant.stages.map(({ peerId, firstLayer, endLayer }) => ({ peerId, span: { firstLayer, endLayer } }))
    const classes = stages.map(({ peerId }) => peers.get(peerId)?.pledge?.numericClass ?? '')
    open.grant(grant, classes)
    this.#introduce(grant)
    effects.add({ kind: 'admit', peerId: grant.driver, requestId, grant, chain: stages.map((stage) => this.#describe(stage)) })
  }

  /** Those who measure the way to each other in this chain. */
  #introduce({ driver, stages }: Grant): void {
    const { roundTrips } = this.#ports
    for (const [index, { peerId }] of stages.entries()) {
      roundTrips.meet(driver, peerId)
      const next = stages[index + 1]
      if (next !== undefined) roundTrips.meet(peerId, next.peerId)
    }
  }

  /** These sessions have ended, however they did, and are not open any more. */
  #close(grants: readonly Grant[], outcome: SessionOutcome, nowMs: number): void {
    for (const { sessionId } of grants) {
      this.#queue.roomMade(nowMs)
      const sawFailure = this.#broken.has(sessionId) && outcome !== 'finished'
      this.#ports.effects.session({ kind: 'closed', sessionId, outcome, sawFailure })
      this.#broken.delete(sessionId)
      this.#leaves.delete(sessionId)
      this.#mayServe.delete(sessionId)
    }
  }

  /** True when nothing is left to do for it. */
  #tryRepair(pending: PendingRepair, nowMs: number): boolean {
    const { driver, requestId, sessionId } = pending
    const grant = this.#ports.open.get(sessionId)
    if (grant === null) return true
    const model = required(this.#modelOf(grant.modelId), `model ${grant.modelId}`)
    const decision = decideRepair(pending, {
      ...this.#swarm(this.#mayServe.get(sessionId) ?? null, nowMs),
      grant,
      origin: this.#originOf(driver),
      model,
    })
    if (decision.kind === 'granted') {
      this.#broken.delete(sessionId)
      this.#grant(decision.grant, requestId, { before: grant, lost: pending.lost })
      this.#ports.effects.session({ kind: 'repaired', grant: decision.grant, left: this.#leavesOf(grant, decision.grant) })
    } else if (decision.kind === 'refused') {
      this.#broken.add(sessionId)
      this.#ports.effects.refuse(driver, requestId, { reason: 'incomplete', message: decision.message })
    }
    return decision.kind !== 'waiting'
  }

  /** Stages of `before` that are not in `after`, and of them those that are gone or about to go: nobody else's word counts. */
  #leavesOf(before: Grant, after: Grant): SeenLeave[] {
    const seen = this.#leaves.get(before.sessionId) ?? []
    this.#leaves.delete(before.sessionId)
    return before.stages.flatMap(({ peerId }): SeenLeave[] => {
      if (after.stages.some((stage) => stage.peerId === peerId)) return []
      const leave = seen.findLast((other) => other.peerId === peerId)
      if (leave !== undefined) return [leave]
      const peer = this.#ports.peers.get(peerId)
      return peer !== undefined && hasAnnounced(peer) ? [{ peerId, announced: true }] : []
    })
  }

  #failed(peerId: PeerId, driver: PeerId, nowMs: number): void {
    const { peers } = this.#ports
    const [peer, accuser] = [peers.get(peerId), peers.get(driver)]
    if (peer !== undefined && accuser !== undefined) this.#ghosts.failed(peer, accuser, nowMs)
  }

  #originOf(peerId: PeerId): string {
    return this.#ports.peers.get(peerId)?.origin ?? peerId
  }

  #shareOf(peerId: PeerId): number {
    return this.#ports.peers.get(peerId)?.share ?? 1
  }

  #tellDriversOver(peerId: PeerId, type: 'gone' | 'draining'): void {
    const { peers, open, effects } = this.#ports
    for (const driver of open.driversOver(peerId)) if (peers.has(driver)) effects.send(driver, { type, peerId })
  }

  #describe({ peerId, span }: PlacedStage) {
    const { engine, adapter } = required(this.#ports.peers.get(peerId)?.pledge, `the pledge of ${peerId}`)
    return { peerId, ...span, engine, adapter }
  }

  #modelOf(modelId: ModelId): SwarmModel | undefined {
    return this.#options.models.find((model) => model.modelId === modelId)
  }

  #decide({ requester, message, mayServe }: Omit<AdmissionAsked, 'sessionId'>, nowMs: number): Decision {
    const [origin, share, model] = [this.#originOf(requester), this.#shareOf(requester), this.#modelOf(message.modelId)]
    return decideAdmission({ ...this.#swarm(mayServe, nowMs), message, requester, origin, share, model })
  }

  /** What chains are chosen from. */
  #swarm(mayServe: MayServe | null, nowMs: number) {
    const { peers, open, roundTrips } = this.#ports
    const rttMs = (a: PeerId, b: PeerId) => roundTrips.between(a, b)
    const all = [...peers.values()]
    return {
      peers: mayServe === null ? all : all.filter(({ peerId }) => mayServe(peerId)),
      sessions: open,
      stagesMin: this.#options.stagesMin,
      rttMs,
      nowMs,
    }
  }
}

/** It drains, or takes part no more by its own word. */
function hasAnnounced({ draining, pledge }: PeerRecord): boolean {
  return draining || pledge === null
}
