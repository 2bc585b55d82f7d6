/** What was granted and is used by nobody takes nothing from others for long; what is used stays. */

import { describe, expect, it } from 'vitest'
import { ORPHAN_MS } from '../../../src/coordinator/core/limits.ts'
import type { Grant } from '../../../src/protocol/index.ts'
import { required } from '../../../src/shared/index.ts'
import { servedWorld, WHOLE_BYTES, World } from './world.ts'

const BOUND_MS = 120_000
/** All but one block of what a stage of `servedWorld` keeps. */
const NEARLY_ALL = 900
/** Of the model one half and a little. */
const HALF_BYTES = Math.ceil(0.6 * WHOLE_BYTES)

function grantOf(world: World, driver: number, positions: number): Grant {
  const grant = world.admit(driver, positions, 0)
  if (!('stages' in grant)) throw new Error(grant.message)
  return grant
}

/** Asked again until a ping has been answered. */
function withinTwoSeconds(world: World, ask: () => ReturnType<World['admit']>): Grant {
  for (let tries = 0; tries < 8; tries++) {
    const answer = ask()
    if ('stages' in answer) return answer
    world.wait(250)
  }
  throw new Error('refused for two seconds')
}

const sessionsOf = (world: World) => world.core.summary(world.nowMs).swarms[0]?.sessions

describe('a session that no stage holds', () => {
  it('[C24] is over within two minutes when it was never opened, and the room that it took is given to others', () => {
    const world = servedWorld()
    world.unheld.add(grantOf(world, 9, NEARLY_ALL).sessionId)
    expect(world.admit(8, NEARLY_ALL, 0)).toMatchObject({ reason: 'busy' })
    world.wait(80_000)
    expect(world.admit(8, NEARLY_ALL, 0)).toMatchObject({ reason: 'busy' })
    world.wait(BOUND_MS - 80_000)
    expect(sessionsOf(world)).toBe(0)
    expect(world.admit(8, NEARLY_ALL, 0)).toHaveProperty('stages')
  })

  it('[C24] is over when its driver has closed it and never said so', () => {
    const world = servedWorld()
    const grant = grantOf(world, 9, NEARLY_ALL)
    world.wait(300_000)
    expect(sessionsOf(world)).toBe(1)
    world.unheld.add(grant.sessionId)
    world.wait(BOUND_MS)
    expect(sessionsOf(world)).toBe(0)
  })

  it('[C24] keeps no room from others where another session is open too, though which of the two is held is not known', () => {
    const world = servedWorld()
    grantOf(world, 7, 64)
    world.unheld.add(grantOf(world, 9, NEARLY_ALL).sessionId)
    world.wait(80_000)
    expect(world.admit(8, NEARLY_ALL, 0)).toMatchObject({ reason: 'busy' })
    world.wait(BOUND_MS - 80_000)
    const next = grantOf(world, 8, NEARLY_ALL)
    expect(world.reserved(required(next.stages[0], 'stage 0').peerId)).toBeLessThanOrEqual(1_024)
    expect(world.admit(6, 64, 0)).toMatchObject({ reason: 'busy' })
  })

  it('[C24] gives no room twice: what is held for long stays taken, and what was granted a moment ago too', () => {
    const world = servedWorld()
    grantOf(world, 9, 480)
    world.wait(10 * 60_000)
    world.unheld.add(grantOf(world, 8, 480).sessionId)
    for (let ms = 0; ms < 80_000; ms += 10_000) {
      expect(world.admit(7, 128, 0)).toMatchObject({ reason: 'busy' })
      world.wait(10_000)
    }
  })

  it('[C24] goes on on the word of one stage of two that holds it', () => {
    const world = servedWorld()
    const { stages } = grantOf(world, 9, 64)
    const liar = required(stages[0], 'stage 0').peerId
    for (let ms = 0; ms < 2 * BOUND_MS; ms += 250) {
      world.wait(250)
      world.say(Number.parseInt(liar, 16), { type: 'pong', sequence: 0, sessions: 0, kvPositionsFree: 1_024 })
    }
    expect(sessionsOf(world)).toBe(1)
  })

  it('[C13][C24] is kept while its driver waits for another chain', () => {
    const world = servedWorld()
    const grant = grantOf(world, 9, 64)
    const lost = required(grant.stages[0], 'stage 0').peerId
    world.wait(10_000)
    world.disconnect(Number.parseInt(lost, 16))
    world.repair(grant, Number.parseInt(lost, 16))
    world.unheld.add(grant.sessionId)
    // Somebody loads the lost layers, for long.
    world.pledge(3)
    world.wait(150_000)
    expect(world.refusals).toEqual([])
    world.unheld.clear()
    world.serveAll()
    expect(world.grants.get(grant.sessionId)).toMatchObject({ revision: 1 })
  })

  it('[C13][C24] has no room any more at a stage that has given it to others, though its driver comes back and asks again', () => {
    const world = new World()
    for (const index of [1, 2]) world.pledge(index, HALF_BYTES)
    world.serveAll()
    const grant = grantOf(world, 9, NEARLY_ALL)
    const [lost, left] = grant.stages.map(({ peerId }) => peerId)
    const lostIndex = Number.parseInt(required(lost, 'stage 0'), 16)
    world.disconnect(lostIndex)
    world.repair(grant, lostIndex)
    // Two load the lost layers, for so long that the stage that is left gives up.
    for (const index of [3, 4]) world.pledge(index, HALF_BYTES)
    world.wait(30_000)
    world.unheld.add(grant.sessionId)
    world.wait(80_000)
    world.disconnect(9)
    world.serveAll()
    world.wait(5_000)
    const other = grantOf(world, 8, NEARLY_ALL)
    expect(other.stages.map(({ peerId }) => peerId)).toContain(left)
    world.connect(9)
    world.repair(grant, lostIndex)
    expect(world.grants.get(grant.sessionId)).toMatchObject({ revision: 0 })
    world.end(other)
    world.wait(5_000)
    expect(world.grants.get(grant.sessionId)).toMatchObject({ revision: 1 })
  })

  it('[C24] is not granted over a stage again and again that refused it for what nobody here knows of, before that stage says that it has room', () => {
    const world = servedWorld()
    grantOf(world, 9, 480)
    world.disconnect(9)
    world.wait(ORPHAN_MS + 1_000)
    expect(sessionsOf(world)).toBe(0)
    // Its stages keep what its driver never closed. What ends now may be missing in reports of the second after it, and is hoped for.
    const ended = grantOf(world, 8, 480)
    world.wait(4_500)
    world.end(ended)
    const hoped = withinTwoSeconds(world, () => world.admit(7, NEARLY_ALL, 0))
    world.unheld.add(hoped.sessionId)
    for (const { peerId } of hoped.stages) world.repair(hoped, Number.parseInt(peerId, 16))
    world.wait(10_000)
    expect(world.grants.get(hoped.sessionId)).toMatchObject({ revision: 0 })
  })

  it('[C13] needs no room beside its own where it was given up', () => {
    const world = servedWorld()
    const grant = grantOf(world, 9, NEARLY_ALL)
    const lost = Number.parseInt(required(grant.stages[0], 'stage 0').peerId, 16)
    world.disconnect(lost)
    world.repair(grant, lost)
    world.pledge(3)
    world.wait(30_000)
    world.unheld.add(grant.sessionId)
    world.wait(10_000)
    world.serveAll()
    expect(world.grants.get(grant.sessionId)).toMatchObject({ revision: 1 })
  })
})
