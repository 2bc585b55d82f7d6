/**
 * SlicedChannel: a ByteChannel whose messages travel as slices of at most four packets over another one. An SCTP association sends
 * four packets when a message is handed to it, and goes on when those are acknowledged: at 20 ms each way a message of 10 KB took
 * 72 ms where its slices took 25, one of 100 KB 200 instead of 75 … 115 (docs/benchmarks/wire-5.md). For WebRTC; other carriers
 * have no such bursts.
 *
 * A slice has no header: one of SLICE_BYTES is followed by another of the same message, a shorter one (empty where nothing is left)
 * is the last. So what fits a slice travels as it is, without a copy.
 */

import { FRAME_BYTES_MAX, type LinkStats } from '../protocol/index.ts'
import { concatBytes } from '../shared/index.ts'
import type { ByteChannel, ChannelBinding, ChannelHandlers } from './channel.ts'

/** Four packets of Chromium's 1,191 bytes hold 4,624, less some for what headers may still grow by. */
export const SLICE_BYTES = 4_600

export class SlicedChannel implements ByteChannel {
  readonly #channel: ByteChannel
  #slices: Uint8Array[] = []
  #slicesBytes = 0
  #closed = false

  constructor(channel: ByteChannel) {
    this.#channel = channel
  }

  get binding(): ChannelBinding {
    return this.#channel.binding
  }

  bufferedBytes(): number {
    return this.#channel.bufferedBytes()
  }

  listen(handlers: ChannelHandlers): void {
    this.#channel.listen({
      onMessage: (slice) => this.#receive(slice, handlers),
      onLow: () => handlers.onLow(),
      onClose: (closed) => handlers.onClose(closed),
    })
  }

  send(bytes: Uint8Array): void {
    for (let at = 0; at <= bytes.byteLength; at += SLICE_BYTES) this.#channel.send(bytes.subarray(at, at + SLICE_BYTES))
  }

  stats(): Promise<LinkStats> {
    return this.#channel.stats()
  }

  close(): void {
    this.#closed = true
    this.#drop()
    this.#channel.close()
  }

  #receive(slice: Uint8Array, handlers: ChannelHandlers): void {
    const bytes = slice.byteLength
    if (this.#closed) return
    if (bytes > SLICE_BYTES) return this.#refuse(handlers, `a slice of ${bytes} bytes; they have at most ${SLICE_BYTES}`)
    this.#slicesBytes += bytes
    if (this.#slicesBytes > FRAME_BYTES_MAX) return this.#refuse(handlers, `slices of ${this.#slicesBytes} bytes for one frame`)
    if (bytes === SLICE_BYTES) {
      this.#slices.push(slice)
      return
    }
    const message = this.#slices.length === 0 ? slice : concatBytes([...this.#slices, slice])
    this.#drop()
    handlers.onMessage(message)
  }

  #refuse(handlers: ChannelHandlers, detail: string): void {
    this.close()
    handlers.onClose({ reason: 'garbage', detail: `[F18] ${detail}` })
  }

  #drop(): void {
    this.#slices = []
    this.#slicesBytes = 0
  }
}
