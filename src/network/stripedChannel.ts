/**
 * StripedChannel: a ByteChannel whose messages travel as slices of at most four packets, over one or more others: its lanes. An
 * SCTP association sends four packets when a message is handed to it, and goes on when those are acknowledged; and all that it has under
 * way is bounded by a window that starts small for each. At 20 ms each way 10 KB took 70 ms as one message and 24 in slices, 100 KB 200
 * ms as one, 75 in slices, 31 … 46 over three lanes (docs/benchmarks/wire-5.md). For WebRTC; other carriers have neither bound.
 *
 * A slice has no header: one of SLICE_BYTES is followed by another of the same message, a shorter one (empty where nothing is left)
 * is the last. Slices are dealt to the lanes in turn, each message's first to lane 0, and every lane keeps its order: so the receiver
 * takes them in the same turns, and what fits a slice travels as it is, in lane 0, without a copy. An empty slice where a message
 * would begin says that the sender deals to one lane more from there on. Who opens lanes: webrtc/peerJsNetwork.ts.
 */

import { FRAME_BYTES_MAX, type LinkStats } from '../protocol/index.ts'
import { assert, concatBytes, required } from '../shared/index.ts'
import { type ByteChannel, CHANNEL_HIGH_BYTES, CHANNEL_LOW_BYTES, type ChannelClosed, type ChannelHandlers, sumStats } from './channel.ts'

/** Four packets of Chromium's 1,191 bytes hold 4,624, less some for what headers may still grow by. */
export const SLICE_BYTES = 4_600

/** Each lane costs a peer connection; 200 KB, a chunk of a prompt, came in 73 ms over three and in 200 over one. */
export const LANES_MAX = 3

/** Up to eight slices one lane was as fast as three; beyond it more lanes pay for their connections. */
const LARGE_BYTES = 8 * SLICE_BYTES

/** What may wait for a lane that has fallen behind: a sender stops when it holds CHANNEL_HIGH_BYTES, and a window is a few MB at most. */
const HELD_BYTES_MAX = 16 * 1024 * 1024

interface Lane {
  readonly channel: ByteChannel
  /** Slices that came before their turn. */
  readonly queue: Uint8Array[]
  ended: boolean
}

export interface StripedChannelOptions {
  /** Each time a message is sent that more lanes than these would carry faster, while another may be added. */
  readonly onLarge?: (laneCount: number) => void
}

export class StripedChannel implements ByteChannel {
  readonly #lanes: Lane[]
  readonly #onLarge: (laneCount: number) => void
  #handlers: ChannelHandlers | null = null
  #closed = false
  /** Lanes that the other side deals to, as far as it has said. */
  #dealtLanes = 1
  /** Whose turn it is. */
  #turn = 0
  /** Of the message under way. */
  #slices: Uint8Array[] = []
  #slicesBytes = 0
  #queuedBytes = 0

  constructor(first: ByteChannel, options: StripedChannelOptions = {}) {
    this.#lanes = [{ channel: first, queue: [], ended: false }]
    this.#onLarge = options.onLarge ?? (() => undefined)
  }

  get closed(): boolean {
    return this.#closed
  }

  get laneCount(): number {
    return this.#lanes.length
  }

  /** Whether the other side has said that it has every lane of this one: before that another might come to it in another order. */
  get isSettled(): boolean {
    return this.#dealtLanes >= this.#lanes.length
  }

