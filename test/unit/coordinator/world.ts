/**
 * A coordinator's core with volunteers and requesters that keep the rules of their side: a span inside the one in memory is
 * served at once, any other only after it was loaded; orders are answered when the test says so.
 */

import {
  CoordinatorCore,
  type CoreEffect,
  type CoreEvent,
  type CoreOptions,
  type ModelCosts,
  type SessionEvent,
  type SwarmModel,
  type WeightForm,
} from '../../../src/coordinator/core/index.ts'
import type { LapReport } from '../../../src/coordinator/core/speeds.ts'
import type { Span } from '../../../src/model/index.ts'
import type { Assignment, ClientMessage, Grant, ServerMessage } from '../../../src/protocol/index.ts'
import type { ManifestHash, ModelId, PeerId, SessionId } from '../../../src/shared/index.ts'

const BLOCKS = { layerBytes: 100, embeddingBytes: 50, headBytes: 50, sharedHeadBytes: 40, scratchBytes: 10, headScratchBytes: 5 }

/** Twelve layers of 100 bytes; the ends take 50 each, of which a tied head shares 40; KV of 1,024 positions takes 102.4 a layer. Taken apart, nearly twice the weights. */
export const COSTS: ModelCosts = {
  layerCount: 12,
  contextLength: 1_024,
  forms: { blocks: BLOCKS, unpacked: { ...BLOCKS, layerBytes: 180, headBytes: 90, scratchBytes: 50 } },
  kvBytesPerPositionPerLayer: 0.1,
  macsPerLayer: 100,
  headMacs: 200,
}

export const MODEL: SwarmModel = {
  modelId: 'model' as ModelId,
  manifestHash: 'a'.repeat(64) as ManifestHash,
  name: 'Model',
  weightBytes: 1_260,
  costs: COSTS,
}

/** Holds the whole model. */
export const WHOLE_BYTES = Math.ceil(10 + 50 + 50 + 5 - 40 + 12 * (100 + 0.1 * 1_024))

export function peerId(index: number): PeerId {
  return index.toString(16).padStart(32, '0') as PeerId
}

/** Bytes of a span with its KV, as the costs say. */
export function spanMemory(costs: ModelCosts, { firstLayer, endLayer }: Span, kvPositions: number, form: WeightForm = 'blocks'): number {
  const [first, last] = [firstLayer === 0, endLayer === costs.layerCount]
  const own = costs.forms[form]
  const ends =
    (first ? own.embeddingBytes : 0) + (last ? own.headBytes + own.headScratchBytes : 0) - (first && last ? own.sharedHeadBytes : 0)
  return own.scratchBytes + ends + (endLayer - firstLayer) * (own.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer)
}

export interface Tab {
  readonly peerId: PeerId
  pledgeBytes: number | null
  order: Assignment | null
  served: { span: Span; kvPositions: number } | null
  loaded: { span: Span; kvPositions: number } | null
  /** It said so, and has not pledged since. */
  isDraining: boolean
}

type Refused = Extract<ServerMessage, { type: 'refused' }>

export class World {
  readonly core: CoordinatorCore
  readonly tabs = new Map<PeerId, Tab>()
  readonly closed: { peerId: PeerId; reason: string; message: string }[] = []
  readonly assignments: { peerId: PeerId; assignment: Assignment; atMs: number }[] = []
  readonly releases: PeerId[] = []
  readonly grants = new Map<SessionId, Grant>()
  /** Sessions that no stage holds: their drivers have never opened them, or have closed them. */
  readonly unheld = new Set<SessionId>()
  readonly refusals: Refused[] = []
  /** What requests heard of their place in the queue. */
  readonly places: [requestId: string, ahead: number][] = []
  readonly summaries: PeerId[] = []
  /** Who was told that whom is gone. */
  readonly gone: [driver: PeerId, peer: PeerId][] = []
  /** Who was told that who drains. */
  readonly draining: [driver: PeerId, peer: PeerId][] = []
  readonly sessionEvents: SessionEvent[] = []
  nowMs = 1_000
  #sessions = 0
  #requests = 0
  #pings = new Map<PeerId, number>()

