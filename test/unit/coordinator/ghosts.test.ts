/** Volunteers that answer pings and serve nobody get out of the way; drivers that lie about those who serve change nothing. */

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../../src/protocol/index.ts'
import { peerId, servedWorld, WHOLE_BYTES, World } from './world.ts'

/** Holds somewhat more than half of the model. */
const HALF_BYTES = Math.ceil(0.62 * WHOLE_BYTES)

function grantOf(world: World, driver: number): Grant {
  const grant = world.admit(driver)
  if (!('stages' in grant)) throw new Error(grant.message)
  return grant
}

const isOver = ({ stages }: Grant, index: number) => stages.some((stage) => stage.peerId === peerId(index))

/** Volunteers with the whole model each, of which the last is the fastest. */
function fastGhost(): { world: World; ghost: number } {
  const world = new World({ stagesMin: 1 })
  for (const [index, speed] of [1_000, 1_000, 4_000].entries()) world.pledge(index + 1, WHOLE_BYTES, speed)
  world.serveAll()
  return { world, ghost: 3 }
}

/** Three volunteers of half the model: one of them alone with its half. */
function soleHolder(): { world: World; sole: number } {
  const world = new World({ stagesMin: 2 })
  for (const index of [1, 2, 3]) {
    world.pledge(index, HALF_BYTES)
    world.serveAll()
  }
  world.wait(30_000)
  world.serveAll()
  const spans = Object.entries(world.spans())
  const [sole] = spans.find(([, [first]]) => spans.filter(([, other]) => other[0] === first).length === 1) ?? []
  if (sole === undefined) throw new Error(`nobody is alone: ${JSON.stringify(spans)}`)
  return { world, sole: Number(sole) }
}

/** Admits, and where the chain has the peer, says that the session failed over it; whether it had. */
function failOver(world: World, driver: number, peer: number): boolean {
  const grant = world.admit(driver)
  // Who is suspected at the moment is not chosen.
  if (!('stages' in grant)) return false
  world.end(grant, isOver(grant, peer) ? peerId(peer) : null)
  return isOver(grant, peer)
}

/** Whether somebody else serves what the peer serves. */
function isReplaced(world: World, peer: number): boolean {
  const spans = world.spans()
  return Object.entries(spans).some(([index, [first, end]]) => {
    const [ownFirst, ownEnd] = spans[peer] ?? [0, 0]
    return Number(index) !== peer && first <= ownFirst && ownEnd <= end
  })
}

/** What goes on while time passes. */
function pass(world: World, ms: number): void {
  for (let passed = 0; passed < ms; passed += 1_000) {
    world.wait(1_000)
    world.serveAll()
  }
}

