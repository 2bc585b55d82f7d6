/**
 * ChannelLink: a Link over a ByteChannel whose other end is known. Bounded queue, two watermarks, no timers. What is sent within a turn leaves
 * at its end, in one message where it fits.
 */

import {
  bundledCount,
  FRAME_BYTES_MAX,
  framesOf,
  LINK_QUEUE_BYTES_MAX,
  type Link,
  type LinkClosed,
  type LinkHandlers,
  type LinkStats,
  messageOf,
} from '../protocol/index.ts'
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
  #pumpsSoon = false

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
    if (this.#queuedBytes + this.#channel.bufferedBytes() + bytes > LINK_QUEUE_BYTES_MAX) {
      this.close({ reason: 'overflow', detail: `more than ${LINK_QUEUE_BYTES_MAX} bytes wait for peer ${this.peerId}` })
    } else if (priority === 'urgent') {
      this.#transmit([frame])
    } else {
      this.#queue.push(frame)
      this.#queuedBytes += bytes
      this.#pumpSoon()
    }
  }

  stats(): Promise<LinkStats> {
    return this.#channel.stats()
  }

  /** What the transport has no room for is dropped. */
  close(closed: LinkClosed = { reason: 'local', detail: 'closed here' }): void {
    if (this.#receiver.closed !== null) return
    if (closed.reason === 'local') this.#pump()
    this.#channel.close()
    this.#end(closed)
  }

  #receive(message: Uint8Array): void {
    const bytes = message.byteLength
    if (bytes === 0 || bytes > FRAME_BYTES_MAX)
      return this.close({ reason: 'garbage', detail: `[F4] peer ${this.peerId} sent a frame of ${bytes} bytes` })
    const frames = framesOf(message)
    if (frames === null)
      return this.close({
        reason: 'garbage',
        detail: `[F20] peer ${this.peerId} sent a bundle of ${bytes} bytes that its frames do not fill, or that is too long`,
      })
    if (!frames.every((frame) => this.#receiver.deliver(frame)))
      this.close({ reason: 'overflow', detail: `peer ${this.peerId} sent too much before anybody listened` })
  }

  #pumpSoon(): void {
    if (this.#pumpsSoon) return
    this.#pumpsSoon = true
    queueMicrotask(() => {
      this.#pumpsSoon = false
      this.#pump()
    })
  }

  /** Fills the transport up to the high watermark. */
  #pump(): void {
    while (this.#receiver.closed === null && this.#queue.length > 0 && this.#channel.bufferedBytes() < CHANNEL_HIGH_BYTES) {
      const frames = this.#queue.splice(0, bundledCount(this.#queue))
      for (const { byteLength } of frames) this.#queuedBytes -= byteLength
      this.#transmit(frames)
    }
  }

  #transmit(frames: readonly Uint8Array[]): void {
    try {
      this.#channel.send(messageOf(frames))
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
