/** The coordinator's plan for a scenario: peers come one by one and load, demand changes, until nobody moves any more. */

import { newPeer, type PeerRecord } from '../../src/coordinator/core/peers.ts'
import { Plan } from '../../src/coordinator/core/plan.ts'
import { type ModelId, type PeerId, required } from '../../src/shared/index.ts'
import type { Held } from '../../src/sim/bound.ts'
import type { Scenario } from '../../src/sim/scenario.ts'

export interface Placed {
  readonly held: readonly Held[]
  /** Peers that were told to load other layers after all had come. */
  readonly moves: number
}

/** Between two looks of the coordinator; loads are done by then. */
const STEP_MS = 10_000
/** A plan that still moves peers then never settles. */
const STEPS_MAX = 10_000

export function placeScenario({ models, groups }: Scenario): Placed {
  const plan = new Plan(
    models.map(({ swarm }) => swarm),
    1,
  )
  const peers = new Map<PeerId, PeerRecord>()
  const groupOf = new Map<PeerId, number>()
  let nowMs = 0
  let sessions = new Map(models.map(({ swarm, sessions: open }) => [swarm.modelId, open]))
  const regions = [...new Set(groups.map(({ region }) => region))]
  const demand = (modelId: ModelId) => {
    const wanted = 1 + (sessions.get(modelId) ?? 0)
    return { most: wanted, lasting: wanted, inVain: 0 }
  }
  const update = () => {
    nowMs += STEP_MS
    plan.update({ peers, nowMs, demand })
    return serve(plan, peers)
  }
  for (const group of comingOrder(groups.map(({ count }) => count))) {
    const { macsPerSecond, memoryBytes, region } = required(groups[group], `group ${group}`)
    const peerId = peers.size.toString(16).padStart(32, '0') as PeerId
    groupOf.set(peerId, group)
    peers.set(peerId, {
      ...newPeer(peerId, peerId, nowMs),
      pledge: pledgeOf(macsPerSecond, memoryBytes),
      macsPerSecond,
      memoryBytes,
      region: regions.indexOf(region),
    })
    update()
  }
  let moves = settle(update)
  sessions = new Map(models.map(({ swarm, sessionsLater }) => [swarm.modelId, sessionsLater]))
  moves += settle(update)
  const held = [...peers.keys()].flatMap((peerId) => {
    const place = plan.placeOf(peerId)
    const model = models.findIndex(({ swarm }) => swarm === place?.model)
    return place === null ? [] : [{ group: groupOf.get(peerId) ?? 0, model, span: place.span, peers: 1 }]
  })
  return { held: gathered(held), moves }
}

/** Groups in the order in which their peers come: evenly mixed. */
function comingOrder(counts: readonly number[]): number[] {
  const all = counts.flatMap((count, group) => Array.from({ length: count }, (_, index) => ({ group, at: (index + 0.5) / count })))
  return all.sort((a, b) => a.at - b.at).map(({ group }) => group)
}

function pledgeOf(macsPerSecond: number, memoryBytes: number): NonNullable<PeerRecord['pledge']> {
  return { type: 'pledge', memoryBytes, engine: 'webgpu', adapter: '', numericClass: '', kernelVersion: '', macsPerSecond }
}

/** Everybody serves what it should hold; says how many had to load for it. */
function serve(plan: Plan, peers: ReadonlyMap<PeerId, PeerRecord>): number {
  let loads = 0
  for (const peer of peers.values()) {
    const place = plan.placeOf(peer.peerId)
    const served = place === null ? null : { modelId: place.model.modelId, span: place.span, kvPositions: 0 }
    if (JSON.stringify(served) === JSON.stringify(peer.served)) continue
    loads++
    peer.served = served
    peer.loaded = served
  }
  return loads
}

function settle(update: () => number): number {
  let [moves, quiet] = [0, 0]
  for (let step = 0; step < STEPS_MAX; step++) {
    const loads = update()
    moves += loads
    quiet = loads === 0 ? quiet + 1 : 0
    if (quiet === 3) return moves
  }
  throw new Error(`peers still move after ${STEPS_MAX} looks`)
}

function gathered(held: readonly Held[]): Held[] {
  const same = new Map<string, Held>()
  for (const one of held) {
    const key = JSON.stringify([one.group, one.model, one.span])
    same.set(key, { ...one, peers: one.peers + (same.get(key)?.peers ?? 0) })
  }
  return [...same.values()]
}
