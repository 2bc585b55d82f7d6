/**
 * CoordinatorCore: the coordinator without its sockets. Events in, effects out; time comes with each event, chance is handed
 * in, and whoever feeds it carries the effects out in order. Who is connected and who volunteers is kept here; assignments.ts says what
 * volunteers load, sessionLifecycle.ts what requesters get, heartbeats.ts who is there.
 */

import type { Span } from '../../model/index.ts'
import { AWAY_RECOVERING, type NetworkSummary } from '../../protocol/index.ts'
import { assert, type ModelId, type PeerId, required, unreachable } from '../../shared/index.ts'
import type { AdmitMessage } from './admission.ts'
import { Assignments } from './assignments.ts'
import type { ModelCosts } from './costs.ts'
import { Demand } from './demand.ts'
import { Effects } from './effects.ts'
import type { CoreEffect, CoreEvent, MayServe, PeerMessage } from './events.ts'
import { Heartbeats } from './heartbeats.ts'
import { AWAY_AFTER_MS, PEERS_MAX, REGROUP_INTERVAL_MS } from './limits.ts'
import { missedPeers } from './orders.ts'
import { isChoosable, newPeer, type PeerRecord, type Pledge, serves, suspend, weightFormOf, withdraw } from './peers.ts'
import { whoYields } from './places.ts'
import { Plan } from './plan.ts'
import { RoundTrips } from './roundTrips.ts'
import { type GrantOptions, SessionLifecycle } from './sessionLifecycle.ts'
import { OpenSessions } from './sessions.ts'
import { type Spare, sparesFor } from './spares.ts'
import { Speeds } from './speeds.ts'
import { Bulletin, summarize } from './summary.ts'

export interface CoreOptions extends GrantOptions {
  /** What volunteers' kernels must be; null: whatever the volunteers that are there have. */
  readonly kernelVersion: string | null
}

export class CoordinatorCore {
  readonly #options: CoreOptions
  readonly #peers = new Map<PeerId, PeerRecord>()
  readonly #plan: Plan
  readonly #open = new OpenSessions()
  readonly #roundTrips = new RoundTrips()
  readonly #speeds = new Speeds(this.#peers)
  readonly #effects = new Effects()
  readonly #heartbeats = new Heartbeats(this.#effects)
  readonly #assignments: Assignments
  readonly #sessions: SessionLifecycle
  readonly #bulletin = new Bulletin()
  #regroupedMs = 0
  #tickMs = 0

