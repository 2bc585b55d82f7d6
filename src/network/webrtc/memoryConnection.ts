/**
 * The two ends of a WebRTC connection in this process, and ports that carry data channels, for tests: Node has neither. As in a browser
 * events come in later turns, an end that is torn down closes its data channel at both, and one that was given away may lag behind.
 */

import type { LinkStats } from '../../protocol/index.ts'
import type { Clock } from '../../shared/index.ts'
import type { ChannelClosed } from '../channel.ts'
import { type MemoryChannel, memoryChannelPair } from '../memoryChannel.ts'
import { CarriedChannel } from './carriedChannel.ts'
import { CLOSED_THERE, RtcChannel } from './rtcChannel.ts'
import type { FramedConnection, FramePlace } from './rtcConnection.ts'

/** As much of an RTCDataChannel as RtcChannel uses. */
export class MemoryDataChannel extends EventTarget {
  binaryType = 'blob'
  bufferedAmountLowThreshold = 0
  readyState: RTCDataChannelState = 'open'
  readonly #memory: MemoryChannel

  constructor(memory: MemoryChannel) {
    super()
    this.#memory = memory
    memory.listen({
      onMessage: (bytes) => this.dispatchEvent(new MessageEvent('message', { data: bytes.buffer })),
      onLow: () => this.dispatchEvent(new Event('bufferedamountlow')),
      onClose: () => this.shut(),
    })
  }

  get bufferedAmount(): number {
    return this.#memory.bufferedBytes()
  }

  send(bytes: Uint8Array): void {
    if (this.readyState !== 'open') throw new DOMException('it is not open', 'InvalidStateError')
    this.#memory.send(bytes.slice())
  }

  close(): void {
    if (this.readyState !== 'open') return
    this.readyState = 'closing'
    this.#memory.close()
    queueMicrotask(() => this.shut())
  }

  shut(): void {
    if (this.readyState === 'closed') return
    this.readyState = 'closed'
    this.dispatchEvent(new Event('close'))
  }

  stats(): Promise<LinkStats> {
    return this.#memory.stats()
  }
}

/** One end, as its page has it. */
export class MemoryConnection implements FramedConnection {
  readonly frames: RtcChannel | CarriedChannel
  readonly #channel: MemoryDataChannel
  #closed: ChannelClosed | null = null

  constructor(memory: MemoryChannel, clock: Clock, place: FramePlace) {
    this.#channel = new MemoryDataChannel(memory)
    const dataChannel = this.#channel as unknown as RTCDataChannel
    this.frames = (place === 'worker' ? CarriedChannel.carry(dataChannel, this) : null) ?? new RtcChannel(dataChannel, this, clock)
  }

  get closed(): ChannelClosed | null {
    return this.#closed
  }

  stats(): Promise<LinkStats> {
    return this.#channel.stats()
  }

  async end(): Promise<ChannelClosed> {
    return this.finish(CLOSED_THERE)
  }

  /** As when the page finds that the connection has ended. */
  finish(closed: ChannelClosed): ChannelClosed {
    if (this.#closed !== null) return this.#closed
    this.#closed = closed
    this.frames.handleEnd(closed)
    this.#channel.close()
    return closed
  }
}

export interface MemoryConnectionOptions {
  readonly clock: Clock
  readonly delayMs: number
  /** Where each end's frames are handled. */
  readonly places: readonly [FramePlace, FramePlace]
}

export function memoryConnectionPair({ clock, delayMs, places }: MemoryConnectionOptions): [MemoryConnection, MemoryConnection] {
  const [a, b] = memoryChannelPair({ clock, delayMs })
  return [new MemoryConnection(a, clock, places[0]), new MemoryConnection(b, clock, places[1])]
}

/** A port that passes what it carries by reference, in later turns; what comes before somebody listens waits. */
class MemoryPort {
  other: MemoryPort | null = null
  onmessageerror: (() => void) | null = null
  #onmessage: ((event: { readonly data: unknown }) => void) | null = null
  #waiting: unknown[] = []
  #closed = false

  set onmessage(handler: (event: { readonly data: unknown }) => void) {
    this.#onmessage = handler
    queueMicrotask(() => this.#deliver())
  }

  postMessage(message: unknown): void {
    const { other } = this
    if (this.#closed || other === null) return
    queueMicrotask(() => {
      other.#waiting.push(message)
      other.#deliver()
    })
  }

  /** What the other end was sent before still comes there. */
  close(): void {
    this.#closed = true
  }

  #deliver(): void {
    if (this.#onmessage === null) return
    for (const data of this.#waiting.splice(0)) if (!this.#closed) this.#onmessage({ data })
  }
}

/** In place of the browser's. */
export class MemoryMessageChannel {
  readonly port1 = new MemoryPort()
  readonly port2 = new MemoryPort()

  constructor() {
    this.port1.other = this.port2
    this.port2.other = this.port1
  }
}
