/**
 * Assignments: what volunteers are told to load, from the order to layers that are served, or to a load that failed. Keeps the plan up to
 * date and turns what differs from it into orders. Which layers are whose is the plan's matter; who must stay where it is: orders.ts.
 */

import { sameSpan } from '../../model/index.ts'
import { type PeerId, required } from '../../shared/index.ts'
import { kvPositionsFor } from './costs.ts'
import type { Demand } from './demand.ts'
import type { Effects } from './effects.ts'
import type { PeerMessage } from './events.ts'
import { LOAD_STALL_MS, MISFIT_FACTOR } from './limits.ts'
import { hear, newLoad } from './loads.ts'
import { isLoaded, mustStay } from './orders.ts'
import { fail, type PeerRecord } from './peers.ts'
import type { Plan } from './plan.ts'
import type { OpenSessions } from './sessions.ts'
import type { SwarmModel } from './swarm.ts'

export interface AssignmentPorts {
  readonly models: readonly SwarmModel[]
  /** Brought up to date here alone. */
  readonly plan: Plan
  readonly peers: ReadonlyMap<PeerId, PeerRecord>
  readonly open: OpenSessions
  readonly demand: Demand
  readonly effects: Effects
}

export class Assignments {
  readonly #ports: AssignmentPorts
  /** Who may have to be placed otherwise. */
  #changed = new Set<PeerId>()
  /** Whose orders may differ from the plan: who changed, whose place did, and who had to wait. */
  #unordered = new Set<PeerId>()
  #count = 0

  constructor(ports: AssignmentPorts) {
    this.#ports = ports
  }

  /** The peer has come, gone or become another: the next update looks at its place. */
  changed(peerId: PeerId): void {
    this.#changed.add(peerId)
  }

  /** Brings the plan up to date, then turns what differs from it into orders. `left`: who went deliberately, and is not waited for. */
  update(nowMs: number, left: PeerId | null = null): void {
    const { plan, peers, open, demand } = this.#ports
    const changed = this.#changed
    this.#changed = new Set()
    plan.update({
      peers,
      nowMs,
      changed,
      left,
      demand: (modelId) => demand.of(modelId, open.ofModel(modelId), nowMs),
      sessionsOver: () => open.reserved(nowMs),
    })
    this.#orderAll(new Set([...this.#unordered, ...changed, ...plan.takeMoved()]), nowMs)
  }

  /** In the order in which they came: what one is told to load may let another go. */
  #orderAll(wanted: ReadonlySet<PeerId>, nowMs: number): void {
    this.#unordered = new Set()
    if (wanted.size === 0) return
    const { peers } = this.#ports
    const [only] = wanted
    const looked = wanted.size === 1 && only !== undefined ? [peers.get(only)] : peers.values()
    for (const peer of looked) if (peer !== undefined && wanted.has(peer.peerId)) this.#order(peer, nowMs)
  }

  progress(peer: PeerRecord, message: Extract<PeerMessage, { type: 'progress' }>, nowMs: number): void {
    const { order } = peer
    if (order === null || order.assignmentId !== message.assignmentId) return
    hear(order, message.bytesTotal === 0 ? 0 : Math.min(1, message.bytesLoaded / message.bytesTotal), nowMs)
  }

  /** The order is what it serves: what the message says beside is not needed. */
  serving(peer: PeerRecord, assignmentId: number, nowMs: number): void {
    const { order } = peer
    if (order === null || order.assignmentId !== assignmentId) return
    const { modelId, span, kvPositions } = order
    peer.served = { modelId, span, kvPositions }
    if (!isLoaded(peer, modelId, span)) peer.loaded = peer.served
    order.progress = 1
    peer.failures = 0
    // It was about other layers.
    peer.report = null
    peer.roomChanges = []
    this.update(nowMs)
  }

  failed(peer: PeerRecord, { assignmentId, reason }: Extract<PeerMessage, { type: 'assignment-failed' }>, nowMs: number): void {
    if (peer.order?.assignmentId !== assignmentId) return
    if (reason === 'does-not-fit') peer.memoryBytes = Math.floor(peer.memoryBytes * MISFIT_FACTOR)
    fail(peer, nowMs)
    this.update(nowMs)
  }

  /** Loads that nothing was heard of for LOAD_STALL_MS have failed; the next update gives them to others. */
  failStalled(nowMs: number): void {
    for (const peer of this.#ports.peers.values()) {
      const { order, served } = peer
      if (order === null || served !== null || nowMs - order.heardMs < LOAD_STALL_MS) continue
      this.changed(peer.peerId)
      fail(peer, nowMs)
    }
  }

  #order(peer: PeerRecord, nowMs: number): void {
    const { models, plan, peers, effects } = this.#ports
    if (peer.pledge === null || peer.draining) return
    const place = plan.placeOf(peer.peerId)
    if (place === null) {
      if (peer.order === null) return
      // Given up: it goes on while others load its layers.
      if (nowMs < peer.blockedUntilMs) {
        this.#unordered.add(peer.peerId)
        return
      }
      peer.order = null
      peer.served = null
      return effects.send(peer.peerId, { type: 'release' })
    }
    const { model, span } = place
    const { order } = peer
    if (order !== null && order.modelId === model.modelId && sameSpan(order.span, span)) return
    if (mustStay(peer, place, { peers: peers.values(), models, nowMs })) {
      this.#unordered.add(peer.peerId)
      return
    }
    const loaded = isLoaded(peer, model.modelId, span)
    const kvPositions = loaded ? required(peer.loaded, 'the loaded span').kvPositions : kvPositionsFor(model.costs, span, peer)
    // A span that has to be loaded takes the place of what is there.
    if (!loaded) {
      peer.served = null
      peer.loaded = null
    }
    const assignmentId = this.#count++
    peer.order = { assignmentId, modelId: model.modelId, span, kvPositions, ...newLoad(nowMs) }
    const { modelId, manifestHash } = model
    effects.send(peer.peerId, { type: 'assign', assignmentId, modelId, manifestHash, span, kvPositions, memoryBytesMax: peer.memoryBytes })
  }
}
