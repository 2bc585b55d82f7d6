/** Grants that nobody signed, in any number: whoever sends them hinders himself only. */

import { describe, expect, it } from 'vitest'
import { encodeFrame, type Frame, type Grant, type SignedGrant } from '../../../src/protocol/index.ts'
import { type PeerId, required } from '../../../src/shared/index.ts'
import { DRIVER, peerId, World } from './world.ts'

const STRANGER = peerId(0xbad)

const openOf = ({ sessionId, maxPositions }: Grant, grant: SignedGrant): Frame => ({
  type: 'open',
  sessionId,
  epoch: 0,
  length: maxPositions,
  grant,
})

/** The stage's end of a new link from that peer. */
function linkFrom(world: World, peer: PeerId) {
  world.connect(peer, peerId(1)).listen({ onFrame: () => undefined, onClose: () => undefined })
  const { atTo } = required(world.links.at(-1), 'the link')
  const failures = () => atTo.sent.flatMap((frame) => (frame.type === 'failed' ? [frame.reason] : []))
  return { deliver: (frame: Frame) => atTo.deliver(encodeFrame(frame)), failures, isClosed: () => atTo.isClosed }
}

/** An `open` of a session of its own, whose grant is signed or not. */
async function openFrame(world: World, isSigned: boolean): Promise<Frame> {
  const grant = world.grant()
  const signed = await world.sign(grant)
  return openOf(grant, isSigned ? signed : { ...signed, signature: 'A'.repeat(86) })
}

describe('grants that nobody signed', () => {
  it('[G12] fill the turn of their own link only', async () => {
    const world = new World(1)
    const [stranger, driver] = [linkFrom(world, STRANGER), linkFrom(world, DRIVER)]
    const junk = await Promise.all(Array.from({ length: 65 }, () => openFrame(world, false)))
    const honest = await openFrame(world, true)
    for (const frame of junk) stranger.deliver(frame)
    expect(stranger.failures()).toEqual(['no-room'])
    driver.deliver(honest)
    await world.settle()
    expect(driver.failures()).toEqual([])
    expect(world.openSlots()).toBe(1)
    expect(stranger.isClosed()).toBe(true)
  })

  it('[G12] close their link when the eighth comes, and the row begins anew after a good one', async () => {
    const world = new World(1)
    const driver = linkFrom(world, DRIVER)
    for (const [count, isSigned] of [
      [7, false],
      [1, true],
      [7, false],
    ] as const) {
      for (let sent = 0; sent < count; sent++) {
        driver.deliver(await openFrame(world, isSigned))
        await world.settle()
      }
    }
    expect(driver.failures()).toEqual(new Array(14).fill('bad-grant'))
    expect(driver.isClosed()).toBe(false)
    driver.deliver(await openFrame(world, false))
    await world.settle()
    expect(driver.isClosed()).toBe(true)
  })
})