describe('a volunteer over which sessions fail', () => {
  it('[C28] is the last choice of the driver that says so, and of nobody else', () => {
    const { world, ghost } = fastGhost()
    expect(failOver(world, 20, ghost)).toBe(true)
    pass(world, 4_000)
    expect(isOver(grantOf(world, 20), ghost)).toBe(false)
    expect(isOver(grantOf(world, 21), ghost)).toBe(true)
  })

  it('[C28] is the last choice of everybody where two origins say so, and not where two tabs of one do', () => {
    for (const [origins, isAvoided] of [
      [['a', 'b'], true],
      [['a', 'a'], false],
    ] as const) {
      const { world, ghost } = fastGhost()
      // At once: once one has said so, the other one of its origin is given another peer.
      const grants = origins.map((origin, index) => {
        world.connect(20 + index, origin)
        return grantOf(world, 20 + index)
      })
      for (const grant of grants) world.end(grant, peerId(ghost))
      pass(world, 4_000)
      expect(isOver(grantOf(world, 30), ghost)).toBe(!isAvoided)
    }
  })

  it('[C28] is tried again later each time, until a session is finished', () => {
    const { world, ghost } = fastGhost()
    const untilTried = () => {
      for (let seconds = 0; seconds < 100; seconds++) {
        const grant = grantOf(world, 20)
        if (isOver(grant, ghost)) {
          world.end(grant, peerId(ghost))
          return seconds
        }
        world.end(grant)
        pass(world, 1_000)
      }
      throw new Error('never tried again')
    }
    expect(untilTried()).toBe(0)
    const waits = [untilTried(), untilTried(), untilTried()]
    expect(waits).toEqual([10, 20, 40])
    pass(world, 81_000)
    const last = grantOf(world, 20)
    expect(isOver(last, ghost)).toBe(true)
    world.end(last)
    expect(isOver(grantOf(world, 20), ghost)).toBe(true)
  })

  it('[C29] is replaced where it alone has its layers, though it answers every ping', () => {
    const { world, sole } = soleHolder()
    for (let driver = 20; driver < 26; driver++) {
      failOver(world, driver, sole)
      pass(world, 3_000)
    }
    expect(isReplaced(world, sole)).toBe(true)
    for (let driver = 30; driver < 36; driver++) expect(isOver(grantOf(world, driver), sole)).toBe(false)
    expect(world.closed).toEqual([])
  })

  it('[C29] is replaced by the word of one driver where nobody else uses it, and not while another’s session goes on over it', () => {
    for (const isUsed of [false, true]) {
      const { world, sole } = soleHolder()
      if (isUsed) {
        grantOf(world, 40)
        pass(world, 26_000)
      }
      for (let times = 0; times < 5; times++) {
        failOver(world, 20, sole)
        pass(world, 6_000)
      }
      expect(isReplaced(world, sole)).toBe(!isUsed)
    }
  })

  it('[C29] is replaced while the first session that it failed waits for another chain', () => {
    const { world, sole } = soleHolder()
    const grant = grantOf(world, 20)
    const present = () => world.grants.get(grant.sessionId) as Grant
    for (let tries = 0; tries < 4 && isOver(present(), sole); tries++) {
      world.repair(present(), sole)
      pass(world, 8_000)
    }
    expect(isOver(present(), sole)).toBe(false)
  })
})

describe('drivers that lie about who serves', () => {
  it('[C29] take no layers from anybody, as many as they are: who has no spare is served all the time', () => {
    const world = servedWorld()
    for (let round = 0; round < 60; round++) {
      for (let liar = 20; liar < 26; liar++) {
        const grant = world.admit(liar)
        if ('stages' in grant) world.end(grant, grant.stages[round % 2]?.peerId)
      }
      pass(world, 4_000)
      const honest = grantOf(world, 50)
      pass(world, 1_000)
      world.end(honest)
    }
    expect(world.releases).toEqual([])
    expect(world.closed).toEqual([])
  })
})

describe('a report that contradicts what is granted', () => {
  /** The peer says for so long that it has no KV left; what is served meanwhile. */
  function claimFull(world: World, index: number, ms: number): void {
    for (let passed = 0; passed < ms; passed += 1_000) {
      world.wait(1_000, [index])
      world.say(index, { type: 'pong', sequence: 2 ** 30, sessions: 0, kvPositionsFree: 0 })
      world.serveAll()
    }
  }

  it('[C30] has others load the layers after 90 s, and not before', () => {
    const { world, sole } = soleHolder()
    claimFull(world, sole, 85_000)
    expect(isReplaced(world, sole)).toBe(false)
    expect(world.admit(20)).toMatchObject({ reason: 'busy' })
    claimFull(world, sole, 30_000)
    expect(isReplaced(world, sole)).toBe(true)
    expect(isOver(grantOf(world, 20), sole)).toBe(false)
  })

  it('[C30] is none where so much is granted', () => {
    const ordersWhere = (isFull: boolean) => {
      const { world, sole } = soleHolder()
      const positions = world.tab(sole).served?.kvPositions ?? 0
      for (let driver = 20; world.reserved(peerId(sole)) <= positions / 2; driver++)
        expect(world.admit(driver, 400, 300)).toHaveProperty('stages')
      if (isFull) claimFull(world, sole, 200_000)
      else pass(world, 200_000)
      return world.assignments.map(({ assignment }) => assignment.span)
    }
    expect(ordersWhere(true)).toEqual(ordersWhere(false))
  })
})
