/** Loads that take long, by a slow line or by a lie: they keep nobody from being served by tabs that could hold the model. */

import { describe, expect, it } from 'vitest'
import { required } from '../../../src/shared/index.ts'
import { COSTS, spanMemory, WHOLE_BYTES, World } from './world.ts'

/** Of the model's memory; two tabs with so much hold it together. */
const MOST_BYTES = Math.ceil(0.62 * WHOLE_BYTES)
const LOADER = 9
const REQUESTER = 50

function stateOf(world: World): string | undefined {
  return world.core.summary(world.nowMs).swarms[0]?.state
}

/** Everybody but the loader carries out orders at once, and the loader says how far it has come; `seconds` pass, or fewer until `isDone`. */
function pass(world: World, seconds: number, progressAt: (second: number) => number | null, isDone = () => false): number {
  for (let second = 5; second <= seconds; second += 5) {
    world.wait(5_000)
    for (const index of [1, 2, 3]) world.serve(index)
    const { order } = world.tab(LOADER)
    const progress = progressAt(second)
    if (order !== null && progress !== null)
      world.say(LOADER, { type: 'progress', assignmentId: order.assignmentId, bytesLoaded: progress * 1e9, bytesTotal: 1e9 })
    if (isDone()) return second
  }
  return seconds
}

const halfAnHour = (second: number) => second / 1_800
const trickle = (second: number) => (second % 100 === 0 ? second * 1e-9 : null)
const silence = () => null

/** Tabs 1 and 3 hold [7, 12), tab 2 the rest; all serve. */
function readyWorld(): World {
  const world = new World()
  for (const index of [1, 2, 3]) {
    world.pledge(index, MOST_BYTES)
    world.serveAll()
  }
  world.wait(30_000)
  world.serveAll()
  return world
}

describe('[C32] a load that takes long', () => {
  it.each([
    { what: 'an honest one on a GPU 4 times as fast', bytes: WHOLE_BYTES, speed: 4_000, progressAt: halfAnHour },
    { what: 'an honest one on a GPU 20 times as fast', bytes: 3 * WHOLE_BYTES, speed: 20_000, progressAt: halfAnHour },
    { what: 'a trickle of who claims to be the fastest', bytes: 3 * WHOLE_BYTES, speed: 1e15, progressAt: trickle },
    { what: 'one that nothing is heard of', bytes: 3 * WHOLE_BYTES, speed: 20_000, progressAt: silence },
  ])('keeps no model from those who can hold it: $what', ({ bytes, speed, progressAt }) => {
    const world = new World()
    world.pledge(LOADER, bytes, speed)
    world.pledge(1, MOST_BYTES)
    world.pledge(2, MOST_BYTES)
    expect(pass(world, 120, progressAt, () => stateOf(world) === 'ready')).toBeLessThan(60)
    // Nor later, whatever becomes of it.
    pass(world, 3_600, progressAt, () => stateOf(world) !== 'ready')
    expect(stateOf(world)).toBe('ready')
  })

  it('goes on, and its tab serves when it is done', () => {
    const world = new World()
    world.pledge(LOADER, WHOLE_BYTES, 4_000)
    world.pledge(1, MOST_BYTES)
    world.pledge(2, MOST_BYTES)
    const order = world.tab(LOADER).order
    pass(world, 1_700, halfAnHour)
    expect(world.tab(LOADER).order).toBe(order)
    world.serve(LOADER)
    expect(world.tab(LOADER).served).toMatchObject({ span: required(order, 'its order').span })
    pass(world, 60, silence)
    expect(stateOf(world)).toBe('ready')
  })

  it.each([
    { what: 'nothing', progressAt: silence, seconds: 45 },
    { what: 'a trickle', progressAt: trickle, seconds: 45 },
    { what: 'all at once, and then nothing', progressAt: (second: number) => (second < 10 ? 1 : null), seconds: 55 },
  ])(
    'has others take over what it was to hold too, when the only one who serves that is lost: it says $what',
    ({ progressAt, seconds }) => {
      const world = readyWorld()
      const before = world.spans()
      const lost = required(
        [1, 2, 3].find((index) => Object.values(before).filter((span) => String(span) === String(before[index])).length === 1),
        'who serves layers alone',
      )
      world.pledge(LOADER, 3 * WHOLE_BYTES)
      expect(Object.values(world.tab(LOADER).order?.span ?? {})).toEqual(before[lost])
      const grant = world.admit(REQUESTER)
      if (!('stages' in grant)) throw new Error(grant.message)
      world.disconnect(lost)
      world.repair(grant, lost)
      expect(pass(world, 120, progressAt, () => stateOf(world) === 'ready')).toBeLessThanOrEqual(seconds)
      // One of the two that hold the same, and the session goes on over it.
      const moved = Object.entries(world.spans()).filter(([index, span]) => String(span) !== String(before[Number(index)]))
      expect(moved).toHaveLength(1)
      expect(world.grants.get(grant.sessionId)?.revision).toBe(1)
      expect(world.refusals).toEqual([])
    },
  )

  it('is waited for when it comes along as others would, and nobody else moves', () => {
    const world = readyWorld()
    world.pledge(LOADER, 3 * WHOLE_BYTES)
    const before = world.spans()
    const lost = required(
      [1, 2, 3].find((index) => Object.values(before).filter((span) => String(span) === String(before[index])).length === 1),
      'who serves layers alone',
    )
    world.disconnect(lost)
    pass(world, 40, (second) => second / 45)
    world.serve(LOADER)
    expect(stateOf(world)).toBe('ready')
    expect(Object.entries(world.spans()).filter(([index]) => Number(index) !== LOADER)).toEqual(
      Object.entries(before).filter(([index]) => Number(index) !== lost),
    )
  })

  it('does not count for more when its tab pledges again', () => {
    const world = new World()
    world.pledge(LOADER, 3 * WHOLE_BYTES, 20_000)
    world.pledge(1, MOST_BYTES)
    world.pledge(2, MOST_BYTES)
    pass(world, 60, silence)
    for (let times = 0; times < 20; times++) {
      world.pledge(LOADER, 3 * WHOLE_BYTES, 20_000)
      pass(world, 30, silence)
      expect(stateOf(world)).toBe('ready')
    }
  })

  it('does not count for more by sessions that nobody was granted there', () => {
    const world = new World()
    world.pledge(LOADER, 3 * WHOLE_BYTES, 20_000)
    world.pledge(1, MOST_BYTES)
    world.pledge(2, MOST_BYTES)
    const lie = () => {
      world.say(LOADER, { type: 'pong', sequence: 0, sessions: 1, kvPositionsFree: 0 })
      return null
    }
    expect(pass(world, 120, lie, () => stateOf(world) === 'ready')).toBeLessThan(60)
  })

  it('has failed where news of it are only a trickle', () => {
    const world = new World({ stagesMin: 1 })
    world.pledge(LOADER)
    const [first] = world.assignments
    pass(world, 170, trickle)
    expect(world.assignments.at(-1)).toBe(first)
    pass(world, 30, trickle)
    expect(world.assignments.at(-1)).not.toBe(first)
  })

  it('leaves the model to whoever comes next, where nobody else could hold its layers', () => {
    const half = Math.ceil(spanMemory(COSTS, { firstLayer: 6, endLayer: 12 }, 1_024))
    const world = new World()
    world.pledge(LOADER, half, 2_000)
    world.pledge(1, half)
    pass(world, 300, halfAnHour)
    expect(stateOf(world)).toBe('incomplete')
    world.pledge(2, half)
    pass(world, 10, halfAnHour)
    expect(stateOf(world)).toBe('ready')
  })
})
