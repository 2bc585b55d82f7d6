/**
 * The worker's end of a carried link: data channels that its page gave away are its lanes, with the same slices, queue and watermarks as
 * on a page, so a frame passes no other thread of this program. Page's end: carriedChannel.ts, carriedLink.ts.
 */

import type { Link, LinkClosed, LinkStats } from '../../protocol/index.ts'
import { type Clock, type PeerId, SerialQueue, TabswarmError } from '../../shared/index.ts'
import type { ChannelClosed } from '../channel.ts'
import { ChannelLink } from '../channelLink.ts'
import { StripedChannel } from '../stripedChannel.ts'
import type { ToPage, ToWorker } from './carriedChannel.ts'
import { type ChannelConnection, RtcChannel } from './rtcChannel.ts'

/** The link whose first lane waits in `port`. Rejects with TabswarmError `unreachable` when it has ended, or the browser lost it. */
export function takeCarried(port: MessagePort, peerId: PeerId, clock: Clock, onEnd: () => void): Promise<Link> {
  const work = new SerialQueue()
  let carried: { readonly link: ChannelLink; readonly channel: StripedChannel } | null = null
  const end = new CarriedEnd(port, clock, {
    onLane: (lanePort) => void work.run(() => addLane(lanePort)),
    onClose: (closed) => void work.run(async () => carried?.link.close(closed)),
  })
  const addLane = async (lanePort: MessagePort) => {
    const lane = await new CarriedEnd(lanePort, clock).opened
    if (carried === null || lane === null) carried?.link.close({ reason: 'lost', detail: 'a lane ended while it was added' })
    else carried.channel.addLane(lane)
  }
  return work.run(async () => {
    const first = await end.opened
    if (first === null) throw new TabswarmError('unreachable', `the link to peer ${peerId} ended before it was handed over`)
    const channel = new StripedChannel(first, { onLarge: (laneCount) => end.post({ kind: 'large', laneCount }) })
    const ended = () => {
      end.post({ kind: 'link-ended' })
      onEnd()
    }
    const link = new ChannelLink(channel, peerId, { onEnd: ended })
    carried = { link, channel }
    return link
  })
}

interface LinkOrders {
  readonly onLane: (port: MessagePort) => void
  readonly onClose: (closed: LinkClosed) => void
}

/** One data channel and the port to its connection, which the page keeps. */
class CarriedEnd implements ChannelConnection {
  /** Null when it ended before it was open. */
  readonly opened: Promise<RtcChannel | null>
  readonly #port: MessagePort
  readonly #clock: Clock
  readonly #orders: LinkOrders | null
  readonly #ended: Promise<ChannelClosed>
  readonly #statsWaiting = new Map<number, (stats: LinkStats) => void>()
  #tellEnded: (closed: ChannelClosed) => void = () => undefined
  #tellChannel: (channel: RtcChannel | null) => void = () => undefined
  #channel: RtcChannel | null = null
  #hasEnded = false
  #lastStats: LinkStats = { kind: 'webrtc', bytesSent: 0, bytesReceived: 0, roundTripMs: null }
  #statsId = 0

  constructor(port: MessagePort, clock: Clock, orders: LinkOrders | null = null) {
    this.#port = port
    this.#clock = clock
    this.#orders = orders
    this.#ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
    const arrived = new Promise<RtcChannel | null>((resolve) => {
      this.#tellChannel = resolve
    })
    this.opened = arrived.then(async (channel) => {
      await channel?.opened
      return channel?.closed === false ? channel : null
    })
    // A browser that cannot give the data channel to this thread after all: the connection is of no use.
    port.onmessageerror = () => this.#fail()
    port.onmessage = ({ data }: MessageEvent<ToWorker>) => this.#handle(data)
  }

  stats(): Promise<LinkStats> {
    if (this.#hasEnded) return Promise.resolve(this.#lastStats)
    const id = this.#statsId++
    return new Promise((resolve) => {
      this.#statsWaiting.set(id, resolve)
      this.post({ kind: 'stats-wanted', id })
    })
  }

  end(): Promise<ChannelClosed> {
    this.post({ kind: 'end' })
    return this.#ended
  }

  post(message: ToPage): void {
    this.#port.postMessage(message)
  }

  #handle(message: ToWorker): void {
    switch (message.kind) {
      case 'channel':
        return this.#take(message.channel)
      case 'stats':
        this.#lastStats = message.stats
        this.#statsWaiting.get(message.id)?.(message.stats)
        this.#statsWaiting.delete(message.id)
        return
      case 'ended':
        return this.#handleEnded(message.closed)
      case 'lane':
        return this.#orders?.onLane(message.port)
      case 'close':
        return this.#orders?.onClose(message.closed)
    }
  }

  /** Whoever listens later loses what comes before. */
  #take(dataChannel: RTCDataChannel): void {
    this.#channel = new RtcChannel(dataChannel, this, this.#clock)
    this.#tellChannel(this.#channel)
  }

  #handleEnded(closed: ChannelClosed): void {
    this.#hasEnded = true
    for (const resolve of this.#statsWaiting.values()) resolve(this.#lastStats)
    this.#statsWaiting.clear()
    this.#tellEnded(closed)
    this.#channel?.handleEnd(closed)
    this.#tellChannel(null)
    this.#port.close()
  }

  #fail(): void {
    this.post({ kind: 'end' })
    this.#tellChannel(null)
  }
}
