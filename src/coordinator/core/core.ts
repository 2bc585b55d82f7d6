/**
 * CoordinatorCore: the coordinator without its sockets. Events in, effects out; time comes with each event, chance is handed
 * in, and whoever feeds it carries the effects out in order. Registry here; placement in plan.ts, admission in admission.ts.
 */

import { sameSpan } from '../../model/index.ts'
import {
  AWAY_RECOVERING,
  type Grant,
  type NetworkSummary,
  type RowEncoding,
  type ServerMessage,
  TOP_K_DEFAULT,
} from '../../protocol/index.ts'
import { assert, type PeerId, required, type SessionId, unreachable } from '../../shared/index.ts'
import { type AdmitMessage, decideAdmission } from './admission.ts'
import { decideRepair, type PendingRepair } from './chainRepair.ts'
import { kvPositionsFor } from './costs.ts'
import { Demand } from './demand.ts'
import type { CoreEffect, CoreEvent, PeerMessage } from './events.ts'
import {
  DROP_AFTER_MS,
  GHOST_MS,
  GRANT_LIFE_MS,
  LOAD_STALL_MS,
  MISFIT_FACTOR,
  ORPHAN_MS,
  PEERS_MAX,
  PING_INTERVAL_MS,
  REGROUP_INTERVAL_MS,
} from './limits.ts'
import { isLoaded, mustStay } from './orders.ts'
import { fail, newPeer, type PeerRecord, type Pledge, suspend, weightFormOf, withdraw } from './peers.ts'
import { PendingRepairs } from './pendingRepairs.ts'
import type { PlacedStage } from './placement.ts'
import { Plan } from './plan.ts'
import { mayHold } from './room.ts'
import { RoundTrips } from './roundTrips.ts'
import { OpenSessions } from './sessions.ts'
import { learnSpeed, levelSpeeds } from './speeds.ts'
import { Bulletin, summarize } from './summary.ts'
import { Suspicions } from './suspicions.ts'
import type { SwarmModel } from './swarm.ts'

export interface CoreOptions {
  /** At least one; the first is the default. */
  readonly models: readonly SwarmModel[]
  /** Stages that a chain has at least, where there are enough peers. */
  readonly stagesMin: number
  readonly rowEncoding: RowEncoding
  /** What volunteers' kernels must be; null: whatever the volunteers that are there have. */
  readonly kernelVersion: string | null
  /** 16 random bytes in hex. */
  readonly newSessionId: () => SessionId
}

export class CoordinatorCore {
  readonly #options: CoreOptions
  readonly #peers = new Map<PeerId, PeerRecord>()
  readonly #plan: Plan
  readonly #sessions = new OpenSessions()
  readonly #repairs = new PendingRepairs()
  readonly #suspicions = new Suspicions()
  readonly #demand = new Demand()
  readonly #roundTrips = new RoundTrips()
  /** Who may have to be placed otherwise. */
  #changed = new Set<PeerId>()
  /** The plan that orders were made of last; null where one had to wait. */
  #orderedVersion: number | null = null
  #regroupedMs = 0
  #effects: CoreEffect[] = []
  #assignments = 0
  readonly #bulletin = new Bulletin()

  constructor(options: CoreOptions) {
    assert(options.models.length > 0, 'a coordinator without a model')
    this.#options = options
    this.#plan = new Plan(options.models, options.stagesMin)
  }

  handle(event: CoreEvent, nowMs: number): CoreEffect[] {
    this.#effects = []
    switch (event.kind) {
      case 'connected':
        this.#connected(event.peerId, nowMs)
        break
      case 'disconnected':
        this.#forget(event.peerId, nowMs)
        break
      case 'message': {
        const peer = this.#peers.get(event.peerId)
        if (peer !== undefined) this.#message(peer, event.message, nowMs)
        break
      }
      case 'tick':
        this.#tick(nowMs)
        break
      default:
        unreachable(event)
    }
    this.#repairs.settle((pending) => this.#tryRepair(pending, nowMs))
    return this.#effects
  }

