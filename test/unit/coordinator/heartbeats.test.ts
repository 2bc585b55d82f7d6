/** Which tabs the coordinator holds for alive, and so may choose. */

import { describe, expect, it } from 'vitest'
import { required } from '../../../src/shared/index.ts'
import { peerId, servedWorld, World } from './world.ts'

describe('heartbeats', () => {
  it('pings every tab every 2 s', () => {
    const world = new World()
    world.connect(1)
    const pings: number[] = []
    for (let tick = 0; tick < 40; tick++) {
      world.nowMs += 250
      for (const effect of world.feed({ kind: 'tick' }))
        if (effect.kind === 'send' && effect.message.type === 'ping') pings.push(world.nowMs)
    }
    expect(pings).toEqual([3_000, 5_000, 7_000, 9_000, 11_000])
  })

  it('does not choose a tab that was silent for 6 s, and chooses it again when it answers', () => {
    const world = servedWorld()
    world.wait(5_500, [2])
    expect(world.admit(9)).toHaveProperty('stages')
    world.wait(1_000, [2])
    expect(world.core.summary(world.nowMs).swarms[0]?.state).toBe('incomplete')
    world.wait(4_000)
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('refuses while the only tab with some layers is silent for 6 s, and drops it then, so that others take over', () => {
    const world = servedWorld()
    world.wait(6_500, [2])
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete', message: expect.stringMatching(/7–11.*does not answer/) })
    world.wait(500, [2])
    expect(world.closed).toMatchObject([{ peerId: peerId(2), reason: 'silent' }])
    world.wait(10_000)
    world.serveAll()
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('keeps a silent tab for 30 s when others serve its layers too, or the coordinator itself was away', () => {
    const world = servedWorld()
    world.pledge(3)
    world.pledge(4)
    world.serveAll()
    world.wait(6_500, [2])
    expect(world.admit(9)).toHaveProperty('stages')
    world.wait(500, [2])
    expect(world.closed).toEqual([])
    const away = servedWorld()
    away.nowMs += 8_000
    away.admit(9)
    away.feed({ kind: 'tick' })
    expect(away.closed).toEqual([])
  })

  it('drops a tab that was silent for 30 s, and says so', () => {
    const world = servedWorld()
    world.wait(29_500, [2])
    expect(world.closed).toEqual([])
    world.wait(1_000, [2])
    expect(world.closed).toMatchObject([{ peerId: peerId(2), reason: 'silent' }])
    expect(world.core.summary(world.nowMs).tabs).toBe(1)
  })

  it('does not choose a tab that a session accused before it has answered a new ping', () => {
    const world = servedWorld()
    const grant = world.admit(9)
    if (!('stages' in grant)) throw new Error('refused')
    world.end(grant, peerId(2))
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete' })
    world.wait(250)
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('takes no accusation from strangers, nor of tabs outside the chain', () => {
    const world = servedWorld()
    world.pledge(3)
    const grant = world.admit(9)
    if (!('stages' in grant)) throw new Error('refused')
    world.connect(8)
    world.say(8, { type: 'ended', sessionId: grant.sessionId, outcome: 'failed', failedPeerId: peerId(2), laps: null })
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(1)
    world.end(grant, peerId(3))
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('does not choose a tab that gets its GPU back, and keeps its layers for it', () => {
    const world = servedWorld()
    const before = world.core.summary(world.nowMs).swarms[0]?.volunteers
    world.say(2, { type: 'away', reason: 'recovering' })
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete' })
    const orders = world.assignments.length
    const { assignmentId, span, kvPositions } = required(
      world.assignments.filter((order) => order.peerId === peerId(2)).at(-1)?.assignment,
      'the order of tab 2',
    )
    world.say(2, { type: 'serving', assignmentId, span, kvPositions })
    expect(world.admit(9)).toHaveProperty('stages')
    expect(world.assignments).toHaveLength(orders)
    expect(world.core.summary(world.nowMs).swarms[0]?.volunteers).toEqual(before)
  })

  it('counts a tab that is away as gone until it pledges anew', () => {
    const world = servedWorld()
    world.say(2, { type: 'away', reason: 'device-lost' })
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete' })
    world.pledge(2)
    world.serveAll()
    expect(world.admit(9)).toHaveProperty('stages')
  })
})
