/** [V26] Who has room for layers beside what it serves, when somebody is to load them for an audit. */

import { describe, expect, it } from 'vitest'
import type { ModelId } from '../../../src/shared/index.ts'
import { COSTS, MODEL, peerId, spanMemory, WHOLE_BYTES, World } from './world.ts'

const FIRST = { firstLayer: 0, endLayer: 7 }
const SECOND = { firstLayer: 7, endLayer: 12 }
const POSITIONS = 64

/** 1 and 2 serve a part each and have room for no more; 3 serves what 2 does, with `bytes` beside. */
function threeTabs(bytes: number): World {
  const world = new World()
  world.pledge(1, Math.ceil(spanMemory(COSTS, FIRST, 1_024)))
  world.pledge(2, Math.ceil(spanMemory(COSTS, SECOND, 1_024)))
  world.serveAll()
  world.pledge(3, Math.ceil(spanMemory(COSTS, SECOND, 1_024)) + bytes)
  world.serveAll()
  return world
}

const sparesOf = (world: World, span = FIRST, positions = POSITIONS) => world.core.spares(MODEL.modelId, span, positions, world.nowMs)

describe('[V26] spares', () => {
  it('are those whose pledge leaves room for the layers with their KV, to the byte', () => {
    const needed = Math.ceil(spanMemory(COSTS, FIRST, POSITIONS))
    const world = threeTabs(needed)
    expect(world.spans()).toEqual({ 1: [0, 7], 2: [7, 12], 3: [7, 12] })
    expect(sparesOf(world).map(({ peerId: id }) => id)).toEqual([peerId(3)])
    expect(sparesOf(world)[0]?.memoryBytes).toBeGreaterThanOrEqual(needed - 1)
    expect(sparesOf(world, FIRST, 2 * POSITIONS)).toEqual([])
    expect(sparesOf(threeTabs(needed - 2))).toEqual([])
    expect(world.core.spares('other' as ModelId, FIRST, POSITIONS, world.nowMs)).toEqual([])
  })

  it('serve what they were told to, and other layers: who still loads, drains or is away is none', () => {
    const world = threeTabs(WHOLE_BYTES)
    const ids = () => sparesOf(world).map(({ peerId: id }) => id)
    world.pledge(4, 2 * WHOLE_BYTES)
    expect(world.tab(4).order).not.toBeNull()
    expect(ids()).toEqual([peerId(3)])
    world.drain(3)
    expect(ids()).toEqual([])
    world.pledge(3, 2 * WHOLE_BYTES)
    expect(ids()).toEqual([])
    const silent = threeTabs(WHOLE_BYTES)
    silent.wait(5_000)
    expect(sparesOf(silent)).toHaveLength(1)
    silent.wait(60_000, [3])
    expect(sparesOf(silent)).toEqual([])
  })

  it('[V28] who serves the layers audits only while it may be chosen for sessions', () => {
    const world = threeTabs(Math.ceil(spanMemory(COSTS, FIRST, POSITIONS)))
    const serving = () => world.core.serving(MODEL.modelId, SECOND, world.nowMs)
    expect(serving()).toEqual([peerId(2), peerId(3)])
    world.drain(3)
    expect(serving()).toEqual([peerId(2)])
    world.wait(60_000, [2])
    expect(serving()).toEqual([])
  })

  it('may hold nothing at all: too small for a place in the plan, large enough for an audit', () => {
    const world = threeTabs(0)
    const tiny = { firstLayer: 3, endLayer: 4 }
    world.pledge(4, Math.ceil(spanMemory(COSTS, tiny, POSITIONS)))
    world.serveAll()
    expect(Object.keys(world.spans())).toEqual(['1', '2', '3'])
    expect(sparesOf(world, tiny).map(({ peerId: id }) => id)).toContain(peerId(4))
  })
})