  summary(nowMs: number): NetworkSummary {
    const { models, stagesMin } = this.#options
    return summarize({ models, peers: [...this.#peers.values()], plan: this.#plan, sessions: this.#sessions, stagesMin, nowMs })
  }

  /** Whether an open session's chain leads from one of the two to the other. */
  areJoined(one: PeerId, other: PeerId): boolean {
    return this.#sessions.join(one, other)
  }

  #connected(peerId: PeerId, nowMs: number): void {
    if (this.#peers.has(peerId)) this.#forget(peerId, nowMs)
    if (this.#peers.size >= PEERS_MAX) {
      this.#close(peerId, 'full', `this coordinator has ${PEERS_MAX} tabs already; try again later`)
      return
    }
    this.#peers.set(peerId, newPeer(peerId, nowMs))
    this.#sessions.adopt(peerId)
  }

  #forget(peerId: PeerId, nowMs: number): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    this.#peers.delete(peerId)
    this.#changed.add(peerId)
    this.#suspicions.left(peer)
    this.#repairs.dropOf(peerId)
    for (const driver of this.#sessions.driversOver(peerId)) if (this.#peers.has(driver)) this.#send(driver, { type: 'gone', peerId })
    this.#roundTrips.forget(peerId)
    for (const grant of this.#sessions.orphan(peerId, nowMs + ORPHAN_MS, peer.heardMs)) this.#touch(grant, nowMs)
    this.#replan(nowMs)
  }

  #message(peer: PeerRecord, message: PeerMessage, nowMs: number): void {
    peer.heardMs = nowMs
    if (message.type !== 'pong') this.#changed.add(peer.peerId)
    switch (message.type) {
      case 'pledge':
        return this.#pledge(peer, message, nowMs)
      case 'progress':
        return this.#progress(peer, message, nowMs)
      case 'serving':
        return this.#serving(peer, message.assignmentId, nowMs)
      case 'assignment-failed':
        return this.#assignmentFailed(peer, message, nowMs)
      case 'away':
        if (message.reason === AWAY_RECOVERING) suspend(peer, nowMs)
        else withdraw(peer)
        return this.#replan(nowMs)
      case 'drain':
        return this.#drain(peer, nowMs)
      case 'leave':
        withdraw(peer)
        return this.#replan(nowMs, peer.peerId)
      case 'pong':
        return this.#pong(peer, message, nowMs)
      case 'measured':
        return this.#measured(peer, message)
      case 'admit':
        return this.#admit(peer, message, nowMs)
      case 'repair':
        return this.#repair(peer, message, nowMs)
      case 'ended':
        return this.#ended(peer, message, nowMs)
      case 'watch':
        peer.watching = true
        return this.#send(peer.peerId, { type: 'network', summary: this.summary(nowMs) })
      default:
        return unreachable(message)
    }
  }

  /** It goes on with its sessions while others load its layers. */
  #drain(peer: PeerRecord, nowMs: number): void {
    const { peerId } = peer
    if (peer.pledge === null || peer.draining) return
    peer.draining = true
    for (const driver of this.#sessions.driversOver(peerId)) if (this.#peers.has(driver)) this.#send(driver, { type: 'draining', peerId })
    this.#replan(nowMs, peerId)
  }

  /** Whatever was ordered before is void. */
  #pledge(peer: PeerRecord, pledge: Pledge, nowMs: number): void {
    const expected = this.#options.kernelVersion ?? this.#kernelVersionOfOthers(peer)
    if (expected !== null && pledge.kernelVersion !== expected) {
      this.#close(
        peer.peerId,
        'kernel-version',
        `this tab computes with kernels ${pledge.kernelVersion.slice(0, 64)}, this swarm with ${expected}: reload the page`,
      )
      return this.#forget(peer.peerId, nowMs)
    }
    withdraw(peer)
    peer.pledge = pledge
    peer.memoryBytes = pledge.memoryBytes
    peer.weightForm = weightFormOf(pledge.engine)
    for (const { peerId } of levelSpeeds(pledge, this.#peers.values())) this.#changed.add(peerId)
    peer.failures = 0
    peer.blockedUntilMs = 0
    this.#replan(nowMs)
  }

  #kernelVersionOfOthers(peer: PeerRecord): string | null {
    for (const { pledge, peerId } of this.#peers.values()) if (pledge !== null && peerId !== peer.peerId) return pledge.kernelVersion
    return null
  }

  #progress(peer: PeerRecord, message: Extract<PeerMessage, { type: 'progress' }>, nowMs: number): void {
    const { order } = peer
    if (order === null || order.assignmentId !== message.assignmentId) return
    const progress = message.bytesTotal === 0 ? 0 : Math.min(1, message.bytesLoaded / message.bytesTotal)
    if (progress > order.progress) order.heardMs = nowMs
    order.progress = progress
  }

  /** The order is what it serves: what the message says beside is not needed. */
  #serving(peer: PeerRecord, assignmentId: number, nowMs: number): void {
    const { order } = peer
    if (order === null || order.assignmentId !== assignmentId) return
    const { modelId, span, kvPositions } = order
    peer.served = { modelId, span, kvPositions }
    if (!isLoaded(peer, modelId, span)) peer.loaded = peer.served
    order.progress = 1
    peer.failures = 0
    peer.touchedMs = nowMs
    this.#replan(nowMs)
  }

  #assignmentFailed(peer: PeerRecord, message: Extract<PeerMessage, { type: 'assignment-failed' }>, nowMs: number): void {
    if (peer.order?.assignmentId !== message.assignmentId) return
    if (message.reason === 'does-not-fit') peer.memoryBytes = Math.floor(peer.memoryBytes * MISFIT_FACTOR)
    fail(peer, nowMs)
    this.#replan(nowMs)
  }

