import { describe, expect, it } from 'vitest'
import { FRAME_BYTES_MAX, type Link, type LinkClosed, messageOf } from '../protocol/index.ts'
import { ManualClock, type PeerId } from '../shared/index.ts'
import { ChannelLink } from './channelLink.ts'
import { type LinkPair, linkSuite } from './link.suite.ts'
import { memoryChannelPair } from './memoryChannel.ts'
import { memoryLinkPair } from './memoryLink.ts'
import { linkFromPort, serveLink } from './portLink.ts'
import { StripedChannel } from './stripedChannel.ts'

const near = 'aa'.repeat(16) as PeerId
const far = 'bb'.repeat(16) as PeerId

/** Turns of the event loop, each with `step`, until it is done. */
function polling(step: () => void): LinkPair['until'] {
  return async (done) => {
    for (let turn = 0; !done(); turn++) {
      if (turn > 2_000) throw new Error('never came')
      step()
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
  }
}

function memoryPair(): LinkPair {
  const [nearLink, farLink] = memoryLinkPair(near, far)
  return { near: nearLink, far: farLink, until: polling(() => undefined) }
}

function delayedPair(): LinkPair {
  const clock = new ManualClock()
  const [nearLink, farLink] = memoryLinkPair(near, far, { clock, delayMs: 40 })
  return { near: nearLink, far: farLink, until: polling(() => clock.advance(10)) }
}

/** As over WebRTC; lanes of other delays than the first are added at once. */
function stripedPair(otherDelaysMs: readonly number[]): LinkPair {
  const clock = new ManualClock()
  const [nearFirst, farFirst] = memoryChannelPair({ clock, delayMs: 40 })
  const [nearEnd, farEnd] = [new StripedChannel(nearFirst), new StripedChannel(farFirst)]
  const [nearLink, farLink] = [new ChannelLink(nearEnd, far), new ChannelLink(farEnd, near)]
  for (const delayMs of otherDelaysMs) {
    const [nearLane, farLane] = memoryChannelPair({ clock, delayMs })
    nearEnd.addLane(nearLane)
    farEnd.addLane(farLane)
  }
  return { near: nearLink, far: farLink, until: polling(() => clock.advance(10)) }
}

/** Both ends behind a port, as two workers on two pages with a network between them. */
function portPair(): LinkPair {
  const clock = new ManualClock()
  const [nearLink, farLink] = memoryLinkPair(near, far, { clock, delayMs: 40 })
  const behindPort = (link: Link) => {
    const { port1, port2 } = new MessageChannel()
    serveLink(link, port1)
    return linkFromPort(port2, link.peerId)
  }
  return { near: behindPort(nearLink), far: behindPort(farLink), until: polling(() => clock.advance(10)) }
}

describe.each([
  ['a memory link', memoryPair],
  ['a memory link with delay', delayedPair],
  ['a link of slices', () => stripedPair([])],
  ['a link over three lanes', () => stripedPair([10, 70])],
  ['a port link', portPair],
])('%s', (_, createPair) => {
  for (const { name, run } of linkSuite) {
    it(name, async () => {
      const pair = createPair()
      expect([pair.near.peerId, pair.far.peerId]).toEqual([far, near])
      await run(pair)
      pair.near.close()
      pair.far.close()
    })
  }
})

describe('a link', () => {
  it.each([0, FRAME_BYTES_MAX + 1])('[F4] is closed as garbage by a message of %i bytes', async (bytes) => {
    const [raw, channel] = memoryChannelPair()
    const link = new ChannelLink(channel, near)
    const ends: LinkClosed[] = []
    link.listen({ onFrame: () => expect.fail('was delivered'), onClose: (closed) => ends.push(closed) })
    raw.send(new Uint8Array(bytes))
    await polling(() => undefined)(() => ends.length > 0)
    expect(ends).toEqual([{ reason: 'garbage', detail: expect.stringContaining(`${bytes} bytes`) }])
  })

  it('[F20] sends what was sent within a turn as one message, urgent frames each at once', async () => {
    const [raw, channel] = memoryChannelPair()
    const link = new ChannelLink(channel, near)
    const lengths: number[] = []
    raw.listen({ onMessage: ({ byteLength }) => lengths.push(byteLength), onLow: () => undefined, onClose: () => undefined })
    for (const bytes of [10, 20, 30]) link.send(new Uint8Array(bytes))
    link.send(new Uint8Array(5), 'urgent')
    await polling(() => undefined)(() => lengths.length === 2)
    link.send(new Uint8Array(40))
    await polling(() => undefined)(() => lengths.length === 3)
    expect(lengths).toEqual([5, 2 + (4 + 10) + (4 + 20) + (4 + 30), 40])
  })

  it('[F20] still sends what it was given in the turn in which it is closed', async () => {
    const [sender, receiver] = memoryLinkPair(near, far)
    const heard: number[] = []
    receiver.listen({ onFrame: ({ byteLength }) => heard.push(byteLength), onClose: ({ reason }) => expect(reason).toBe('remote') })
    await new Promise((resolve) => setTimeout(resolve, 0))
    sender.send(new Uint8Array(10))
    sender.send(new Uint8Array(20))
    sender.close()
    await polling(() => undefined)(() => heard.length === 2)
    expect(heard).toEqual([10, 20])
  })

  it('[F20] is closed as garbage by a bundle whose frames do not fill it', async () => {
    const [raw, channel] = memoryChannelPair()
    const link = new ChannelLink(channel, near)
    const ends: LinkClosed[] = []
    link.listen({ onFrame: () => expect.fail('was delivered'), onClose: (closed) => ends.push(closed) })
    raw.send(messageOf([new Uint8Array(10), new Uint8Array(20)]).slice(0, -1))
    await polling(() => undefined)(() => ends.length > 0)
    expect(ends).toEqual([{ reason: 'garbage', detail: expect.stringContaining('[F20]') }])
  })

  it('[F4] never sends a frame beyond the bound: that is a programmer’s error', () => {
    const [link] = memoryLinkPair(near, far)
    expect(() => link.send(new Uint8Array(FRAME_BYTES_MAX + 1))).toThrow(/assertion failed/)
    expect(() => link.send(new Uint8Array(0))).toThrow(/assertion failed/)
  })

  it('[H10] that nobody listens to holds 1 MiB and then closes', async () => {
    const [sender, receiver] = memoryLinkPair(near, far)
    const ends: LinkClosed[] = []
    sender.listen({ onFrame: () => undefined, onClose: (closed) => ends.push(closed) })
    for (let frame = 0; frame < 4; frame++) sender.send(new Uint8Array(FRAME_BYTES_MAX))
    await new Promise((resolve) => setTimeout(resolve, 0))
    expect(ends).toEqual([])
    sender.send(new Uint8Array(1))
    await polling(() => undefined)(() => ends.length > 0)
    expect(ends[0]?.reason).toBe('remote')
    const late: LinkClosed[] = []
    receiver.listen({ onFrame: () => undefined, onClose: (closed) => late.push(closed) })
    await polling(() => undefined)(() => late.length > 0)
    expect(late[0]?.reason).toBe('overflow')
  })

  it('says `lost` on both sides when the network goes', async () => {
    const [a, b] = memoryChannelPair()
    const ends: string[] = []
    for (const [channel, peer] of [
      [a, far],
      [b, near],
    ] as const)
      new ChannelLink(channel, peer).listen({ onFrame: () => undefined, onClose: ({ reason }) => ends.push(reason) })
    await new Promise((resolve) => setTimeout(resolve, 0))
    a.lose()
    await polling(() => undefined)(() => ends.length === 2)
    expect(ends).toEqual(['lost', 'lost'])
  })

  it('asserts that it is listened to once', () => {
    const [link] = memoryLinkPair(near, far)
    const handlers = { onFrame: () => undefined, onClose: () => undefined }
    link.listen(handlers)
    expect(() => link.listen(handlers)).toThrow(/twice/)
  })
})
