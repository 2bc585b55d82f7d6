/**
 * RtcConnection: one WebRTC connection as a link needs it. It has two data channels: PeerJS's, which the dialer announces and which
 * carries the handshake and nothing else, and that of the frames, which both sides make by agreement [H12]. The second one may live in a
 * worker, where the frames are handled (carriedChannel.ts): browsers give a data channel away only in the task in which it was made, so
 * it is made, and given away, before anything is known of the other side.
 */

import type { LinkStats } from '../../protocol/index.ts'
import { type Clock, type PeerId, TabswarmError } from '../../shared/index.ts'
import type { BoundChannel, ChannelBinding, ChannelClosed } from '../channel.ts'
import { CarriedChannel } from './carriedChannel.ts'
import type { FrameConnection } from './frameConnection.ts'
import { type ChannelConnection, CLOSED_THERE, RtcChannel } from './rtcChannel.ts'
import { fingerprintOf, readStats } from './rtcStats.ts'

/** The data channel of frames: its number is free on both sides, since PeerJS's own has 0 or 1. */
const FRAMES_CHANNEL = { negotiated: true, id: 2, ordered: true } as const

export interface ConnectOptions {
  readonly connection: FrameConnection
  readonly clock: Clock
  readonly peerId: PeerId
  readonly withinMs: number
  /** Where frames shall be handled; on the page too where the browser cannot carry a data channel into a worker. */
  readonly place: FramePlace
}

export interface Connected {
  readonly rtc: RtcConnection
  readonly handshake: BoundChannel
}

export type FramePlace = 'page' | 'worker'

/**
 * From PeerJS's connection, in the turn in which PeerJS made it, to one whose handshake can begin. Rejects with TabswarmError `unreachable`,
 * everything torn down.
 */
export function connect({ connection, clock, peerId, withinMs, place }: ConnectOptions): Promise<Connected> {
  return new Promise((resolve, reject) => {
    const rtc = new RtcConnection(connection, clock, place)
    const unreachable = (detail: string) => reject(new TabswarmError('unreachable', `peer ${peerId} cannot be reached: ${detail}`))
    const cancelDeadline = clock.after(withinMs, () => connection.close())
    connection.listen({
      onOpen: (dataChannel, peerConnection, early) => {
        const handshake = rtc.openHandshake(dataChannel, early)
        void Promise.all([whenStable(peerConnection), rtc.opened]).then(() => {
          cancelDeadline()
          if (!rtc.closed) resolve({ rtc, handshake })
        })
      },
      onEnd: (reason) => {
        cancelDeadline()
        rtc.handleEnd(reason === 'remote' ? CLOSED_THERE : { reason, detail: 'the connection was lost' })
        // Without effect where it had been open.
        unreachable('the connection could not be made; a firewall or two networks may lie between')
      },
    })
  })
}

/** Resolves when both descriptions are set: Chromium may open a data channel while the answer is still being applied. */
function whenStable(connection: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (connection.signalingState !== 'stable') return
      connection.removeEventListener('signalingstatechange', check)
      resolve()
    }
    connection.addEventListener('signalingstatechange', check)
    check()
  })
}

/** A connection as a link has it. */
export interface FramedConnection extends ChannelConnection {
  /** The page's, or the page's end of one that lives in a worker. */
  readonly frames: RtcChannel | CarriedChannel
}

export class RtcConnection implements FramedConnection {
  readonly frames: RtcChannel | CarriedChannel
  readonly #connection: FrameConnection
  readonly #rtc: RTCPeerConnection
  readonly #clock: Clock
  #handshake: HandshakeChannel | null = null
  #closed: ChannelClosed | null = null
  #lastStats: LinkStats = { kind: 'webrtc', bytesSent: 0, bytesReceived: 0, roundTripMs: null }

  constructor(connection: FrameConnection, clock: Clock, place: FramePlace) {
    this.#connection = connection
    this.#rtc = connection.peerConnection
    this.#clock = clock
    const dataChannel = this.#rtc.createDataChannel('frames', FRAMES_CHANNEL)
    const carried = place === 'worker' ? CarriedChannel.carry(dataChannel, this) : null
    this.frames = carried ?? new RtcChannel(dataChannel, this, clock)
  }

  get closed(): boolean {
    return this.#closed !== null
  }

  get place(): FramePlace {
    return this.frames instanceof CarriedChannel ? 'worker' : 'page'
  }

  /** Resolves when frames may be sent, as far as that is seen from here. */
  get opened(): Promise<void> {
    return this.frames.opened
  }

  /** `early`: what came on PeerJS's data channel before it was told open, in order. */
  openHandshake(dataChannel: RTCDataChannel, early: readonly MessageEvent[]): BoundChannel {
    const handshake = new HandshakeChannel(dataChannel, this, this.#clock, early, () => this.#bindingOf())
    this.#handshake = handshake
    return handshake
  }

  /** The other side is known now. Throws where it said more than its proof [H12]. */
  endHandshake(backlog: readonly Uint8Array[]): void {
    const refuse = () => this.#finish({ reason: 'garbage', detail: '[H12] a message behind the handshake on its channel' })
    if (backlog.length > 0) throw new TabswarmError('handshake-failed', '[H12] it sent more than a handshake on its channel')
    this.#handshake?.listen({ onMessage: refuse, onLow: () => undefined, onClose: () => undefined })
  }

  async stats(): Promise<LinkStats> {
    if (this.#closed === null) this.#lastStats = readStats(await this.#rtc.getStats(), this.#lastStats)
    return this.#lastStats
  }

  async end(): Promise<ChannelClosed> {
    return this.#finish(CLOSED_THERE)
  }

  /** For who watches PeerJS's connection. */
  handleEnd(closed: ChannelClosed): void {
    this.#finish(closed)
  }

  /** The first end counts. */
  #finish(closed: ChannelClosed): ChannelClosed {
    if (this.#closed !== null) return this.#closed
    this.#closed = closed
    this.#handshake?.handleEnd(closed)
    this.frames.handleEnd(closed)
    this.#connection.close()
    return closed
  }

  #bindingOf(): ChannelBinding {
    return {
      localFingerprint: fingerprintOf(this.#rtc.localDescription),
      remoteFingerprint: fingerprintOf(this.#rtc.remoteDescription),
    }
  }
}

class HandshakeChannel extends RtcChannel implements BoundChannel {
  readonly #bindingOf: () => ChannelBinding

  constructor(
    dataChannel: RTCDataChannel,
    connection: ChannelConnection,
    clock: Clock,
    early: readonly MessageEvent[],
    bindingOf: () => ChannelBinding,
  ) {
    super(dataChannel, connection, clock, early)
    this.#bindingOf = bindingOf
  }

  /** Throws TabswarmError `handshake-failed` where the connection does not tell one certificate for each side. */
  get binding(): ChannelBinding {
    return this.#bindingOf()
  }
}