  /** `channel` leads to the same peer, authenticated; both sides add the same ones in the same order. `backlog` came on it already. */
  addLane(channel: ByteChannel, backlog: readonly Uint8Array[] = []): void {
    if (this.#closed) return channel.close()
    assert(this.#lanes.length < LANES_MAX, `${this.#lanes.length} lanes are all that there may be`)
    assert(this.#handlers !== null, 'a lane is added before anybody listens')
    const lane: Lane = { channel, queue: [], ended: false }
    this.#lanes.push(lane)
    this.#first.channel.send(new Uint8Array(0))
    this.#listenTo(lane)
    for (const slice of backlog) this.#receive(lane, slice)
    this.#deliver()
  }

  bufferedBytes(): number {
    return this.#lanes.reduce((sum, { channel }) => sum + channel.bufferedBytes(), 0)
  }

  listen(handlers: ChannelHandlers): void {
    const isFirst = this.#handlers === null
    this.#handlers = handlers
    if (isFirst) this.#listenTo(this.#first)
  }

  /** Throws where a lane is missing: the other side has closed it. */
  send(bytes: Uint8Array): void {
    for (let at = 0, turn = 0; at <= bytes.byteLength; at += SLICE_BYTES, turn = (turn + 1) % this.#lanes.length) {
      const { channel, ended } = required(this.#lanes[turn], 'a lane')
      if (ended) throw new Error(`lane ${turn} was closed by the other side`)
      channel.send(bytes.subarray(at, at + SLICE_BYTES))
    }
    if (bytes.byteLength > LARGE_BYTES && this.laneCount < LANES_MAX && this.isSettled) this.#onLarge(this.laneCount)
  }

  async stats(): Promise<LinkStats> {
    const [, ...others] = this.#lanes
    return sumStats(await Promise.all([this.#first.channel.stats(), ...others.map(({ channel }) => channel.stats())]))
  }

  close(): void {
    this.#closed = true
    this.#slices = []
    for (const lane of this.#lanes) {
      lane.queue.length = 0
      lane.channel.close()
    }
  }

  get #first(): Lane {
    return required(this.#lanes[0], 'the first lane')
  }

  #listenTo(lane: Lane): void {
    lane.channel.listen({
      onMessage: (slice) => {
        this.#receive(lane, slice)
        this.#deliver()
      },
      onLow: () => this.#handlers?.onLow(),
      onClose: (closed) => this.#laneEnded(lane, closed),
    })
  }

  #receive(lane: Lane, slice: Uint8Array): void {
    if (this.#closed) return
    lane.queue.push(slice)
    this.#queuedBytes += queuedBytes(slice)
  }

  /** Takes what has come, as far as it is whose turn it is. */
  #deliver(): void {
    while (!this.#closed) {
      const lane = this.#lanes[this.#turn]
      const slice = lane?.queue.shift()
      if (slice === undefined) {
        if (lane?.ended === true && this.#turn > 0) this.#end({ reason: 'lost', detail: `lane ${this.#turn} ended within a frame` })
        else if (this.#queuedBytes > HELD_BYTES_MAX) this.#refuse(`[F19] ${this.#queuedBytes} bytes that wait for lane ${this.#turn}`)
        return
      }
      this.#queuedBytes -= queuedBytes(slice)
      this.#take(slice)
    }
  }

  #take(slice: Uint8Array): void {
    const bytes = slice.byteLength
    if (bytes > SLICE_BYTES) return this.#refuse(`[F18] a slice of ${bytes} bytes; they have at most ${SLICE_BYTES}`)
    if (bytes === 0 && this.#slices.length === 0) {
      if (++this.#dealtLanes > LANES_MAX) this.#refuse(`[F19] ${this.#dealtLanes} lanes; there are at most ${LANES_MAX}`)
      return
    }
    this.#slicesBytes += bytes
    if (this.#slicesBytes > FRAME_BYTES_MAX) return this.#refuse(`[F18] slices of ${this.#slicesBytes} bytes for one frame`)
    if (bytes === SLICE_BYTES) {
      this.#slices.push(slice)
      this.#turn = (this.#turn + 1) % this.#dealtLanes
      return
    }
    const message = this.#slices.length === 0 ? slice : concatBytes([...this.#slices, slice])
    this.#slices = []
    this.#slicesBytes = 0
    this.#turn = 0
    this.#handlers?.onMessage(message)
  }

  /** Of several lanes that the other side closes, what was sent before may still be under way in the others. */
  #laneEnded(lane: Lane, closed: ChannelClosed): void {
    lane.ended = true
    if (closed.reason !== 'remote' || this.#lanes.every(({ ended }) => ended)) this.#end(closed)
    else this.#deliver()
  }

  #refuse(detail: string): void {
    this.#end({ reason: 'garbage', detail })
  }

  #end(closed: ChannelClosed): void {
    if (this.#closed) return
    this.close()
    this.#handlers?.onClose(closed)
  }
}

/** An empty slice takes memory too. */
function queuedBytes(slice: Uint8Array): number {
  return slice.byteLength + 64
}

// When everything waits, some lane holds more than the low watermark, and will tell when it has fallen to it.
assert(LANES_MAX * CHANNEL_LOW_BYTES < CHANNEL_HIGH_BYTES, 'lanes may hold the high watermark without passing a low one')