  constructor(options: CoreOptions) {
    const { models, stagesMin } = options
    assert(models.length > 0, 'a coordinator without a model')
    this.#options = options
    this.#plan = new Plan(models, stagesMin)
    const shared = { peers: this.#peers, open: this.#open, demand: new Demand(), effects: this.#effects }
    this.#assignments = new Assignments({ ...shared, models, plan: this.#plan })
    const onGivenUp = (peerId: PeerId) => this.#assignments.changed(peerId)
    this.#sessions = new SessionLifecycle(options, { ...shared, roundTrips: this.#roundTrips, heartbeats: this.#heartbeats, onGivenUp })
  }

  handle(event: CoreEvent, nowMs: number): CoreEffect[] {
    this.#effects.begin()
    switch (event.kind) {
      case 'connected':
        this.#connected(event.peerId, event.origin ?? event.peerId, event.share ?? 1, nowMs)
        break
      case 'disconnected':
        this.#forget(event.peerId, nowMs)
        break
      case 'message': {
        const peer = this.#peers.get(event.peerId)
        if (peer !== undefined) this.#message(peer, event, nowMs)
        break
      }
      case 'tick':
        this.#tick(nowMs)
        break
      default:
        unreachable(event)
    }
    this.#sessions.settle(nowMs)
    return this.#effects.pending
  }

  summary(nowMs: number): NetworkSummary {
    const { models, stagesMin } = this.#options
    return summarize({ models, peers: [...this.#peers.values()], plan: this.#plan, sessions: this.#open, stagesMin, nowMs })
  }

  /** Whether an open session's chain leads from one of the two to the other. */
  areJoined(one: PeerId, other: PeerId): boolean {
    return this.#open.join(one, other)
  }

  /** Whether that `admit` would get a chain now, or wait for one; asking changes nothing. */
  mayAdmit(peerId: PeerId, message: AdmitMessage, nowMs: number, mayServe: MayServe | null = null): boolean {
    return this.#sessions.mayAdmit({ requester: peerId, message, mayServe }, nowMs)
  }

  /** What peers serve of the model that may be asked for more now; `mayServe`: null: everybody. */
  served(modelId: ModelId, mayServe: MayServe | null, nowMs: number): Span[] {
    return [...this.#peers.values()].flatMap((peer) => {
      const isMeant = peer.served?.modelId === modelId && isChoosable(peer, nowMs) && mayServe?.(peer.peerId) !== false
      return isMeant && peer.served !== null ? [peer.served.span] : []
    })
  }

  /** Who serves all these layers and may be asked for more, now. */
  serving(modelId: ModelId, span: Span, nowMs: number): PeerId[] {
    return [...this.#peers.values()].filter((peer) => serves(peer, modelId, span) && isChoosable(peer, nowMs)).map(({ peerId }) => peerId)
  }

  /** Who could load all these layers beside what it has, with so much KV, now. */
  spares(modelId: ModelId, span: Span, kvPositions: number, nowMs: number): Spare[] {
    const { models } = this.#options
    const model = models.find((known) => known.modelId === modelId)
    return model === undefined ? [] : sparesFor({ model, span, kvPositions, models, nowMs }, this.#peers.values())
  }

  #connected(peerId: PeerId, origin: string, share: number, nowMs: number): void {
    if (this.#peers.has(peerId)) this.#forget(peerId, nowMs)
    if (this.#peers.size >= PEERS_MAX && !this.#makeRoom(origin, nowMs))
      return this.#effects.close(peerId, 'full', `this coordinator has ${PEERS_MAX} tabs already; try again later`)
    this.#peers.set(peerId, newPeer(peerId, origin, nowMs, share))
    this.#sessions.came(peerId)
  }

  /** For a newcomer from there; false where nobody yields. */
  #makeRoom(origin: string, nowMs: number): boolean {
    const peer = whoYields(this.#peers.values(), { origin, engaged: this.#open.engaged() })
    if (peer === null) return false
    const message = `this coordinator has ${PEERS_MAX} tabs, most of them from this tab's network, and another network's tab needed a place; try again later`
    this.#effects.close(peer.peerId, 'crowded-out', message)
    this.#forget(peer.peerId, nowMs)
    return true
  }

  #forget(peerId: PeerId, nowMs: number): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    this.#peers.delete(peerId)
    this.#assignments.changed(peerId)
    this.#heartbeats.left(peer)
    this.#roundTrips.forget(peerId)
    this.#speeds.forget(peerId)
    this.#sessions.left(peer, nowMs)
    if (peer.pledge !== null) this.#changed(this.#speeds.leave(peer, peer.pledge, nowMs))
    this.#assignments.update(nowMs)
  }

  #changed(peers: readonly PeerRecord[]): void {
    for (const { peerId } of peers) this.#assignments.changed(peerId)
  }

  #withdraw(peer: PeerRecord, nowMs: number): void {
    const { pledge } = peer
    withdraw(peer)
    if (pledge !== null) this.#changed(this.#speeds.leave(peer, pledge, nowMs))
  }

  #message(peer: PeerRecord, { message, sessionId, mayServe }: Extract<CoreEvent, { kind: 'message' }>, nowMs: number): void {
    const { peerId } = peer
    peer.heardMs = nowMs
    if (message.type !== 'pong') this.#assignments.changed(peerId)
    switch (message.type) {
      case 'pledge':
        return this.#pledge(peer, message, nowMs)
      case 'progress':
        return this.#assignments.progress(peer, message, nowMs)
      case 'serving':
        return this.#assignments.serving(peer, message.assignmentId, nowMs)
      case 'assignment-failed':
        return this.#assignments.failed(peer, message, nowMs)
      case 'away':
        if (message.reason === AWAY_RECOVERING) suspend(peer, nowMs)
        else this.#withdraw(peer, nowMs)
        return this.#assignments.update(nowMs)
      case 'drain':
        return this.#drain(peer, nowMs)
      case 'leave':
        this.#withdraw(peer, nowMs)
        return this.#assignments.update(nowMs, peerId)
      case 'pong':
        return this.#pong(peer, message, nowMs)
      case 'measured':
        return this.#measured(peer, message, nowMs)
      case 'admit':
        return this.#sessions.admit({ requester: peerId, message, sessionId: sessionId ?? null, mayServe: mayServe ?? null }, nowMs)
      case 'withdraw':
        return this.#sessions.withdraw(peerId, message.requestId)
      case 'repair':
        return this.#sessions.repair(peerId, message, nowMs)
      case 'ended':
        this.#seeLaps(peer, message, nowMs)
        return this.#sessions.ended(peerId, message, nowMs)
      case 'watch':
        peer.watching = true
        return this.#effects.send(peerId, { type: 'network', summary: this.summary(nowMs) })
      default:
        return unreachable(message)
    }
  }

  /** It goes on with its sessions while others load its layers. */
  #drain(peer: PeerRecord, nowMs: number): void {
    const { peerId } = peer
    if (peer.pledge === null || peer.draining) return
    peer.draining = true
    this.#sessions.drains(peerId)
    this.#assignments.update(nowMs, peerId)
  }

  /** Whatever was ordered before is void. */
  #pledge(peer: PeerRecord, pledge: Pledge, nowMs: number): void {
    const expected = this.#options.kernelVersion ?? this.#kernelVersionOfOthers(peer)
    if (expected !== null && pledge.kernelVersion !== expected) {
      this.#effects.close(
        peer.peerId,
        'kernel-version',
        `this tab computes with kernels ${pledge.kernelVersion.slice(0, 64)}, this swarm with ${expected}: reload the page`,
      )
      return this.#forget(peer.peerId, nowMs)
    }
    this.#withdraw(peer, nowMs)
    peer.pledge = pledge
    peer.memoryBytes = pledge.memoryBytes
    peer.weightForm = weightFormOf(pledge.engine)
    this.#changed(this.#speeds.join(peer, pledge, nowMs))
    peer.failures = 0
    peer.blockedUntilMs = 0
    this.#assignments.update(nowMs)
  }

  #kernelVersionOfOthers(peer: PeerRecord): string | null {
    for (const { pledge, peerId } of this.#peers.values()) if (pledge !== null && peerId !== peer.peerId) return pledge.kernelVersion
    return null
  }

  #pong(peer: PeerRecord, message: Extract<PeerMessage, { type: 'pong' }>, nowMs: number): void {
    peer.report = { sessions: message.sessions, kvPositionsFree: message.kvPositionsFree, atMs: nowMs }
    // It lets its open sessions end before it loads: those that are known here, for anybody may say that there are some.
    if (peer.order !== null && peer.served === null && message.sessions > 0 && this.#open.over(peer.peerId).length > 0)
      peer.order.heardMs = nowMs
    this.#heartbeats.answered(peer, message.sequence, nowMs)
  }

  /** Passes count for the order that they were computed for; links to whoever is there. */
  #measured(peer: PeerRecord, { assignmentId, passes, links }: Extract<PeerMessage, { type: 'measured' }>, nowMs: number): void {
    const { order } = peer
    if (order !== null && order.assignmentId === assignmentId) this.#speeds.learn(peer, this.#costsOf(order.modelId), passes, nowMs)
    for (const { peerId, rttMs } of links)
      if (peerId !== peer.peerId && this.#peers.has(peerId)) this.#roundTrips.report(peer.peerId, peerId, rttMs)
  }

  /** What the driver saw of its own session's chain. */
  #seeLaps(driver: PeerRecord, { sessionId, laps }: Extract<PeerMessage, { type: 'ended' }>, nowMs: number): void {
    const grant = this.#open.get(sessionId)
    if (laps === null || grant?.driver !== driver.peerId) return
    const seen = this.#speeds.see(laps, {
      grant,
      origin: driver.origin,
      costs: this.#costsOf(grant.modelId),
      rttMs: (a, b) => this.#roundTrips.between(a, b),
      sessionsAt: (peerId) => this.#open.busiestAt(sessionId, peerId),
      nowMs,
    })
    this.#changed(seen)
  }

  #costsOf(modelId: ModelId): ModelCosts {
    const model = this.#options.models.find((known) => known.modelId === modelId)
    return required(model, `model ${modelId}`).costs
  }

  #tick(nowMs: number): void {
    // Else it is the coordinator that was away, and what others said meanwhile is yet to be heard.
    const wasHere = nowMs - this.#tickMs < AWAY_AFTER_MS
    this.#tickMs = nowMs
    const waitedFor = this.#options.models.filter(({ modelId }) => wasHere && this.#sessions.isWaitedFor(modelId, nowMs))
    const missed = missedPeers(waitedFor, [...this.#peers.values()], nowMs)
    for (const peer of [...this.#peers.values()]) {
      const limitMs = this.#heartbeats.check(peer, missed.has(peer), nowMs)
      if (limitMs === null) continue
      this.#effects.close(peer.peerId, 'silent', `nothing was heard of this tab for ${limitMs / 1000} s`)
      this.#forget(peer.peerId, nowMs)
    }
    this.#heartbeats.forgetSettled(nowMs)
    this.#sessions.tick(nowMs)
    this.#assignments.failStalled(nowMs)
    if (nowMs - this.#regroupedMs >= REGROUP_INTERVAL_MS) {
      this.#regroupedMs = nowMs
      this.#roundTrips.regroup()
      for (const peer of this.#peers.values()) this.#follow(peer, nowMs)
    }
    this.#assignments.update(nowMs)
    this.#tellWatchers(nowMs)
  }

  #follow(peer: PeerRecord, nowMs: number): void {
    const region = this.#roundTrips.regionOf(peer.peerId)
    if (this.#speeds.follow(peer, nowMs) || region !== peer.region) this.#assignments.changed(peer.peerId)
    peer.region = region
  }

  #tellWatchers(nowMs: number): void {
    const watchers = [...this.#peers.values()].filter((peer) => peer.watching)
    const summary = watchers.length === 0 ? null : this.#bulletin.next(nowMs, () => this.summary(nowMs))
    if (summary !== null) for (const { peerId } of watchers) this.#effects.send(peerId, { type: 'network', summary })
  }
}
