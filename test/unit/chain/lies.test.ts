/** What stages say of themselves and of others: a liar cannot end an answer, nor have honest peers replaced without end. */

import { describe, expect, it } from 'vitest'
import { encodeFrame, type Frame, type Grant, type SeveredFrame } from '../../../src/protocol/index.ts'

import { answer, coordinatorOf, listening, reference } from './answers.ts'
import { DRIVER, peerId, World } from './world.ts'

const LIAR = peerId(2)

/** The liar tells the driver something, if it still has a link to it. */
function tell(world: World, frame: Frame): void {
  const link = world.links.findLast(({ from, to, atTo }) => from === DRIVER && to === LIAR && !atTo.isClosed)
  link?.atTo.send(encodeFrame(frame), 'urgent')
}

describe('a stage that says that the grant has expired', () => {
  const expired = ({ sessionId }: Grant): Frame => ({ type: 'failed', sessionId, reason: 'expired', message: 'it has' })

  it('[R15] is replaced when it has not', async () => {
    const world = new World(4)
    const { ids, requests } = await answer(world, 3, (token, grant) => {
      if (token === 5) tell(world, expired(grant))
    })
    expect(ids).toEqual(await reference())
    expect(requests.map(({ lostPeerIds }) => lostPeerIds)).toEqual([[LIAR]])
  })

  it('[R15] ends the answer when it has', async () => {
    const world = new World(4)
    const grant = world.grant({ stageCount: 3 })
    const { repair, requests } = coordinatorOf(world, grant)
    const chain = await world.runInTime(world.opening(grant, repair))
    const failed: string[] = []
    chain.listen(listening({ onFailed: ({ reason }) => failed.push(reason) }))
    await chain.submit({ firstPosition: 0, ids: Uint32Array.of(1), kind: 'decode', resultCount: 1 })
    await world.settle()
    world.clock.advance(grant.expiresAtMs - world.clock.nowMs())
    await world.settle()
    expect(failed).toEqual(['expired'])
    expect(requests).toEqual([])
  })
})

describe('a stage that says at every token that it lost its neighbor', () => {
  type Severance = Pick<SeveredFrame, 'neighbor' | 'reason'>

  async function lostTo(severance: Severance) {
    const world = new World(30)
    const { ids, requests } = await answer(world, 3, (token, { sessionId, revision }) => {
      if (token > 0) tell(world, { type: 'severed', sessionId, revision, ...severance, message: 'it is gone' })
    })
    expect(ids).toEqual(await reference())
    return requests.map(({ lostPeerIds }) => lostPeerIds)
  }

  it('[R16] and cannot be reached costs one other its place, and then itself another and its own', async () => {
    expect(await lostTo({ neighbor: 'downstream', reason: 'unreachable' })).toEqual([[peerId(3)], [peerId(4), LIAR]])
  })

  it.each<Severance>([
    { neighbor: 'upstream', reason: 'stage-lost' },
    { neighbor: 'upstream', reason: 'unreachable' },
    { neighbor: 'downstream', reason: 'stage-lost' },
  ])('[R16] by a link is lost itself in the end: $neighbor, $reason', async (severance) => {
    const lost = await lostTo(severance)
    expect(lost).toHaveLength(9)
    expect(lost.at(-1)).toEqual([LIAR])
    // Two tokens may come before the chain is repaired: the neighbor is accused twice then.
    expect(lost.flat().length).toBeLessThanOrEqual(2)
  })
})
