/** What the coordinator believes of speeds, distances and demand, out of what is measured. */

import { describe, expect, it } from 'vitest'
import { Demand } from '../../../src/coordinator/core/demand.ts'
import { newPeer } from '../../../src/coordinator/core/peers.ts'
import { RoundTrips } from '../../../src/coordinator/core/roundTrips.ts'
import { Speeds } from '../../../src/coordinator/core/speeds.ts'
import type { ModelId, PeerId } from '../../../src/shared/index.ts'
import { MODEL, peerId, WHOLE_BYTES, World } from './world.ts'

/** Two tabs that hold the whole model, probed alike. */
function twoWhole(): World {
  const world = new World({ stagesMin: 1 })
  for (const index of [1, 2]) world.pledge(index)
  world.serveAll()
  expect(world.spans()).toEqual({ 1: [0, 12], 2: [0, 12] })
  return world
}

function orderOf(world: World, index: number): number {
  const order = world.assignments.findLast((one) => one.peerId === peerId(index))
  return order?.assignment.assignmentId ?? -1
}

/** Passes over all 12 layers and the head, 14 times 100 multiply-accumulates, as if the tab were `macsPerSecond` fast. */
function report(world: World, index: number, macsPerSecond: number, times: number, assignmentId = orderOf(world, index)): void {
  for (let time = 0; time < times; time++)
    world.say(index, { type: 'measured', assignmentId, passes: { count: 10, layers: 120, heads: 10, ms: 14e6 / macsPerSecond }, links: [] })
}

/** Of six sessions at a time, how many go to the first tab. */
function shareOfFirst(world: World): number {
  const grants = [11, 12, 13, 14, 15, 16].map((driver) => world.admit(driver, 1, 0))
  let first = 0
  for (const grant of grants) {
    if (!('stages' in grant)) throw new Error(grant.message)
    if (grant.stages[0]?.peerId === peerId(1)) first++
    world.end(grant)
  }
  return first
}

describe('speeds', () => {
  it('[C16] follow what passes took: sessions go where they are computed faster', () => {
    const world = twoWhole()
    expect(shareOfFirst(world)).toBe(3)
    report(world, 1, 2_000, 5)
    report(world, 2, 1_000, 5)
    expect(shareOfFirst(world)).toBe(4)
    report(world, 1, 200, 9)
    expect(shareOfFirst(world)).toBe(1)
  })

  it('are not changed by one report, nor by few that are far off', () => {
    const world = twoWhole()
    report(world, 1, 50, 2)
    expect(shareOfFirst(world)).toBe(3)
    report(world, 1, 1_000, 5)
    report(world, 1, 10, 2)
    expect(shareOfFirst(world)).toBe(3)
  })

  it('are believed only as far as the probe makes plausible', () => {
    const world = twoWhole()
    report(world, 1, 1e15, 9)
    // Four times as fast at most: five of six, not all.
    expect(shareOfFirst(world)).toBe(5)
  })

  it('are raised to what most equal adapters were probed at, and not changed by one that claims more or less', () => {
    const pledge = { type: 'pledge', engine: 'webgpu', adapter: 'GPU', numericClass: 'c', kernelVersion: 'k1', memoryBytes: 1 } as const
    const levelled = (...speeds: number[]) => {
      const peers = speeds.map((macsPerSecond, index) =>
        Object.assign(newPeer(peerId(index), 'here', 0), { pledge: { ...pledge, macsPerSecond } }),
      )
      const known = new Speeds(new Map(peers.map((peer) => [peer.peerId, peer])))
      for (const peer of peers) known.join(peer, peer.pledge, 0)
      return peers.map(({ macsPerSecond }) => macsPerSecond)
    }
    expect(levelled(100, 40, 100)).toEqual([100, 100, 100])
    expect(levelled(100, 1e15)).toEqual([100, 1e15])
    expect(levelled(100, 1)).toEqual([100, 1])
    expect(levelled(100, 90, 1e15, 1e15)).toEqual([100, 100, 1e15, 1e15])
  })

  it('are reckoned without who has left, though its socket stays', () => {
    const world = new World({ stagesMin: 1 })
    const alike = {
      type: 'pledge',
      engine: 'webgpu',
      adapter: 'GPU',
      numericClass: 'c',
      kernelVersion: 'k1',
      memoryBytes: WHOLE_BYTES,
    } as const
    for (const [index, macsPerSecond] of [100, 1_000, 1_000].entries()) {
      world.pledge(index + 1)
      world.say(index + 1, { ...alike, macsPerSecond })
    }
    world.serveAll()
    expect(shareOfFirst(world)).toBe(2)
    world.say(3, { type: 'leave' })
    // Of two, no more than one was probed faster: the first counts as it was probed.
    expect(shareOfFirst(world)).toBe(0)
  })

  it('[C16] say nothing under an order that does not stand any more, and are forgotten with the pledge', () => {
    const world = twoWhole()
    report(world, 1, 100, 9, orderOf(world, 1) + 100)
    expect(shareOfFirst(world)).toBe(3)
    report(world, 1, 100, 9)
    expect(shareOfFirst(world)).toBe(0)
    world.pledge(1)
    world.serveAll()
    expect(shareOfFirst(world)).toBe(3)
  })
})