  #pong(peer: PeerRecord, message: Extract<PeerMessage, { type: 'pong' }>, nowMs: number): void {
    peer.report = { sessions: message.sessions, kvPositionsFree: message.kvPositionsFree, atMs: nowMs }
    // It lets its open sessions end before it loads.
    if (peer.order !== null && message.sessions > 0) peer.order.heardMs = nowMs
    this.#suspicions.answered(peer, message.sequence, nowMs)
  }

  /** Passes count for the order that they were computed for; links to whoever is there. */
  #measured(peer: PeerRecord, { assignmentId, passes, links }: Extract<PeerMessage, { type: 'measured' }>): void {
    const { order } = peer
    if (order !== null && order.assignmentId === assignmentId) {
      const model = this.#options.models.find(({ modelId }) => modelId === order.modelId)
      learnSpeed(peer, required(model, `model ${order.modelId}`).costs, passes)
    }
    for (const { peerId, rttMs } of links)
      if (peerId !== peer.peerId && this.#peers.has(peerId)) this.#roundTrips.report(peer.peerId, peerId, rttMs)
  }

  #admit(peer: PeerRecord, message: AdmitMessage, nowMs: number): void {
    const { models, stagesMin, rowEncoding, newSessionId } = this.#options
    const model = models.find(({ modelId }) => modelId === message.modelId)
    const peers = [...this.#peers.values()]
    const rttMs = (a: PeerId, b: PeerId) => this.#roundTrips.between(a, b)
    const decision = decideAdmission({ message, requester: peer.peerId, model, peers, sessions: this.#sessions, stagesMin, rttMs, nowMs })
    const { requestId } = message
    if (decision.kind === 'refused') {
      if (model !== undefined && decision.refusal.isForLack) this.#demand.refused(model.modelId, nowMs)
      return this.#refuse(peer.peerId, requestId, decision.refusal)
    }
    const { modelId, manifestHash } = required(model, `model ${message.modelId}`)
    const grant: Grant = {
      version: 1,
      sessionId: newSessionId(),
      revision: 0,
      modelId,
      manifestHash,
      driver: peer.peerId,
      stages: decision.stages.map(({ peerId, span }) => ({ peerId, firstLayer: span.firstLayer, endLayer: span.endLayer })),
      maxPositions: message.promptTokens + message.maxTokens,
      topK: TOP_K_DEFAULT,
      rowEncoding,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + GRANT_LIFE_MS,
    }
    this.#grant(grant, requestId, nowMs)
  }

  /** Accounts for the grant, and has it signed and sent. */
  #grant(grant: Grant, requestId: string, nowMs: number): void {
    const stages = grant.stages.map(({ peerId, firstLayer, endLayer }) => ({ peerId, span: { firstLayer, endLayer } }))
    const classes = stages.map(({ peerId }) => this.#peers.get(peerId)?.pledge?.numericClass ?? '')
    this.#sessions.grant(grant, classes)
    this.#touch(grant, nowMs)
    this.#effects.push({ kind: 'admit', peerId: grant.driver, requestId, grant, chain: stages.map((stage) => this.#describe(stage)) })
  }

  #repair(peer: PeerRecord, { requestId, sessionId, lostPeerIds }: Extract<PeerMessage, { type: 'repair' }>, nowMs: number): void {
    const grant = this.#sessions.get(sessionId)
    const { peerId: driver } = peer
    if (grant === null || grant.driver !== driver) {
      const message = 'the coordinator does not know this session any more; ask again'
      return this.#refuse(driver, requestId, { reason: 'unknown-session', message })
    }
    const retryAfterMs = this.#repairs.ask(driver, nowMs)
    if (retryAfterMs > 0) {
      const message = 'this tab asks for other chains all the time; look at its connection, then ask again'
      return this.#refuse(driver, requestId, { reason: 'too-many-repairs', message, retryAfterMs })
    }
    const lost = new Set(lostPeerIds.filter((peerId) => grant.stages.some((stage) => stage.peerId === peerId)))
    for (const peerId of lost) if (this.#peers.get(peerId)?.draining !== true) this.#suspect(peerId, driver, nowMs)
    const older = this.#repairs.add({ driver, requestId, sessionId, lost, sinceMs: nowMs })
    const message = 'this session has asked for another chain since'
    if (older !== null) this.#refuse(driver, older.requestId, { reason: 'superseded', message })
  }

  /** True when nothing is left to do for it. */
  #tryRepair(pending: PendingRepair, nowMs: number): boolean {
    const { driver, requestId, sessionId } = pending
    const { models, stagesMin } = this.#options
    const grant = this.#sessions.get(sessionId)
    if (grant === null) return true
    const decision = decideRepair(pending, {
      grant,
      model: required(
        models.find(({ modelId }) => modelId === grant.modelId),
        `model ${grant.modelId}`,
      ),
      peers: [...this.#peers.values()],
      sessions: this.#sessions,
      stagesMin,
      rttMs: (a, b) => this.#roundTrips.between(a, b),
      nowMs,
    })
    if (decision.kind === 'granted') {
      this.#touch(grant, nowMs)
      this.#grant(decision.grant, requestId, nowMs)
    } else if (decision.kind === 'refused') this.#refuse(driver, requestId, { reason: 'incomplete', message: decision.message })
    return decision.kind !== 'waiting'
  }

  /** Not chosen before it has answered a ping. */
  #suspect(peerId: PeerId, driver: PeerId, nowMs: number): void {
    const peer = this.#peers.get(peerId)
    if (peer !== undefined && this.#suspicions.accuse(peer, driver, nowMs)) this.#ping(peer, nowMs)
  }

  #describe({ peerId, span }: PlacedStage) {
    const { engine, adapter } = required(this.#peers.get(peerId)?.pledge, `the pledge of ${peerId}`)
    return { peerId, ...span, engine, adapter }
  }

  #ended(peer: PeerRecord, message: Extract<PeerMessage, { type: 'ended' }>, nowMs: number): void {
    const grant = this.#sessions.get(message.sessionId)
    if (grant === null || grant.driver !== peer.peerId) return
    this.#sessions.end(message.sessionId)
    this.#touch(grant, nowMs)
    const accused = grant.stages.find((stage) => stage.peerId === message.failedPeerId)
    if (accused !== undefined) this.#suspect(accused.peerId, peer.peerId, nowMs)
  }

  /** Sessions came or went at these peers: their earlier reports say nothing any more. */
  #touch(grant: Grant, nowMs: number): void {
    for (const { peerId } of grant.stages) {
      const peer = this.#peers.get(peerId)
      if (peer !== undefined) peer.touchedMs = nowMs
    }
  }

  #tick(nowMs: number): void {
    for (const peer of [...this.#peers.values()]) {
      const { suspicion } = peer
      const limitMs = suspicion === null ? DROP_AFTER_MS : GHOST_MS
      const silentMs = nowMs - (suspicion === null ? peer.heardMs : suspicion.sinceMs)
      if (silentMs >= limitMs) {
        this.#close(peer.peerId, 'silent', `nothing was heard of this tab for ${limitMs / 1000} s`)
        this.#forget(peer.peerId, nowMs)
      } else if (nowMs - peer.pingSentMs >= PING_INTERVAL_MS) this.#ping(peer, nowMs)
    }
    this.#suspicions.forgetSettled(nowMs)
    this.#repairs.forgetSettled(nowMs)
    const mayBeHeld = ({ sessionId, stages }: Grant) =>
      this.#repairs.has(sessionId) || stages.some(({ peerId }) => mayHold(this.#peers.get(peerId), nowMs))
    for (const grant of this.#sessions.expire(nowMs, mayBeHeld)) this.#touch(grant, nowMs)
    for (const peer of this.#peers.values()) {
      const { order, served } = peer
      if (order === null || served !== null || nowMs - order.heardMs < LOAD_STALL_MS) continue
      this.#changed.add(peer.peerId)
      fail(peer, nowMs)
    }
    if (nowMs - this.#regroupedMs >= REGROUP_INTERVAL_MS) {
      this.#regroupedMs = nowMs
      this.#roundTrips.regroup()
      for (const peer of this.#peers.values()) this.#follow(peer)
    }
    this.#replan(nowMs)
    this.#tellWatchers(nowMs)
  }

  #follow(peer: PeerRecord): void {
    const region = this.#roundTrips.regionOf(peer.peerId)
    if (region !== peer.region) this.#changed.add(peer.peerId)
    peer.region = region
  }

  #ping(peer: PeerRecord, nowMs: number): void {
    peer.pingSequence++
    peer.pingSentMs = nowMs
    this.#send(peer.peerId, { type: 'ping', sequence: peer.pingSequence, timeMs: nowMs })
  }

  #tellWatchers(nowMs: number): void {
    const watchers = [...this.#peers.values()].filter((peer) => peer.watching)
    const summary = watchers.length === 0 ? null : this.#bulletin.next(nowMs, () => this.summary(nowMs))
    if (summary !== null) for (const { peerId } of watchers) this.#send(peerId, { type: 'network', summary })
  }

  /** Brings the plan up to date, then turns what differs from it into orders. */
  #replan(nowMs: number, left: PeerId | null = null): void {
    const changed = this.#changed
    this.#changed = new Set()
    this.#plan.update({
      peers: this.#peers,
      nowMs,
      changed,
      left,
      demand: (modelId) => this.#demand.of(modelId, this.#sessions.ofModel(modelId), nowMs),
      sessionsOver: () => this.#sessions.reserved(nowMs),
    })
    if (changed.size === 0 && this.#plan.version === this.#orderedVersion) return
    this.#orderedVersion = this.#plan.version
    for (const peer of this.#peers.values()) this.#order(peer, nowMs)
  }

  #order(peer: PeerRecord, nowMs: number): void {
    if (peer.pledge === null || peer.draining) return
    const place = this.#plan.placeOf(peer.peerId)
    if (place === null) {
      if (peer.order === null) return
      peer.order = null
      peer.served = null
      return this.#send(peer.peerId, { type: 'release' })
    }
    const { model, span } = place
    const { order } = peer
    if (order !== null && order.modelId === model.modelId && sameSpan(order.span, span)) return
    if (mustStay(peer, place, { peers: this.#peers.values(), models: this.#options.models, nowMs })) {
      this.#orderedVersion = null
      return
    }
    const loaded = isLoaded(peer, model.modelId, span)
    const kvPositions = loaded ? required(peer.loaded, 'the loaded span').kvPositions : kvPositionsFor(model.costs, span, peer)
    // A span that has to be loaded takes the place of what is there.
    if (!loaded) {
      peer.served = null
      peer.loaded = null
    }
    const assignmentId = this.#assignments++
    peer.order = { assignmentId, modelId: model.modelId, span, kvPositions, progress: 0, heardMs: nowMs }
    const { modelId, manifestHash } = model
    this.#send(peer.peerId, { type: 'assign', assignmentId, modelId, manifestHash, span, kvPositions, memoryBytesMax: peer.memoryBytes })
  }

  #refuse(peerId: PeerId, requestId: string, refusal: { reason: string; message: string; retryAfterMs?: number | null }): void {
    const { reason, message, retryAfterMs = null } = refusal
    this.#send(peerId, { type: 'refused', requestId, reason, message, retryAfterMs })
  }

  #close(peerId: PeerId, reason: string, message: string): void {
    this.#effects.push({ kind: 'close', peerId, error: { reason, message } })
  }

  #send(peerId: PeerId, message: ServerMessage): void {
    this.#effects.push({ kind: 'send', peerId, message })
  }
}
