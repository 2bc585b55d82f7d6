/**
 * Plan: which peer should hold which layers, over all models. Kept from event to event and changed as little as possible:
 * what is whole stays, holes are repaired, chains with too few stages are spread over spares, and spares that can make up a
 * whole chain become one. What peers really serve is in their records; the core turns the difference into orders.
 */

import type { Manifest, Span } from '../../model/index.ts'
import { type ManifestHash, type ModelId, type PeerId, required } from '../../shared/index.ts'
import { type ModelCosts, spanFits } from './costs.ts'
import { GROWTH_GRACE_MS } from './limits.ts'
import { capacityOf, isPlaceable, type PeerRecord } from './peers.ts'
import { type Capacity, type PlacedStage, placeChain } from './placement.ts'
import { holesOf, repair, splitLargest } from './repair.ts'

export interface SwarmModel {
  readonly modelId: ModelId
  readonly manifestHash: ManifestHash
  readonly name: Manifest['name']
  /** Of the weights in the file. */
  readonly weightBytes: number
  readonly costs: ModelCosts
}

export interface PlannedChain {
  /** In order of layers. */
  stages: PlacedStage[]
  /** When it lost a stage, until it is whole again. */
  brokenSinceMs: number | null
}

interface Swarm {
  readonly model: SwarmModel
  chains: PlannedChain[]
}

export class Plan {
  readonly #swarms: readonly Swarm[]
  readonly #stagesMin: number
  /** Where each peer stands; made anew by each update. */
  #places = new Map<PeerId, { readonly model: SwarmModel; readonly span: Span }>()

  constructor(models: readonly SwarmModel[], stagesMin: number) {
    this.#swarms = models.map((model) => ({ model, chains: [] }))
    this.#stagesMin = stagesMin
  }

  /** The layers that a peer should hold; null for a spare. */
  placeOf(peerId: PeerId): { readonly model: SwarmModel; readonly span: Span } | null {
    return this.#places.get(peerId) ?? null
  }

  chainsOf(modelId: ModelId): readonly PlannedChain[] {
    return this.#swarms.find((swarm) => swarm.model.modelId === modelId)?.chains ?? []
  }

  /** Follows what became of the peers. `left`: who went deliberately, and is not waited for. */
  update(peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number, left: PeerId | null = null): void {
    for (const swarm of this.#swarms) this.#dropLost(swarm, peers, nowMs, left)
    for (const swarm of this.#swarms) for (const chain of swarm.chains) this.#repair(swarm, chain, peers, nowMs)
    for (const swarm of this.#swarms) this.#placeAnew(swarm, peers, nowMs)
    for (const swarm of this.#swarms) for (const chain of swarm.chains) this.#spread(swarm, chain, peers, nowMs)
    this.#placeSpares(peers, nowMs)
  }

  #dropLost(swarm: Swarm, peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number, left: PeerId | null): void {
    for (const chain of swarm.chains) {
      const kept = chain.stages.filter(({ peerId, span }) => {
        const peer = peers.get(peerId)
        return peer !== undefined && isPlaceable(peer, nowMs) && spanFits(swarm.model.costs, span, peer)
      })
      if (kept.length === chain.stages.length) continue
      const deliberate = chain.stages.some((stage) => stage.peerId === left)
      chain.brokenSinceMs = deliberate ? nowMs - GROWTH_GRACE_MS : (chain.brokenSinceMs ?? nowMs)
      chain.stages = kept
    }
    swarm.chains = swarm.chains.filter((chain) => chain.stages.length > 0)
    this.#index()
  }

  #repair(swarm: Swarm, chain: PlannedChain, peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number): void {
    const { modelId, costs } = swarm.model
    if (holesOf(costs.layerCount, chain.stages).length === 0) return
    const stages = repair({
      costs,
      stages: chain.stages,
      spares: this.#spares(peers, nowMs),
      capacity: (peerId) => capacityOf(required(peers.get(peerId), `peer ${peerId}`)),
      loaded(peerId) {
        const loaded = peers.get(peerId)?.loaded
        return loaded?.modelId === modelId ? loaded.span : null
      },
      mayGrow: nowMs - (chain.brokenSinceMs ?? 0) >= GROWTH_GRACE_MS,
    })
    if (stages === null) return
    chain.stages = stages
    chain.brokenSinceMs = null
    this.#index()
  }

  /** Chains that cannot be repaired serve nobody: their members and the spares make a new one, if they can. */
  #placeAnew(swarm: Swarm, peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number): void {
    const { costs } = swarm.model
    const broken = swarm.chains.filter((chain) => holesOf(costs.layerCount, chain.stages).length > 0)
    const waited = broken.filter(({ brokenSinceMs }) => nowMs - (brokenSinceMs ?? 0) >= GROWTH_GRACE_MS)
    if (waited.length === 0) return
    const members = waited.flatMap(({ stages }) => stages.map(({ peerId }) => capacityOf(required(peers.get(peerId), `peer ${peerId}`))))
    const all = [...members, ...this.#spares(peers, nowMs)]
    const stages = this.#firstChain(costs, all)
    if (stages === null) return
    swarm.chains = [...swarm.chains.filter((chain) => !waited.includes(chain)), { stages, brokenSinceMs: null }]
    this.#index()
  }

  #spread(swarm: Swarm, chain: PlannedChain, peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number): void {
    const { costs } = swarm.model
    if (holesOf(costs.layerCount, chain.stages).length > 0) return
    while (chain.stages.length < Math.min(this.#stagesMin, costs.layerCount)) {
      const capacity = (peerId: PeerId) => capacityOf(required(peers.get(peerId), `peer ${peerId}`))
      const stages = splitLargest(costs, chain.stages, capacity, this.#spares(peers, nowMs))
      if (stages === null) return
      chain.stages = stages
      this.#index()
    }
  }

  /** Models with the fewest chains first. A further chain of a model has no fewer stages than asked for. */
  #placeSpares(peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number): void {
    for (const swarm of [...this.#swarms].sort((a, b) => a.chains.length - b.chains.length)) {
      for (;;) {
        const spares = this.#spares(peers, nowMs)
        const { costs } = swarm.model
        const wanted = Math.min(this.#stagesMin, costs.layerCount)
        const stages = swarm.chains.length > 0 ? placeChain(costs, spares, wanted) : this.#firstChain(costs, spares)
        if (stages === null) break
        swarm.chains.push({ stages, brokenSinceMs: null })
        this.#index()
      }
    }
  }

  /** With too few stages rather than none: what is too small to share the model must not keep it from those that are not. */
  #firstChain(costs: ModelCosts, peers: readonly Capacity[]): PlacedStage[] | null {
    return placeChain(costs, peers, Math.min(this.#stagesMin, costs.layerCount)) ?? placeChain(costs, peers, 1)
  }

  #spares(peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number): Capacity[] {
    return [...peers.values()].filter((peer) => isPlaceable(peer, nowMs) && !this.#places.has(peer.peerId)).map(capacityOf)
  }

  #index(): void {
    this.#places = new Map()
    for (const { model, chains } of this.#swarms)
      for (const { stages } of chains) for (const { peerId, span } of stages) this.#places.set(peerId, { model, span })
  }
}