/** A pass over the whole model as both tabs were probed and tell it, and the way there and back, which nobody has measured. */
const PASS_MS = 1_400
const WAY_MS = 40

describe('laps', () => {
  /** A session of that origin's, whose driver sees laps of so many milliseconds. Goes to the first tab while that counts as no slower. */
  function see(world: World, origin: string, medianMs: number, count = 20): PeerId | undefined {
    const driver = 20 + world.tabs.size
    world.connect(driver, origin)
    const grant = world.admit(driver, 1, 0)
    if (!('stages' in grant)) throw new Error(grant.message)
    world.end(grant, null, { count, medianMs })
    return grant.stages[0]?.peerId
  }
  const origins = ['a', 'b', 'c']

  function twoTelling(): World {
    const world = twoWhole()
    for (const index of [1, 2]) report(world, index, 1_000, 3)
    return world
  }

  it('[C31] that three origins saw make a stage count as slow as they were, once more as often as it said to be faster', () => {
    const world = twoTelling()
    for (const origin of origins) expect(see(world, origin, 3 * PASS_MS + WAY_MS)).toBe(peerId(1))
    expect(see(world, 'd', PASS_MS)).toBe(peerId(2))
    // About nine times as slow as the second: it is worth none of six sessions.
    expect(shareOfFirst(world)).toBe(0)
  })

  it('[C31] that links, passes and what else was computed explain say nothing', () => {
    const world = twoTelling()
    for (const origin of origins) see(world, origin, 1.2 * PASS_MS + WAY_MS)
    expect(shareOfFirst(world)).toBe(3)
    // Two sessions at each: a row waits for the other's pass.
    const grants = [71, 72, 73, 74].map((driver) => {
      world.connect(driver, `origin ${driver}`)
      return world.admit(driver, 1, 0)
    })
    for (const grant of grants) if ('stages' in grant) world.end(grant, null, { count: 20, medianMs: 2 * PASS_MS + WAY_MS })
    expect(shareOfFirst(world)).toBe(3)
  })

  it('[C31] of one origin are one word, of two not enough, and of one lap none', () => {
    const world = twoTelling()
    for (let time = 0; time < 20; time++) see(world, 'a', 9 * PASS_MS)
    see(world, 'b', 9 * PASS_MS)
    see(world, 'c', 9 * PASS_MS, 1)
    expect(shareOfFirst(world)).toBe(3)
    expect(see(world, 'c', 9 * PASS_MS)).toBe(peerId(1))
    expect(shareOfFirst(world)).toBe(0)
  })

  it('[C31] may be four times as long as a probe says, until passes are told', () => {
    const world = twoWhole()
    for (const origin of origins) see(world, origin, 4 * PASS_MS + WAY_MS)
    expect(shareOfFirst(world)).toBe(3)
    for (const origin of origins) see(world, origin, 8 * PASS_MS + WAY_MS)
    // Twice as slow as that, and counts as a quarter as fast as the other.
    expect(shareOfFirst(world)).toBe(1)
  })

  it('[C31] count of sessions that are open and the sender’s own', () => {
    const world = twoTelling()
    const grant = world.admit(20, 1, 0)
    if (!('stages' in grant)) throw new Error(grant.message)
    const { sessionId } = grant
    for (const index of [21, 22, 23]) {
      world.connect(index, `origin ${index}`)
      const laps = { count: 20, medianMs: 9 * PASS_MS }
      world.say(index, { type: 'ended', sessionId, outcome: 'finished', failedPeerId: null, laps })
    }
    world.end(grant)
    expect(shareOfFirst(world)).toBe(3)
  })
})

