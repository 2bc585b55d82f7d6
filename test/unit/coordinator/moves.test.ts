/** When peers are told to load other layers: for a demand that lasts, not for chats that come and go, nor because somebody was away. */

import { describe, expect, it } from 'vitest'
import { Demand } from '../../../src/coordinator/core/demand.ts'
import type { Grant } from '../../../src/protocol/index.ts'
import { type ManifestHash, type ModelId, required } from '../../../src/shared/index.ts'
import { MODEL, peerId, World } from './world.ts'

const OTHER = { ...MODEL, modelId: 'other' as ModelId, manifestHash: 'b'.repeat(64) as ManifestHash, name: 'Other' }

/** Two models over so many tabs, each of which holds half of one, after all loads. */
function settled(tabs: number): World {
  const world = new World({ stagesMin: 2, models: [MODEL, OTHER] })
  for (let index = 1; index <= tabs; index++) {
    world.pledge(index)
    world.serveAll()
  }
  pass(world, 600)
  return world
}

function pass(world: World, seconds: number): void {
  for (let second = 0; second < seconds; second += 2) {
    world.wait(2_000)
    world.serveAll()
  }
}

function tabsOf(world: World, modelId: ModelId): number {
  return required(
    world.core.summary(world.nowMs).swarms.find((swarm) => swarm.modelId === modelId),
    modelId,
  ).volunteers.length
}

let requests = 0

/** So many sessions at a time, each of a requester of its own. */
function open(world: World, modelId: ModelId, sessions: number): Grant[] {
  const known = new Set(world.grants.keys())
  for (let index = 0; index < sessions; index++) {
    world.tab(900 + index)
    world.say(900 + index, { type: 'admit', requestId: `${requests++}`, modelId, promptTokens: 10, maxTokens: 20 })
  }
  const grants = [...world.grants.values()].filter(({ sessionId }) => !known.has(sessionId))
  expect(grants).toHaveLength(sessions)
  return grants
}

describe('moves', () => {
  it.each([
    { tabs: 12, everySeconds: 300 },
    { tabs: 12, everySeconds: 30 },
    { tabs: 40, everySeconds: 60 },
  ])('nobody for a chat every $everySeconds s of one of two models in turn, among $tabs tabs', ({ tabs, everySeconds }) => {
    const world = settled(tabs)
    const orders = world.assignments.length
    for (let seconds = 0; seconds < 3_600; seconds += everySeconds) {
      const grants = open(world, (seconds / everySeconds) % 2 === 0 ? MODEL.modelId : OTHER.modelId, 1)
      pass(world, 20)
      for (const grant of grants) world.end(grant)
      pass(world, everySeconds - 20)
    }
    expect(world.assignments.length - orders).toBe(0)
  })

  it('tabs within minutes to where many ask and go on asking, and not back while that may come again', () => {
    const world = settled(12)
    expect(tabsOf(world, OTHER.modelId)).toBe(6)
    const grants = open(world, OTHER.modelId, 24)
    pass(world, 240)
    expect(tabsOf(world, OTHER.modelId)).toBeGreaterThanOrEqual(9)
    // Whoever asks for the one that was left finds it served.
    expect(open(world, MODEL.modelId, 1)).toHaveLength(1)
    const orders = world.assignments.length
    for (const grant of grants) world.end(grant)
    pass(world, 300)
    expect(world.assignments.length - orders).toBe(0)
    // Once it is forgotten, so many that no tab of the other model is the only one of its half.
    pass(world, 900)
    expect(world.assignments.length - orders).toBeLessThanOrEqual(4)
  })

  it('few tabs for crowds that come in turns and are gone before anybody could have loaded', () => {
    const world = settled(12)
    const orders = world.assignments.length
    for (let turn = 0; turn < 12; turn++) {
      const grants = open(world, turn % 2 === 0 ? MODEL.modelId : OTHER.modelId, 24)
      pass(world, 20)
      for (const grant of grants) world.end(grant)
      pass(world, 280)
    }
    expect(world.assignments.length - orders).toBeLessThanOrEqual(4)
  })

  it('nobody who comes back: what it held is what it is told to hold', () => {
    const world = settled(30)
    const held = (index: number) => {
      const { modelId, span } = required(
        world.assignments.findLast((order) => order.peerId === peerId(index)),
        `an order to tab ${index}`,
      ).assignment
      return { modelId, span }
    }
    const gone = [3, 7, 8, 11, 15, 20, 23, 30]
    const before = gone.map(held)
    for (const index of gone) world.disconnect(index)
    pass(world, 60)
    for (const index of gone.toReversed()) world.pledge(index)
    world.serveAll()
    pass(world, 60)
    expect(gone.map(held)).toEqual(before)
  })
})

describe('demand', () => {
  it('lasts as far as it was there for minutes, and is never more than there may be', () => {
    const demand = new Demand()
    const { modelId } = MODEL
    const at = (nowMs: number, open: number) => demand.of(modelId, open, nowMs)
    const wait = (fromMs: number, toMs: number, open: number) => {
      for (let nowMs = fromMs; nowMs < toMs; nowMs += 1_000) at(nowMs, open)
      return at(toMs, open)
    }
    expect(at(0, 40)).toEqual({ most: 41, lasting: 1, inVain: 0 })
    // Of a chat of 20 s hardly anything is believed, of one of four minutes nearly all.
    expect(wait(0, 20_000, 40).lasting).toBeCloseTo(1 + 40 * (1 - 2 ** (-1 / 3)), 6)
    expect(wait(20_000, 240_000, 40)).toMatchObject({ most: 41, lasting: expect.closeTo(1 + 40 * (15 / 16), 6) })
    expect(wait(240_000, 300_000, 0)).toMatchObject({
      most: expect.closeTo(1 + 40 * 2 ** (-1 / 5), 6),
      lasting: expect.closeTo(1 + 20 * (15 / 16), 6),
    })
    for (let nowMs = 300_000; nowMs < 900_000; nowMs += 7_000) {
      const { most, lasting } = at(nowMs, Math.round(nowMs / 7_000) % 5)
      expect(lasting).toBeLessThanOrEqual(most)
      expect(lasting).toBeGreaterThanOrEqual(1)
    }
  })

  it('is in vain where refusals go on, however fast the tabs are', () => {
    const demand = new Demand()
    const { modelId } = MODEL
    for (let nowMs = 0; nowMs < 120_000; nowMs += 1_000) {
      if (nowMs % 4_000 === 0) demand.refused(modelId, nowMs)
      demand.of(modelId, 6, nowMs)
    }
    const { inVain } = demand.of(modelId, 6, 120_000)
    expect(inVain).toBeGreaterThan(0.3)
    expect(demand.of('other' as ModelId, 6, 120_000).inVain).toBe(0)
    expect(demand.of(modelId, 0, 720_000).inVain).toBe(0)
  })
})
