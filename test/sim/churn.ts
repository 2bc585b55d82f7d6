/**
 * Peers that come and go, for the coordinator's core alone: everybody loads when told, answers pings, and serves. What is
 * counted is what planning costs and whom it moves.
 */

import { CoordinatorCore, type CoreEvent } from '../../src/coordinator/core/index.ts'
import { uncovered } from '../../src/coordinator/core/route.ts'
import type { Span } from '../../src/model/index.ts'
import type { Assignment } from '../../src/protocol/index.ts'
import type { ModelId, PeerId, SessionId } from '../../src/shared/index.ts'
import type { PeerGroup, ScenarioModel } from '../../src/sim/scenario.ts'

export interface ChurnOptions {
  readonly models: readonly ScenarioModel[]
  /** What a peer pledges, by its number. */
  readonly pledgeOf: (index: number) => Pick<PeerGroup, 'macsPerSecond' | 'memoryBytes'>
  /** [0, 1). */
  readonly random: () => number
  /** For the time that the core takes. */
  readonly clockMs: () => number
}

/** How often something happened, and what it took the core: all of it together and the longest, milliseconds. */
export interface Cost {
  count: number
  ms: number
  mostMs: number
}

interface Tab {
  readonly peerId: PeerId
  loaded: Held | null
  served: Held | null
  order: Assignment | null
}

interface Held {
  readonly modelId: ModelId
  readonly span: Span
}

const TICK_MS = 1_000
/** Ticks that a load takes. */
const LOAD_TICKS = 5

export class Churn {
  readonly costs = { join: newCost(), leave: newCost(), serving: newCost(), tick: newCost() }
  /** Orders to load something that followed from the event, after the first of each peer. */
  moves = 0
  readonly #options: ChurnOptions
  readonly #core: CoordinatorCore
  readonly #tabs = new Map<PeerId, Tab>()
  #nowMs = 0
  #joined = 0
  #pings: { readonly peerId: PeerId; readonly sequence: number }[] = []

  constructor(options: ChurnOptions) {
    this.#options = options
    this.#core = new CoordinatorCore({
      models: options.models.map(({ swarm }) => swarm),
      stagesMin: 1,
      rowEncoding: 'f16e',
      kernelVersion: null,
      newSessionId: () => '0'.repeat(32) as SessionId,
    })
  }

  get size(): number {
    return this.#tabs.size
  }

  join(): void {
    const peerId = (this.#joined++).toString(16).padStart(32, '0') as PeerId
    const { macsPerSecond, memoryBytes } = this.#options.pledgeOf(this.#joined)
    const adapter = `GPU of ${macsPerSecond}`
    this.#tabs.set(peerId, { peerId, loaded: null, served: null, order: null })
    this.#feed({ kind: 'connected', peerId }, this.costs.join)
    const pledge = { type: 'pledge', memoryBytes, engine: 'webgpu', adapter, numericClass: '', kernelVersion: '', macsPerSecond } as const
    this.#feed({ kind: 'message', peerId, message: pledge }, this.costs.join)
  }

  /** Somebody goes without a word; says whether somebody else serves all that it served. */
  leave(): boolean {
    const tabs = [...this.#tabs.values()]
    const gone = tabs[Math.floor(this.#options.random() * tabs.length)]
    if (gone === undefined) throw new Error('nobody is there who could leave')
    this.#tabs.delete(gone.peerId)
    const { served } = gone
    const missed = served === null ? [] : this.missing(served.modelId).filter((gap) => overlap(gap, served.span))
    this.#feed({ kind: 'disconnected', peerId: gone.peerId }, this.costs.leave)
    return missed.length === 0
  }

  /** Time for all loads, and for peers to move. */
  wait(ticks = LOAD_TICKS): void {
    for (let tick = 1; tick <= ticks; tick++) {
      this.#nowMs += TICK_MS
      this.#feed({ kind: 'tick' }, this.costs.tick)
      for (const { peerId, sequence } of this.#pings.splice(0))
        if (this.#tabs.has(peerId))
          this.#feed({ kind: 'message', peerId, message: { type: 'pong', sequence, sessions: 0, kvPositionsFree: 10_000 } }, newCost())
      if (tick % LOAD_TICKS === 0) this.#serveAll()
    }
  }

  /** Layers of a model that nobody serves. */
  missing(modelId: ModelId): Span[] {
    const spans = [...this.#tabs.values()].flatMap(({ served }) => (served?.modelId === modelId ? [served.span] : []))
    const layerCount = this.#options.models.find(({ swarm }) => swarm.modelId === modelId)?.swarm.costs.layerCount ?? 0
    return uncovered(layerCount, spans)
  }

  #serveAll(): void {
    for (const tab of this.#tabs.values()) {
      const { order } = tab
      if (order === null) continue
      const { assignmentId, modelId, span, kvPositions } = order
      Object.assign(tab, { order: null, served: { modelId, span } })
      if (!holds(tab.loaded, order)) tab.loaded = tab.served
      this.#feed({ kind: 'message', peerId: tab.peerId, message: { type: 'serving', assignmentId, span, kvPositions } }, this.costs.serving)
    }
  }

  #feed(event: CoreEvent, cost: Cost): void {
    const startMs = this.#options.clockMs()
    const effects = this.#core.handle(event, this.#nowMs)
    const ms = this.#options.clockMs() - startMs
    cost.count++
    cost.ms += ms
    cost.mostMs = Math.max(cost.mostMs, ms)
    for (const effect of effects) {
      if (effect.kind !== 'send') continue
      const { peerId, message } = effect
      const tab = this.#tabs.get(peerId)
      if (message.type === 'ping') this.#pings.push({ peerId, sequence: message.sequence })
      else if (message.type === 'assign' && tab !== undefined) this.#assign(tab, message)
      else if (message.type === 'release' && tab !== undefined) Object.assign(tab, { order: null, served: null })
    }
  }

  #assign(tab: Tab, order: Assignment): void {
    tab.order = order
    if (holds(tab.loaded, order)) return
    if (tab.loaded !== null) this.moves++
    Object.assign(tab, { loaded: null, served: null })
  }
}

function newCost(): Cost {
  return { count: 0, ms: 0, mostMs: 0 }
}

function holds(held: Held | null, { modelId, span }: Held): boolean {
  return held?.modelId === modelId && held.span.firstLayer <= span.firstLayer && span.endLayer <= held.span.endLayer
}

function overlap(a: Span, b: Span): boolean {
  return a.firstLayer < b.endLayer && b.firstLayer < a.endLayer
}