describe('round trips', () => {
  it('[C17] decide whom a requester gets, and the larger of two reports counts', () => {
    const world = twoWhole()
    world.connect(20)
    const tell = (from: number, to: number, rttMs: number) =>
      world.say(from, {
        type: 'measured',
        assignmentId: null,
        passes: { count: 0, layers: 0, heads: 0, ms: 0 },
        links: [{ peerId: peerId(to), rttMs }],
      })
    const first = () => {
      const grant = world.admit(20, 1, 0)
      if (!('stages' in grant)) throw new Error(grant.message)
      world.end(grant)
      return grant.stages[0]?.peerId
    }
    // Whom no chain has joined with anybody is not believed.
    tell(20, 1, 1)
    tell(20, 2, 900)
    const both = [world.admit(20, 1, 0), world.admit(20, 1, 0)]
    expect(new Set(both.map((grant) => ('stages' in grant ? grant.stages[0]?.peerId : null)))).toEqual(new Set([peerId(1), peerId(2)]))
    for (const grant of both) if ('stages' in grant) world.end(grant)
    tell(20, 1, 300)
    tell(20, 2, 20)
    expect(first()).toBe(peerId(2))
    tell(1, 20, 1)
    expect(first()).toBe(peerId(2))
    tell(2, 20, 900)
    expect(first()).toBe(peerId(1))
  })

  /** Eight on each side of an ocean; each measures some of the others, in turn. */
  function ocean(): { trips: RoundTrips; peers: PeerId[]; real: (a: number, b: number) => number } {
    const trips = new RoundTrips()
    const peers = Array.from({ length: 16 }, (_, index) => ((index * 0x9e3779b1) >>> 0).toString(16).padStart(32, '0') as PeerId)
    const real = (a: number, b: number) => (a % 2 === b % 2 ? 10 : 100)
    for (let round = 0; round < 40; round++)
      for (let a = 0; a < 16; a++) {
        const b = (a + 1 + ((round * 3) % 5)) % 16
        trips.meet(peers[a] as PeerId, peers[b] as PeerId)
        trips.report(peers[a] as PeerId, peers[b] as PeerId, real(a, b))
      }
    trips.regroup()
    return { trips, peers, real }
  }

  it('of pairs that never measured each other follow from the others', () => {
    const { trips, peers, real } = ocean()
    for (const [a, b] of [
      [0, 8],
      [3, 11],
      [0, 9],
      [2, 11],
    ] as const)
      expect(Math.abs(trips.between(peers[a] as PeerId, peers[b] as PeerId) - real(a, b))).toBeLessThan(25)
  })

  it('divide peers into regions, which keep their numbers', () => {
    const { trips, peers } = ocean()
    const regions = () => peers.map((peer) => trips.regionOf(peer))
    const found = regions()
    expect(new Set(found).size).toBe(2)
    for (const [index, region] of found.entries()) expect(region).toBe(found[index % 2])
    trips.forget(peers[0] as PeerId)
    trips.regroup()
    expect(regions().slice(1)).toEqual(found.slice(1))
  })

  it('[C17] are not moved by what one peer says of the others', () => {
    const { trips, peers, real } = ocean()
    const liar = peerId(99)
    for (const peer of peers) trips.meet(liar, peer)
    for (let round = 0; round < 200; round++) for (const peer of peers) trips.report(liar, peer, 60_000)
    for (const [a, b] of [
      [0, 8],
      [3, 11],
      [0, 9],
    ] as const)
      expect(Math.abs(trips.between(peers[a] as PeerId, peers[b] as PeerId) - real(a, b))).toBeLessThan(25)
  })

  it('of strangers are assumed', () => {
    const trips = new RoundTrips()
    expect(trips.between(peerId(1), peerId(2))).toBe(40)
    trips.report(peerId(1), peerId(2), 5)
    expect(trips.between(peerId(2), peerId(1))).toBe(40)
    trips.meet(peerId(2), peerId(1))
    trips.report(peerId(1), peerId(2), 5)
    expect(trips.between(peerId(2), peerId(1))).toBe(5)
    expect(trips.between(peerId(1), peerId(1))).toBe(0)
    trips.forget(peerId(2))
    expect(trips.between(peerId(2), peerId(1))).toBe(40)
  })
})

describe('demand', () => {
  const model = MODEL.modelId

  it('is what is open, or was a moment ago, and who was refused', () => {
    const demand = new Demand()
    expect(demand.of(model, 0, 0).most).toBe(1)
    expect(demand.of(model, 8, 0).most).toBe(9)
    expect(demand.of(model, 0, 300_000).most).toBeCloseTo(5, 6)
    demand.refused('other' as ModelId, 300_000)
    demand.refused('other' as ModelId, 300_000)
    expect(demand.of('other' as ModelId, 0, 300_000).most).toBe(3)
    expect(demand.of('other' as ModelId, 0, 310_000).most).toBeCloseTo(2, 6)
  })

  it('brings tabs to the model that is asked for in vain', () => {
    const wanted = { ...MODEL, modelId: 'wanted' as ModelId }
    const world = new World({ models: [MODEL, wanted], stagesMin: 1 })
    for (let index = 1; index <= 6; index++) world.pledge(index)
    world.serveAll()
    const tabsOf = (modelId: ModelId) =>
      world.core.summary(world.nowMs).swarms.find((swarm) => swarm.modelId === modelId)?.volunteers.length
    expect([tabsOf(MODEL.modelId), tabsOf(wanted.modelId)]).toEqual([3, 3])
    // Room for 1,024 positions at each tab: from the seventh on they are refused, and ask again.
    for (let round = 0; round < 30; round++) {
      for (let driver = 20; driver < 32; driver++) {
        world.tab(driver)
        world.say(driver, { type: 'admit', requestId: `${round}`, modelId: wanted.modelId, promptTokens: 500, maxTokens: 12 })
      }
      world.wait(4_000)
      world.serveAll()
    }
    expect(tabsOf(wanted.modelId)).toBeGreaterThanOrEqual(4)
    expect(tabsOf(MODEL.modelId)).toBeGreaterThanOrEqual(1)
    expect(world.admit(40)).toHaveProperty('stages')
  })
})
