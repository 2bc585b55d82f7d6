/** TestLink: one end of a link between two peers of a test. What it sends waits on a wire of the world's, which delivers it to the other end. */

import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type Link,
  type LinkClosed,
  type LinkHandlers,
  type LinkStats,
} from '../../../src/protocol/index.ts'
import { type PeerId, required } from '../../../src/shared/index.ts'

/** One direction of a link, and the end that receives it. */
export interface Lane {
  readonly to: TestLink
  readonly frames: { readonly bytes: Uint8Array; readonly urgent: boolean }[]
}

/** Where sent frames wait until the test delivers them. */
interface Wire {
  post(to: TestLink, bytes: Uint8Array, urgent: boolean): void
}

export class TestLink implements Link {
  readonly peerId: PeerId
  readonly sent: Frame[] = []
  #wire: Wire
  #other: TestLink | null = null
  #handlers: LinkHandlers | null = null
  #closed = false
  #bytesSent = 0

  constructor(wire: Wire, remote: PeerId) {
    this.#wire = wire
    this.peerId = remote
  }

  static pair(wire: Wire, a: PeerId, b: PeerId): { readonly atA: TestLink; readonly atB: TestLink } {
    const atA = new TestLink(wire, b)
    const atB = new TestLink(wire, a)
    atA.#other = atB
    atB.#other = atA
    return { atA, atB }
  }

  /** Whether what the other end says is lost, by pairs of peers. */
  isMuted(pairs: ReadonlySet<string>): boolean {
    return pairs.has(`${this.peerId} ${this.#other?.peerId}`)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  listen(handlers: LinkHandlers): void {
    if (this.#handlers !== null) throw new Error('a link is listened to once')
    this.#handlers = handlers
  }

  send(bytes: Uint8Array, priority: 'data' | 'urgent' = 'data'): void {
    if (this.#closed) return
    this.#bytesSent += bytes.byteLength
    const frame = decodeFrame(bytes)
    if (frame.ok) this.sent.push(frame.value)
    this.#wire.post(required(this.#other, 'other end'), bytes, priority === 'urgent')
  }

  sendFrame(frame: Frame): void {
    this.send(encodeFrame(frame))
  }

  stats(): Promise<LinkStats> {
    return Promise.resolve({ kind: 'memory', bytesSent: this.#bytesSent, bytesReceived: 0, roundTripMs: null })
  }

  close(closed: LinkClosed = { reason: 'local', detail: 'closed' }): void {
    this.#end(closed)
    const reason = closed.reason === 'local' ? 'remote' : closed.reason
    if (this.#other !== null) this.#other.#end({ ...closed, reason })
  }

  deliver(bytes: Uint8Array): void {
    if (!this.#closed) this.#handlers?.onFrame(bytes)
  }

  #end(closed: LinkClosed): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers?.onClose(closed)
  }
}