  constructor(options: Partial<CoreOptions> = {}) {
    this.core = new CoordinatorCore({
      models: [MODEL],
      stagesMin: 2,
      rowEncoding: 'f16e',
      kernelVersion: null,
      newSessionId: () => (this.#sessions++).toString(16).padStart(32, '0') as SessionId,
      ...options,
    })
  }

  /** `origin`: by default its own. */
  connect(index: number, origin?: string): Tab {
    const tab: Tab = { peerId: peerId(index), pledgeBytes: null, order: null, served: null, loaded: null, isDraining: false }
    this.tabs.set(tab.peerId, tab)
    this.feed({ kind: 'connected', peerId: tab.peerId, ...(origin !== undefined && { origin }) })
    return tab
  }

  disconnect(index: number): void {
    this.tabs.delete(peerId(index))
    this.feed({ kind: 'disconnected', peerId: peerId(index) })
  }

  tab(index: number): Tab {
    return this.tabs.get(peerId(index)) ?? this.connect(index)
  }

  pledge(index: number, memoryBytes = WHOLE_BYTES, macsPerSecond = 1_000, kernelVersion = 'k1', numericClass = 'c'): Tab {
    const tab = this.tab(index)
    Object.assign(tab, { pledgeBytes: memoryBytes, order: null, served: null, isDraining: false })
    this.say(index, {
      type: 'pledge',
      memoryBytes,
      engine: 'webgpu',
      adapter: `GPU ${index}`,
      numericClass,
      kernelVersion,
      macsPerSecond,
    })
    return tab
  }

  say(index: number, message: Exclude<ClientMessage, { type: 'identify' | 'relay' | 'receipt' | 'statement' | 'account-request' }>): void {
    this.feed({ kind: 'message', peerId: peerId(index), message })
  }

  drain(index: number, reason = 'busy'): void {
    this.tab(index).isDraining ||= this.tab(index).pledgeBytes !== null
    this.say(index, { type: 'drain', reason })
  }

  leave(index: number): void {
    Object.assign(this.tab(index), { pledgeBytes: null, order: null, served: null, loaded: null, isDraining: false })
    this.say(index, { type: 'leave' })
  }

  /** The tab carries out its order; false where it has none. */
  serve(index: number): boolean {
    const tab = this.tabs.get(peerId(index))
    if (tab?.order === undefined || tab.order === null) return false
    const { assignmentId, span, kvPositions } = tab.order
    tab.served = { span, kvPositions }
    if (!inside(tab.loaded?.span, span)) tab.loaded = tab.served
    tab.order = null
    this.feed({ kind: 'message', peerId: tab.peerId, message: { type: 'serving', assignmentId, span, kvPositions } })
    return true
  }

  fail(index: number, reason = 'device-lost'): boolean {
    const tab = this.tabs.get(peerId(index))
    if (tab?.order === undefined || tab.order === null) return false
    const { assignmentId } = tab.order
    Object.assign(tab, { order: null, served: null, loaded: null })
    this.feed({ kind: 'message', peerId: tab.peerId, message: { type: 'assignment-failed', assignmentId, reason, message: 'it failed' } })
    return true
  }

  /** All orders, and those that they lead to. */
  serveAll(): void {
    const index = (tab: Tab) => Number.parseInt(tab.peerId, 16)
    for (let rounds = 0; rounds < 100; rounds++) if (![...this.tabs.values()].map((tab) => this.serve(index(tab))).includes(true)) return
    throw new Error('orders lead to orders for ever')
  }

  /** Time passes in the steps of the server; tabs answer pings unless told otherwise. */
  wait(durationMs: number, silent: readonly number[] = []): void {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, this.nowMs + 250)
      this.feed({ kind: 'tick' })
      for (const [peer, sequence] of this.#pings) {
        this.#pings.delete(peer)
        if (silent.some((index) => peerId(index) === peer) || !this.tabs.has(peer)) continue
        const kvPositionsFree = (this.tabs.get(peer)?.served?.kvPositions ?? 0) - this.reserved(peer)
        const sessions = this.held(peer).length
        this.feed({ kind: 'message', peerId: peer, message: { type: 'pong', sequence, sessions, kvPositionsFree } })
      }
    }
  }

  /** Sessions that are open at this peer. */
  held(peer: PeerId): Grant[] {
    const isHeld = ({ sessionId, stages }: Grant) => !this.unheld.has(sessionId) && stages.some((stage) => stage.peerId === peer)
    return [...this.grants.values()].filter(isHeld)
  }

  /** Positions that those take. */
  reserved(peer: PeerId): number {
    return this.held(peer).reduce((sum, { maxPositions }) => sum + 32 * Math.ceil(maxPositions / 32), 0)
  }

  admit(index: number, promptTokens = 10, maxTokens = 20): Grant | Refused {
    this.tab(index)
    const requestId = `request ${this.#requests++}`
    const known = new Set(this.grants.keys())
    const refusalsBefore = this.refusals.length
    this.say(index, { type: 'admit', requestId, modelId: MODEL.modelId, promptTokens, maxTokens })
    const grant = [...this.grants.values()].find(({ sessionId }) => !known.has(sessionId))
    const refused = this.refusals[refusalsBefore]
    if ((grant === undefined) === (refused === undefined))
      throw new Error(`request ${requestId} got ${grant === undefined ? 'no answer' : 'two'}`)
    if (refused !== undefined) return refused
    if (grant === undefined) throw new Error('unreachable')
    return grant
  }

  /** Asks for another chain; the session's grant by now is in `grants`. */
  repair({ sessionId, driver, revision }: Grant, ...lost: number[]): void {
    const message = {
      type: 'repair',
      requestId: `request ${this.#requests++}`,
      sessionId,
      revision,
      lostPeerIds: lost.map(peerId),
    } as const
    this.feed({ kind: 'message', peerId: driver, message })
  }

  end({ sessionId, driver }: Grant, failedPeerId: PeerId | null = null, laps: LapReport | null = null): void {
    this.grants.delete(sessionId)
    const outcome = failedPeerId === null ? 'finished' : 'failed'
    this.feed({ kind: 'message', peerId: driver, message: { type: 'ended', sessionId, outcome, failedPeerId, laps } })
  }

  spans(): Record<string, [number, number]> {
    const served = [...this.tabs.values()].flatMap(({ peerId: id, served }) => (served === null ? [] : [[id, served.span] as const]))
    return Object.fromEntries(served.map(([id, { firstLayer, endLayer }]) => [Number.parseInt(id, 16), [firstLayer, endLayer]]))
  }

  feed(event: CoreEvent): CoreEffect[] {
    const effects = this.core.handle(event, this.nowMs)
    for (const effect of effects) this.#carryOut(effect)
    return effects
  }

  #carryOut(effect: CoreEffect): void {
    if (effect.kind === 'session') this.sessionEvents.push(effect.event)
    else if (effect.kind === 'admit') this.grants.set(effect.grant.sessionId, effect.grant)
    else if (effect.kind === 'close') {
      this.closed.push({ peerId: effect.peerId, ...effect.error })
      this.tabs.delete(effect.peerId)
    } else this.#receive(effect.peerId, effect.message)
  }

  #receive(peer: PeerId, message: ServerMessage): void {
    const tab = this.tabs.get(peer)
    if (message.type === 'ping') this.#pings.set(peer, message.sequence)
    else if (message.type === 'refused') this.refusals.push(message)
    else if (message.type === 'queued') this.places.push([message.requestId, message.ahead])
    else if (message.type === 'network') this.summaries.push(peer)
    else if (message.type === 'gone') this.gone.push([peer, message.peerId])
    else if (message.type === 'draining') this.draining.push([peer, message.peerId])
    else if (message.type === 'assign') {
      this.assignments.push({ peerId: peer, assignment: message, atMs: this.nowMs })
      if (tab === undefined) throw new Error(`an order to ${peer}, who is not there`)
      tab.order = message
      if (!inside(tab.loaded?.span, message.span)) Object.assign(tab, { served: null, loaded: null })
    } else if (message.type === 'release') {
      this.releases.push(peer)
      if (tab !== undefined) Object.assign(tab, { order: null, served: null })
    }
  }
}

function inside(outer: Span | undefined, inner: Span): boolean {
  return outer !== undefined && outer.firstLayer <= inner.firstLayer && inner.endLayer <= outer.endLayer
}

/** Two volunteers that serve the whole model together. */
export function servedWorld(): World {
  const world = new World()
  for (const index of [1, 2]) world.pledge(index)
  world.serveAll()
  return world
}
