/** ChannelLink: a Link over a ByteChannel whose other end is known. Bounded queue, two watermarks, no timers. */

import { FRAME_BYTES_MAX, LINK_QUEUE_BYTES_MAX, type Link, type LinkClosed, type LinkHandlers, type LinkStats } from '../protocol/index.ts'
import { assert, type PeerId } from '../shared/index.ts'
import { type ByteChannel, CHANNEL_HIGH_BYTES, CHANNEL_LOW_BYTES } from './channel.ts'
import { Receiver } from './receiver.ts'

export class ChannelLink implements Link {
  readonly peerId: PeerId
  readonly #channel: ByteChannel
  readonly #receiver = new Receiver()
  readonly #onEnd: (link: Link) => void
  #queue: Uint8Array[] = []
  #queuedBytes = 0

  /** `backlog`: frames that came behind the handshake. `onEnd` is for the link's keeper; it is called before the listener's onClose. */
  constructor(
    channel: ByteChannel,
    peerId: PeerId,
    options?: { readonly backlog?: readonly Uint8Array[]; readonly onEnd?: (link: Link) => void },
  ) {
    this.peerId = peerId
    this.#channel = channel
    this.#onEnd = options?.onEnd ?? (() => undefined)
    channel.listen({
      onMessage: (bytes) => this.#receive(bytes),
      onLow: () => this.#pump(),
      onClose: (closed) => this.#end(closed),
    })
    for (const frame of options?.backlog ?? []) this.#receive(frame)
  }

  get closed(): boolean {
    return this.#receiver.closed !== null
  }

  listen(handlers: LinkHandlers): void {
    this.#receiver.listen(handlers)
  }

  /** Urgent frames go straight to the transport, which never holds more than CHANNEL_HIGH_BYTES of data before them. */
  send(frame: Uint8Array, priority: 'data' | 'urgent' = 'data'): void {
    if (this.#receiver.closed !== null) return
    const bytes = frame.byteLength
    assert(bytes > 0 && bytes <= FRAME_BYTES_MAX, `a frame of ${bytes} bytes is not in 1 … ${FRAME_BYTES_MAX}`)
    const bufferedBytes = this.#channel.bufferedBytes()
    if (this.#queuedBytes + bufferedBytes + bytes > LINK_QUEUE_BYTES_MAX) {
      this.close({ reason: 'overflow', detail: `more than ${LINK_QUEUE_BYTES_MAX} bytes wait for peer ${this.peerId}` })
    } else if (priority === 'urgent' || (this.#queue.length === 0 && bufferedBytes < CHANNEL_HIGH_BYTES)) {
      this.#transmit(frame)
    } else {
      this.#queue.push(frame)
      this.#queuedBytes += bytes
    }
  }

  stats(): Promise<LinkStats> {
    return this.#channel.stats()
  }

  /** Frames that still wait in the queue are dropped. */
  close(closed: LinkClosed = { reason: 'local', detail: 'closed here' }): void {
    if (this.#receiver.closed !== null) return
    this.#channel.close()
    this.#end(closed)
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.byteLength === 0 || bytes.byteLength > FRAME_BYTES_MAX) {
      this.close({ reason: 'garbage', detail: `[F4] peer ${this.peerId} sent a frame of ${bytes.byteLength} bytes` })
    } else if (!this.#receiver.deliver(bytes)) {
      this.close({ reason: 'overflow', detail: `peer ${this.peerId} sent too much before anybody listened` })
    }
  }

  /** Fills the transport up to the high watermark. */
  #pump(): void {
    let sent = 0
    while (this.#receiver.closed === null && sent < this.#queue.length && this.#channel.bufferedBytes() < CHANNEL_HIGH_BYTES) {
      const frame = this.#queue[sent++]
      if (frame === undefined) break
      this.#queuedBytes -= frame.byteLength
      this.#transmit(frame)
    }
    this.#queue.splice(0, sent)
  }

  #transmit(frame: Uint8Array): void {
    try {
      this.#channel.send(frame)
    } catch (error) {
      this.close({ reason: 'lost', detail: `sending to peer ${this.peerId} failed: ${String(error)}` })
    }
  }

  #end(closed: LinkClosed): void {
    if (this.#receiver.closed !== null) return
    this.#queue = []
    this.#queuedBytes = 0
    this.#onEnd(this)
    this.#receiver.close(closed)
  }
}

// Below the high watermark the transport tells when it runs low; with low ≥ high no event would ever come.
assert(CHANNEL_LOW_BYTES < CHANNEL_HIGH_BYTES, 'the low watermark is not below the high one')
