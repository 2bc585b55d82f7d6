/** A session whose chain lost stages gets another one, of those who are there or as soon as somebody is. */

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../../src/protocol/index.ts'
import { type PeerId, required } from '../../../src/shared/index.ts'
import { MODEL, peerId, WHOLE_BYTES, World } from './world.ts'

/** Volunteers 1 … `count` hold halves of the model in turn; 9 has a session over two of them. */
function open(count: number, classes: readonly string[] = [], memoryBytes = WHOLE_BYTES): { world: World; grant: Grant } {
  const world = new World()
  for (let index = 1; index <= count; index++) world.pledge(index, memoryBytes, undefined, undefined, classes[index - 1])
  world.serveAll()
  const grant = world.admit(9)
  if (!('stages' in grant)) throw new Error(grant.message)
  return { world, grant }
}

/** Of the model one half and a little: nobody can take all of it. */
const HALF_BYTES = Math.ceil(0.6 * WHOLE_BYTES)

const indexOf = (grant: Grant, stage: number) => Number.parseInt(required(grant.stages[stage], `stage ${stage}`).peerId, 16)
const now = (world: World, { sessionId }: Grant) => required(world.grants.get(sessionId), 'the grant')

describe('the repair of a chain', () => {
  for (const lost of [0, 1]) {
    it(`[C13][G11] keeps who is left when stage ${lost} is lost, and changes nothing else of the grant`, () => {
      const { world, grant } = open(4)
      world.disconnect(indexOf(grant, lost))
      world.repair(grant, indexOf(grant, lost))
      const repaired = now(world, grant)
      expect(repaired).toEqual({ ...grant, revision: 1, stages: repaired.stages, issuedAtMs: world.nowMs })
      expect(repaired.stages[1 - lost]).toEqual(grant.stages[1 - lost])
      expect(repaired.stages[lost]).toEqual({
        ...grant.stages[lost],
        peerId: expect.not.stringMatching(required(grant.stages[lost], 'the lost stage').peerId),
      })
    })
  }

  it('[C13] goes on among those who may serve the session, and among nobody else', () => {
    const world = new World()
    for (let index = 1; index <= 6; index++) world.pledge(index, WHOLE_BYTES)
    world.serveAll()
    world.connect(9)
    const may = new Set([1, 2, 3, 4].map(peerId))
    const message = { type: 'admit', requestId: 'r', modelId: MODEL.modelId, promptTokens: 3, maxTokens: 4 } as const
    const mayServe = (id: PeerId) => may.has(id)
    world.feed({ kind: 'message', peerId: peerId(9), message, mayServe })
    const grant = required([...world.grants.values()][0], 'a grant')
    expect(grant.stages.every(({ peerId: id }) => may.has(id))).toBe(true)
    // One is lost, and all others that may serve have left that pool meanwhile.
    const [lost, kept] = [indexOf(grant, 0), indexOf(grant, 1)]
    may.clear()
    may.add(peerId(kept))
    world.disconnect(lost)
    world.repair(grant, lost)
    world.wait(120_000)
    expect(now(world, grant).revision).toBe(0)
    expect(world.refusals).toMatchObject([{ reason: 'incomplete' }])
  })

  it('[C13] takes all others when all are lost', () => {
    const { world, grant } = open(4)
    const lost = [0, 1].map((stage) => indexOf(grant, stage))
    for (const index of lost) world.disconnect(index)
    world.repair(grant, ...lost)
    const repaired = now(world, grant)
    expect(repaired.revision).toBe(1)
    for (const { peerId: id } of repaired.stages) expect(lost.map(peerId)).not.toContain(id)
  })

  it('[C13] grants the same chain anew when only a link broke', () => {
    const { world, grant } = open(4)
    world.repair(grant)
    expect(now(world, grant)).toEqual({ ...grant, revision: 1, issuedAtMs: world.nowMs })
  })

  it('prefers who computes alike, whoever that is', () => {
    // Who can take the place, by the same placement beforehand.
    const before = open(20)
    const lost = indexOf(before.grant, 0)
    const { firstLayer, endLayer } = required(before.grant.stages[0], 'stage 0')
    const able = Object.entries(before.world.spans())
      .filter(([index, span]) => Number(index) !== lost && span[0] <= firstLayer && span[1] >= endLayer)
      .map(([index]) => Number(index))
    expect(able.length).toBeGreaterThan(1)
    for (const alike of able) {
      const classes = Array.from({ length: 20 }, (_, index) => (index + 1 === lost || index + 1 === alike ? 'a' : 'b'))
      const { world, grant } = open(20, classes)
      expect(indexOf(grant, 0)).toBe(lost)
      world.disconnect(lost)
      world.repair(grant, lost)
      expect(indexOf(now(world, grant), 0)).toBe(alike)
    }
  })

  it('[C13] waits until somebody has loaded the lost layers', () => {
    const { world, grant } = open(2)
    const lost = indexOf(grant, 1)
    world.disconnect(lost)
    world.repair(grant, lost)
    expect(now(world, grant).revision).toBe(0)
    world.pledge(7)
    world.serveAll()
    const repaired = now(world, grant)
    expect(repaired.revision).toBe(1)
    expect(repaired.stages[0]).toEqual(grant.stages[0])
    expect(indexOf(repaired, 1)).toBe(7)
  })

  it('[C13] refuses in the end, and says what is missing', () => {
    const { world, grant } = open(2)
    const lost = indexOf(grant, 1)
    world.disconnect(lost)
    // Who is left must not take over the other half alone: there the session would begin anew.
    world.disconnect(indexOf(grant, 0))
    world.repair(grant, lost)
    world.wait(11_000)
    expect(world.refusals).toEqual([])
    world.wait(2_000)
    expect(world.refusals).toMatchObject([{ reason: 'incomplete', message: expect.stringMatching(/within 12 s; more tabs/) }])
    world.wait(30_000)
    expect(world.refusals).toHaveLength(1)
  })

  it('[C13][C22] answers a driver that asks again over a new socket, also when the answer to a repair was lost', () => {
    const { world, grant } = open(4)
    world.wait(5_000)
    world.repair(grant)
    // Its socket breaks before it has said another word.
    world.disconnect(9)
    world.connect(9)
    world.repair(grant)
    expect(world.refusals).toEqual([])
    expect(now(world, grant)).toMatchObject({ revision: 2, stages: grant.stages })
  })

  it('[C13] drops what a broken socket has asked, so that asking again supersedes nothing', () => {
    const { world, grant } = open(2)
    const lost = indexOf(grant, 1)
    world.wait(5_000)
    world.disconnect(lost)
    world.repair(grant, lost)
    // Another socket of the same peer takes the place of the first.
    world.feed({ kind: 'connected', peerId: grant.driver })
    world.repair(grant, lost)
    expect(world.refusals).toEqual([])
    world.pledge(7)
    world.serveAll()
    expect(now(world, grant).revision).toBe(1)
  })

  for (const stage of [0, 1])
    it(`[C13] has the lost layers loaded by who is idle when all have gone that held stage ${stage}, whoever is in the chain`, () => {
      for (const chosen of [0, 1]) {
        const { world, grant } = open(4, [], HALF_BYTES)
        const spans = world.spans()
        const holders = (of: number) =>
          Object.keys(spans)
            .map(Number)
            .filter((index) => spans[index]?.[0] === grant.stages[of]?.firstLayer)
        const kept = required(holders(1 - stage)[chosen], 'who is left of the chain')
        const idle = required(holders(1 - stage)[1 - chosen], 'who is idle')
        // The chain leads over that one of the two.
        if (indexOf(grant, 1 - stage) !== kept) world.repair(grant, idle)
        world.wait(500)
        expect(indexOf(now(world, grant), 1 - stage)).toBe(kept)
        const gone = holders(stage)
        for (const index of gone) world.disconnect(index)
        world.repair(now(world, grant), ...gone)
        world.wait(6_000)
        world.serveAll()
        const repaired = now(world, grant)
        expect([indexOf(repaired, 1 - stage), indexOf(repaired, stage)]).toEqual([kept, idle])
      }
    })

  it('moves who is idle, not who has the session, when one half has three holders and the other one', () => {
    let tried = 0
    for (const chosen of [0, 1, 2]) {
      const { world, grant } = open(6, [], HALF_BYTES)
      const spans = world.spans()
      const many = Object.keys(spans)
        .map(Number)
        .filter((index) => spans[index]?.[0] === grant.stages[1]?.firstLayer)
      expect(many).toHaveLength(3)
      // The chain leads over that one of the three.
      const busy = required(many[chosen], 'who is to have the session')
      for (const other of many) if (indexOf(now(world, grant), 1) === other && other !== busy) world.repair(now(world, grant), other)
      world.wait(500)
      if (indexOf(now(world, grant), 1) !== busy) continue
      tried++
      for (const index of [1, 2, 3, 4, 5, 6]) if (!many.includes(index) && index !== indexOf(grant, 0)) world.disconnect(index)
      world.wait(60_000)
      const moved = many.filter((index) => world.spans()[index]?.[0] !== grant.stages[1]?.firstLayer)
      expect(moved).toHaveLength(1)
      expect(moved).not.toContain(busy)
    }
    expect(tried).toBeGreaterThan(1)
  })

  it('[C13] waits longer while somebody is loading, but not for ever', () => {
    const { world, grant } = open(2)
    const lost = indexOf(grant, 1)
    world.disconnect(lost)
    world.repair(grant, lost)
    const { order } = world.pledge(7)
    world.wait(120_000)
    world.say(7, { type: 'progress', assignmentId: order?.assignmentId ?? -1, bytesLoaded: 5, bytesTotal: 10 })
    world.wait(119_000)
    expect(world.refusals).toEqual([])
    world.wait(2_000)
    expect(world.refusals).toMatchObject([{ reason: 'incomplete', message: expect.stringMatching(/within 240 s/) }])
  })

  it('[C15] takes a peer that was given up for lost and answers again, when nobody else is there', () => {
    const { world, grant } = open(2)
    const lost = indexOf(grant, 1)
    world.repair(grant, lost)
    expect(now(world, grant).revision).toBe(0)
    world.wait(250)
    expect(now(world, grant)).toMatchObject({ revision: 1, stages: grant.stages })
  })

  it('asks who was lost right after the grant again only when it has told its room since', () => {
    const { world, grant } = open(2)
    world.repair(grant, indexOf(grant, 0))
    expect(now(world, grant).revision).toBe(0)
    world.wait(2_000)
    expect(now(world, grant)).toMatchObject({ revision: 1, stages: grant.stages })
  })

  it('[C15] drops within seconds who was reported lost and does not answer', () => {
    const { world, grant } = open(4)
    const lost = indexOf(grant, 1)
    world.repair(grant, lost)
    expect(now(world, grant).revision).toBe(1)
    world.wait(3_500, [lost])
    expect(world.closed).toMatchObject([{ peerId: peerId(lost), reason: 'silent' }])
  })

  it('refuses strangers, and sessions that it does not know', () => {
    const { world, grant } = open(4)
    world.connect(8)
    world.repair({ ...grant, driver: peerId(8) }, indexOf(grant, 0))
    world.end(grant)
    world.repair(grant, indexOf(grant, 0))
    expect(world.refusals).toMatchObject([{ reason: 'unknown-session' }, { reason: 'unknown-session' }])
    expect(world.closed).toEqual([])
  })

  it('[C14] tells the drivers over a peer at once that it is gone, and nobody else', () => {
    const { world, grant } = open(4)
    world.connect(8)
    const [used, unused] = [indexOf(grant, 0), [1, 2, 3, 4].find((index) => grant.stages.every(({ peerId: id }) => id !== peerId(index)))]
    world.disconnect(required(unused, 'an unused peer'))
    expect(world.gone).toEqual([])
    world.disconnect(used)
    expect(world.gone).toEqual([[peerId(9), peerId(used)]])
  })

  it('[C18][C19] tells drivers at once of a peer that drains, chooses it no more, and lets others load its layers while it serves on', () => {
    const { world, grant } = open(2, [], HALF_BYTES)
    const drained = indexOf(grant, 0)
    world.drain(drained, 'battery')
    expect(world.draining).toEqual([[peerId(9), peerId(drained)]])
    expect(world.releases).toEqual([])
    expect(world.admit(8)).toMatchObject({ reason: 'incomplete' })
    world.repair(grant, drained)
    world.wait(1_000)
    expect(now(world, grant).revision).toBe(0)
    world.pledge(7, HALF_BYTES)
    world.serveAll()
    const handedOver = now(world, grant)
    expect(handedOver.revision).toBe(1)
    expect(indexOf(handedOver, 0)).toBe(7)
    expect(handedOver.stages[1]).toEqual(grant.stages[1])
    expect(world.draining).toHaveLength(1)
  })

  it('[C19] suspects nobody who drains, and drops nobody for it', () => {
    const { world, grant } = open(4)
    const drained = indexOf(grant, 1)
    world.drain(drained, 'busy')
    world.repair(grant, drained)
    expect(now(world, grant).revision).toBe(1)
    world.wait(3_500, [drained])
    expect(world.closed).toEqual([])
  })

  it('[C19] keeps a peer that drains in a chain that lost another stage, where nobody else has its layers', () => {
    const { world, grant } = open(3, [], HALF_BYTES)
    const spans = Object.values(world.spans())
    const only = grant.stages.findIndex((stage) => spans.filter(([first]) => first === stage.firstLayer).length === 1)
    world.disconnect(indexOf(grant, 1 - only))
    world.drain(indexOf(grant, only), 'busy')
    world.repair(grant, indexOf(grant, 1 - only))
    const repaired = now(world, grant)
    expect(repaired.revision).toBe(1)
    expect(repaired.stages[only]).toEqual(grant.stages[only])
  })

  it('[C18] takes a peer that drained back when it pledges anew', () => {
    const { world, grant } = open(2)
    const drained = indexOf(grant, 0)
    world.drain(drained, 'battery')
    world.leave(drained)
    expect(world.admit(8)).toMatchObject({ reason: 'incomplete' })
    world.pledge(drained)
    world.serveAll()
    expect(world.admit(8)).toHaveProperty('stages')
  })

  it('[C20] refuses the older of two repairs of a session that wait, and answers the newer', () => {
    const { world, grant } = open(2)
    const drained = indexOf(grant, 0)
    world.drain(drained, 'busy')
    world.repair(grant, drained)
    expect(world.refusals).toEqual([])
    world.disconnect(drained)
    world.repair(grant, drained)
    expect(world.refusals).toMatchObject([{ reason: 'superseded' }])
    world.pledge(7)
    world.serveAll()
    expect(now(world, grant)).toMatchObject({ revision: 1 })
    expect(world.refusals).toHaveLength(1)
  })

  it('frees what a replaced stage had reserved', () => {
    const { world, grant } = open(4)
    const lost = indexOf(grant, 1)
    world.repair(grant, lost)
    const loads = world.core.summary(world.nowMs).swarms[0]
    expect(loads?.sessions).toBe(1)
    expect(world.reserved(peerId(lost))).toBe(0)
  })
})
