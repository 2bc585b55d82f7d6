/** A pair of channels in this process: the network of tests and simulations. Like a real one it delivers later, and buffers. */

import type { LinkStats } from '../protocol/index.ts'
import type { Clock } from '../shared/index.ts'
import { type BoundChannel, CHANNEL_LOW_BYTES, type ChannelBinding, type ChannelClosed, type ChannelHandlers } from './channel.ts'

/** Delivers `delayMs` later by `clock`; without one, at the end of the current turn. */
export interface MemoryOptions {
  readonly clock?: Clock
  readonly delayMs?: number
  /** Of both ends; a man in the middle would give each end another. */
  readonly fingerprints?: readonly [Uint8Array, Uint8Array]
}

export function memoryChannelPair(options: MemoryOptions = {}): readonly [MemoryChannel, MemoryChannel] {
  const [first, second] = options.fingerprints ?? [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const a = new MemoryChannel(options, { localFingerprint: first, remoteFingerprint: second })
  const b = new MemoryChannel(options, { localFingerprint: second, remoteFingerprint: first })
  a.connect(b)
  b.connect(a)
  return [a, b]
}

export class MemoryChannel implements BoundChannel {
  readonly binding: ChannelBinding
  readonly #options: MemoryOptions
  #other: MemoryChannel | null = null
  #handlers: ChannelHandlers | null = null
  #bufferedBytes = 0
  #bytesSent = 0
  #bytesReceived = 0

  constructor(options: MemoryOptions, binding: ChannelBinding) {
    this.#options = options
    this.binding = binding
  }

  /** Once, by `memoryChannelPair`. */
  connect(other: MemoryChannel): void {
    this.#other = other
  }

  bufferedBytes(): number {
    return this.#bufferedBytes
  }

  listen(handlers: ChannelHandlers): void {
    this.#handlers = handlers
  }

  send(bytes: Uint8Array): void {
    const other = this.#other
    if (other === null) return
    this.#bufferedBytes += bytes.byteLength
    this.#bytesSent += bytes.byteLength
    this.#later(() => {
      const before = this.#bufferedBytes
      this.#bufferedBytes -= bytes.byteLength
      other.#receive(bytes)
      if (before > CHANNEL_LOW_BYTES && this.#bufferedBytes <= CHANNEL_LOW_BYTES) this.#handlers?.onLow()
    })
  }

  async stats(): Promise<LinkStats> {
    return { kind: 'memory', bytesSent: this.#bytesSent, bytesReceived: this.#bytesReceived, roundTripMs: 2 * (this.#options.delayMs ?? 0) }
  }

  close(): void {
    this.#leave({ reason: 'remote', detail: 'the other side closed the link' })
  }

  /** As if the network had failed between the two. */
  lose(): void {
    const handlers = this.#handlers
    this.#leave({ reason: 'lost', detail: 'the connection was lost' })
    handlers?.onClose({ reason: 'lost', detail: 'the connection was lost' })
  }

  #leave(closed: ChannelClosed): void {
    const other = this.#other
    this.#other = null
    this.#handlers = null
    if (other === null) return
    this.#later(() => {
      const handlers = other.#handlers
      other.#handlers = null
      other.#other = null
      handlers?.onClose(closed)
    })
  }

  #receive(bytes: Uint8Array): void {
    if (this.#other === null) return
    this.#bytesReceived += bytes.byteLength
    this.#handlers?.onMessage(bytes)
  }

  #later(callback: () => void): void {
    const { clock, delayMs } = this.#options
    if (clock === undefined) queueMicrotask(callback)
    else clock.after(delayMs ?? 0, callback)
  }
}
