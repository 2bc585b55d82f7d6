import { describe, expect, it } from 'vitest'
import type { LinkClosed } from '../../protocol/index.ts'
import { ManualClock, type PeerId } from '../../shared/index.ts'
import { memoryChannelPair } from '../memoryChannel.ts'
import type { ConnectionListener, FrameConnection } from './frameConnection.ts'
import { MemoryDataChannel } from './memoryConnection.ts'
import { linkOver } from './openLink.ts'
import { connect, type RtcConnection } from './rtcConnection.ts'

const peerId = 'ab'.repeat(16) as PeerId
const fingerprint = (byte: string) => `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => byte).join(':')}`

/** PeerJS's connection, and what the other side does on its two data channels. */
function fakeConnection() {
  const [frames, otherFrames] = memoryChannelPair()
  const [handshake, otherHandshake] = memoryChannelPair()
  const made: unknown[] = []
  let listener: ConnectionListener | null = null
  let closes = 0
  const peerConnection = Object.assign(new EventTarget(), {
    signalingState: 'have-local-offer',
    localDescription: { sdp: fingerprint('AA') },
    remoteDescription: { sdp: fingerprint('BB') },
    createDataChannel(_: string, init: RTCDataChannelInit) {
      made.push(init)
      return new MemoryDataChannel(frames)
    },
    getStats: async () => new Map([['d', { type: 'data-channel', bytesSent: 7, bytesReceived: 8 }]]),
  })
  const connection = {
    peerConnection,
    listen: (given: ConnectionListener) => {
      listener = given
    },
    close: () => void closes++,
  }
  const rtc = peerConnection as unknown as RTCPeerConnection
  return {
    connection: connection as unknown as FrameConnection,
    made,
    otherFrames,
    otherHandshake,
    closes: () => closes,
    open: () => listener?.onOpen(new MemoryDataChannel(handshake) as unknown as RTCDataChannel, rtc, []),
    stabilize: () => {
      peerConnection.signalingState = 'stable'
      peerConnection.dispatchEvent(new Event('signalingstatechange'))
    },
    end: (reason: 'remote' | 'lost') => listener?.onEnd(reason),
  }
}

const turns = () => new Promise((resolve) => setTimeout(resolve, 0))

async function connected() {
  const clock = new ManualClock()
  const fake = fakeConnection()
  const pending = connect({ connection: fake.connection, clock, peerId, withinMs: 1_000, place: 'page' })
  fake.open()
  fake.stabilize()
  return { ...fake, clock, ...(await pending) }
}

function linkOf(rtc: RtcConnection, clock: ManualClock) {
  const { link } = linkOver(rtc, peerId, { clock, onLarge: () => undefined, onEnd: () => undefined })
  const heard = { frames: [] as number[], ends: [] as LinkClosed[] }
  link.listen({ onFrame: ({ byteLength }) => heard.frames.push(byteLength), onClose: (closed) => heard.ends.push(closed) })
  return { link, heard }
}

describe('a WebRTC connection', () => {
  it('[H12] makes the channel of frames before it is open, by agreement', async () => {
    const { made, handshake, otherHandshake, otherFrames, rtc, clock } = await connected()
    expect(made).toEqual([{ negotiated: true, id: 2, ordered: true }])
    const [onHandshake, onFrames]: [number[], number[]] = [[], []]
    const listen = (kept: number[]) => ({
      onMessage: ({ byteLength }: Uint8Array) => void kept.push(byteLength),
      onLow: () => undefined,
      onClose: () => undefined,
    })
    otherHandshake.listen(listen(onHandshake))
    otherFrames.listen(listen(onFrames))
    handshake.send(new Uint8Array(3))
    linkOf(rtc, clock).link.send(new Uint8Array(40))
    await turns()
    expect([onHandshake, onFrames]).toEqual([[3], [40]])
  })

  it('[H4] is bound to both certificates, once both descriptions are set', async () => {
    const clock = new ManualClock()
    const fake = fakeConnection()
    let isThere = false
    const pending = connect({ connection: fake.connection, clock, peerId, withinMs: 1_000, place: 'page' }).then((value) => {
      isThere = true
      return value
    })
    fake.open()
    await turns()
    expect(isThere).toBe(false)
    fake.stabilize()
    const { binding } = (await pending).handshake
    expect([binding.localFingerprint[0], binding.remoteFingerprint[0]]).toEqual([0xaa, 0xbb])
  })

  it('[H10] keeps frames that come before the handshake has ended', async () => {
    const { otherFrames, rtc, clock } = await connected()
    for (const bytes of [40, 41]) otherFrames.send(new Uint8Array(bytes))
    await turns()
    const { heard } = linkOf(rtc, clock)
    await turns()
    expect(heard.frames).toEqual([40, 41])
  })

  it('[H12] ends as garbage when more than a handshake comes on its channel', async () => {
    const { rtc, clock, otherHandshake, closes } = await connected()
    expect(() => rtc.endHandshake([new Uint8Array(1)])).toThrow(/\[H12\]/)
    rtc.endHandshake([])
    const { heard } = linkOf(rtc, clock)
    await turns()
    otherHandshake.send(new Uint8Array(1))
    await turns()
    expect(heard.ends).toEqual([{ reason: 'garbage', detail: expect.stringContaining('[H12]') }])
    expect(closes()).toBe(1)
  })

  it.each(['remote', 'lost'] as const)('tells its link that it ended as `%s`, after what came before', async (reason) => {
    const { rtc, clock, end, otherFrames } = await connected()
    const { heard } = linkOf(rtc, clock)
    await turns()
    if (reason === 'remote') {
      otherFrames.send(new Uint8Array(40))
      otherFrames.close()
    }
    end(reason)
    await turns()
    expect(heard.frames).toEqual(reason === 'remote' ? [40] : [])
    expect(heard.ends.map((closed) => closed.reason)).toEqual([reason])
  })

  it('is `remote` some time after its end at the latest, though the browser closes no channel of frames', async () => {
    const { rtc, clock, end } = await connected()
    const { heard } = linkOf(rtc, clock)
    await turns()
    end('remote')
    await turns()
    expect(heard.ends).toEqual([])
    clock.advance(2_000)
    expect(heard.ends.map(({ reason }) => reason)).toEqual(['remote'])
  })

  it('is given up when it is not open in time', async () => {
    const clock = new ManualClock()
    const fake = fakeConnection()
    const pending = connect({ connection: fake.connection, clock, peerId, withinMs: 1_000, place: 'page' })
    clock.advance(1_000)
    expect(fake.closes()).toBe(1)
    fake.end('lost')
    await expect(pending).rejects.toMatchObject({ reason: 'unreachable' })
  })

  it('knows its last statistics when it has ended', async () => {
    const { rtc } = await connected()
    expect(await rtc.stats()).toMatchObject({ bytesSent: 7, bytesReceived: 8 })
    await rtc.end()
    expect(await rtc.stats()).toMatchObject({ bytesSent: 7, bytesReceived: 8 })
  })
})
