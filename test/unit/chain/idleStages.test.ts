/** Stages that answer every ping and do not do their part: the answer goes on without them, and few others are blamed. */

import { describe, expect, it } from 'vitest'
import { encodeFrame, type Frame, SESSION_IDLE_MS } from '../../../src/protocol/index.ts'
import { type PeerId, required } from '../../../src/shared/index.ts'
import { answer, coordinatorOf, listening, reference } from './answers.ts'
import { peerId, World } from './world.ts'

/** Changes what one peer says. */
function lie(world: World, liar: PeerId, say: (frame: Frame) => Frame | null): void {
  world.tamper = (frame, from) => (from === liar ? say(frame) : frame)
}

/** The stage gives room for so many rows, and never for more. */
const noRoomBeyond = (windowRows: number) => (frame: Frame) => {
  if (frame.type === 'window') return null
  return frame.type === 'opened' ? { ...frame, windowRows } : frame
}

describe('a first stage that never has room', () => {
  // A prompt of 37 rows comes in chunks of 10.
  it.each([0, 5, 10, 25, 40])('[R9] for more than %i rows is replaced, and the answer is the same', async (windowRows) => {
    const world = new World(4)
    lie(world, peerId(1), noRoomBeyond(windowRows))
    const { ids, requests } = await answer(world, 2, () => undefined, 130)
    expect(ids).toEqual(await reference())
    expect(requests.map(({ lostPeerIds }) => lostPeerIds)).toEqual([[peerId(1)]])
  })
})

describe('a stage that holds an answer up', () => {
  // Once laps have worked: STUCK_MIN_MS, a round of pings and a repair; STUCK_SLOW_MIN_MS in a chain that was repaired.
  const FIRST_REPAIR_MS = 14_000
  const SECOND_REPAIR_MS = 48_000
  const lost = (requests: readonly { readonly lostPeerIds: readonly PeerId[] }[]) => requests.map(({ lostPeerIds }) => lostPeerIds)

  it('[R9] since its engine hangs is replaced by what laps took, not after a fixed time', async () => {
    const world = new World(8)
    const { ids, requests, tookMs } = await answer(world, 3, (token) => {
      const stage = required(world.stages[1], 'stage 1')
      if (token === 5) stage.engine.gate = new Promise((resolve) => void world.clock.after(SESSION_IDLE_MS, resolve))
    })
    expect(ids).toEqual(await reference())
    expect(lost(requests)).toEqual([[peerId(2)]])
    expect(tookMs).toBeLessThan(FIRST_REPAIR_MS)
  })

  it.each([3, 4])(
    '[R9] of a chain of %i and says that it computes, and sends nothing on, is replaced with the second repair',
    async (stageCount) => {
      const world = new World(8)
      let withholds = false
      lie(world, peerId(2), (frame) => (withholds && frame.type === 'rows' ? null : frame))
      const { ids, requests, tookMs } = await answer(world, stageCount, (token) => {
        withholds ||= token === 5
      })
      expect(ids).toEqual(await reference())
      expect(lost(requests)).toEqual([[peerId(3)], stageCount === 3 ? [peerId(2)] : [peerId(2), peerId(4)]])
      expect(tookMs).toBeLessThan(SECOND_REPAIR_MS)
    },
  )

  it('[R9] since it never has room is replaced with the second repair', async () => {
    const world = new World(8)
    lie(world, peerId(2), noRoomBeyond(0))
    const { ids, requests } = await answer(world, 3, () => undefined, 300)
    expect(ids).toEqual(await reference())
    expect(lost(requests)).toEqual([[peerId(1)], [peerId(2)]])
  })

  it('[R9] whenever results have come over a repaired chain is found out all the same', async () => {
    const world = new World(12)
    let tokens = 0
    let withholdsFrom = 5
    lie(world, peerId(2), (frame) => (tokens >= withholdsFrom && frame.type === 'rows' ? null : frame))
    const { ids, requests } = await answer(
      world,
      3,
      (token, { revision }) => {
        tokens = Math.max(tokens, token)
        withholdsFrom = 5 + 3 * revision
      },
      300,
    )
    expect(ids).toEqual(await reference())
    expect(lost(requests).flat().slice(0, 2)).toEqual([peerId(3), peerId(2)])
  })

  it('[R9] and sends results that were taken back is given no more time for them', async () => {
    const world = new World(2)
    const grant = world.grant({ stageCount: 1 })
    const { repair, requests } = coordinatorOf(world, grant)
    const chain = await world.runInTime(world.opening(grant, repair))
    const came: number[] = []
    chain.listen(listening({ onResults: ({ firstPosition }) => came.push(firstPosition) }))
    const lap = (firstPosition: number) => chain.submit({ firstPosition, ids: Uint32Array.of(1), kind: 'decode', resultCount: 1 })
    for (const position of [0, 1]) {
      await lap(position)
      await world.settle()
    }
    chain.truncate(1)
    const { atTo } = required(world.links[0], 'the link')
    const old = required(
      atTo.sent.find((frame) => frame.type === 'results'),
      'results',
    )
    required(world.stages[0], 'stage 0').engine.gate = new Promise((resolve) => void world.clock.after(SESSION_IDLE_MS, resolve))
    await lap(1)
    for (let ms = 0; ms < 20_000; ms += 200) {
      if (requests.length === 0) atTo.send(encodeFrame(old))
      await world.settle()
      world.clock.advance(200)
    }
    await world.settle()
    expect(lost(requests)).toEqual([[peerId(1)]])
    expect(came).toEqual([0, 1, 1])
    chain.close()
  })

  it('[R9] is not any that is only slow, when it has worked as slowly before', async () => {
    const world = new World(4)
    const { ids, requests } = await answer(
      world,
      3,
      (token) => {
        const waitMs = token === 3 ? 4_000 : token === 8 ? 25_000 : 0
        const { engine } = required(world.stages[1], 'stage 1')
        if (waitMs > 0) engine.gate = new Promise((resolve) => void world.clock.after(waitMs, resolve))
      },
      120,
    )
    expect(ids).toEqual(await reference())
    expect(requests).toEqual([])
  })
})
