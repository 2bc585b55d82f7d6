/**
 * A ByteChannel over an RTCDataChannel, on a page or in a worker. What a data channel does not know of itself, its connection tells:
 * rtcConnection.ts on a page, carriedEnd.ts in a worker.
 */

import type { LinkStats } from '../../protocol/index.ts'
import type { Clock } from '../../shared/index.ts'
import { type ByteChannel, CHANNEL_LOW_BYTES, type ChannelClosed, type ChannelHandlers } from '../channel.ts'
import { HELD_BYTES_MAX } from '../receiver.ts'

/** How long a closing data channel may flush before its connection is torn down: a peer that has gone never acknowledges. */
export const FLUSH_MS = 2_000

/** The connection that a data channel belongs to. */
export interface ChannelConnection {
  /** Once it has ended: the last ones known. */
  stats(): Promise<LinkStats>
  /** Tears it down, where nobody has; resolves with what ended it. */
  end(): Promise<ChannelClosed>
}

export const CLOSED_THERE: ChannelClosed = { reason: 'remote', detail: 'the other side closed the connection' }

export class RtcChannel implements ByteChannel {
  /** Resolves as soon as messages may be sent, at the latest when it has ended. */
  readonly opened: Promise<void>
  readonly #dataChannel: RTCDataChannel
  readonly #connection: ChannelConnection
  readonly #clock: Clock
  #tellOpened: () => void = () => undefined
  #handlers: ChannelHandlers | null = null
  #early: Uint8Array[] = []
  #earlyBytes = 0
  #closed = false
  /** What ended it, unless it was closed here. */
  #ended: ChannelClosed | null = null
  /** The data channel has been closed, by the other side or by the connection's end. */
  #shut = false

  /** In the task in which the data channel was made or came here. `early`: what it brought before that, in order. */
  constructor(dataChannel: RTCDataChannel, connection: ChannelConnection, clock: Clock, early: readonly MessageEvent[] = []) {
    this.#dataChannel = dataChannel
    this.#connection = connection
    this.#clock = clock
    this.opened = new Promise((resolve) => {
      this.#tellOpened = resolve
    })
    dataChannel.binaryType = 'arraybuffer'
    dataChannel.bufferedAmountLowThreshold = CHANNEL_LOW_BYTES
    for (const { data } of early) this.#receive(data)
    dataChannel.addEventListener('message', ({ data }) => this.#receive(data))
    dataChannel.addEventListener('bufferedamountlow', () => this.#handlers?.onLow())
    dataChannel.addEventListener('open', () => this.#tellOpened())
    dataChannel.addEventListener('close', () => this.#handleShut())
    if (dataChannel.readyState === 'open') this.#tellOpened()
    if (dataChannel.readyState === 'closed') this.#handleShut()
  }

  get closed(): boolean {
    return this.#closed
  }

  bufferedBytes(): number {
    return this.#dataChannel.bufferedAmount
  }

  listen(handlers: ChannelHandlers): void {
    this.#handlers = handlers
    this.#earlyBytes = 0
    for (const bytes of this.#early.splice(0)) this.#handlers?.onMessage(bytes)
    if (this.#ended !== null) handlers.onClose(this.#ended)
  }

  /** What is sent after the other side's close goes nowhere; the listener is about to be told. */
  send(bytes: Uint8Array): void {
    if (!this.#shut) this.#dataChannel.send(bytes as Uint8Array<ArrayBuffer>)
  }

  stats(): Promise<LinkStats> {
    return this.#connection.stats()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers = null
    this.#tellOpened()
    if (this.#shut) return
    this.#dataChannel.close()
    const end = () => void this.#connection.end()
    const cancel = this.#clock.after(FLUSH_MS, end)
    this.#dataChannel.addEventListener('close', () => {
      cancel()
      end()
    })
  }

  /** For the connection: it has ended. What the other side sent before closing it may still be on its way to here. */
  handleEnd(closed: ChannelClosed): void {
    if (this.#closed) return
    if (closed.reason !== 'remote' || this.#dataChannel.readyState === 'closed') this.#end(closed)
    else this.#clock.after(FLUSH_MS, () => this.#end(closed))
  }

  #handleShut(): void {
    if (this.#closed || this.#shut) return
    this.#shut = true
    void this.#connection.end().then((closed) => this.#end(closed))
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) this.#deliver(new Uint8Array(data))
    else this.#refuse('[F4] a text message on a channel of frames')
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#closed) return
    if (this.#handlers !== null) return this.#handlers.onMessage(bytes)
    this.#early.push(bytes)
    this.#earlyBytes += bytes.byteLength + 64
    if (this.#earlyBytes > HELD_BYTES_MAX) this.#refuse('[H10] it sent too much before it was authenticated')
  }

  #refuse(detail: string): void {
    this.#end({ reason: 'garbage', detail })
    void this.#connection.end()
  }

  #end(closed: ChannelClosed): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = closed
    const handlers = this.#handlers
    this.#handlers = null
    this.#tellOpened()
    handlers?.onClose(closed)
  }
}
