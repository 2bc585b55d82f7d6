/**
 * A link carried into a worker: `RTCPeerConnection` exists only on pages, so the page holds the link and serves it over a
 * MessagePort; the worker sees the same Link. Frames are transferred, not copied. Both ends are this program: no schema.
 */

import { FRAME_BYTES_MAX, type Link, type LinkClosed, type LinkHandlers, type LinkStats } from '../protocol/index.ts'
import { assert, type PeerId } from '../shared/index.ts'
import { Receiver } from './receiver.ts'

type PortMessage =
  | { readonly kind: 'frame'; readonly frame: Uint8Array; readonly urgent: boolean }
  | { readonly kind: 'close'; readonly closed: LinkClosed }
  | { readonly kind: 'stats-wanted'; readonly id: number }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: LinkStats }

/** The page's side: becomes the link's listener. A close on either side ends the other. */
export function serveLink(link: Link, port: MessagePort): void {
  let open = true
  link.listen({
    onFrame: (frame) => {
      if (open) postFrame(port, frame, false)
    },
    onClose: (closed) => {
      if (open) post(port, { kind: 'close', closed })
      open = false
    },
  })
  port.onmessage = ({ data }: MessageEvent<PortMessage>) => {
    switch (data.kind) {
      case 'frame':
        return link.send(data.frame, data.urgent ? 'urgent' : 'data')
      case 'close':
        open = false
        port.close()
        return link.close(data.closed)
      case 'stats-wanted':
        void link.stats().then((stats) => post(port, { kind: 'stats', id: data.id, stats }))
    }
  }
}

/** The worker's side: a Link to `peerId` whose frames travel through `port`. */
export function linkFromPort(port: MessagePort, peerId: PeerId, onEnd: () => void = () => undefined): Link {
  return new PortLink(port, peerId, onEnd)
}

class PortLink implements Link {
  readonly peerId: PeerId
  readonly #port: MessagePort
  readonly #receiver = new Receiver()
  readonly #onEnd: () => void
  readonly #waiting = new Map<number, (stats: LinkStats) => void>()
  #lastStats: LinkStats = { kind: 'memory', bytesSent: 0, bytesReceived: 0, roundTripMs: null }
  #statsId = 0

  constructor(port: MessagePort, peerId: PeerId, onEnd: () => void) {
    this.#port = port
    this.#onEnd = onEnd
    this.peerId = peerId
    port.onmessage = ({ data }: MessageEvent<PortMessage>) => this.#handle(data)
  }

  listen(handlers: LinkHandlers): void {
    this.#receiver.listen(handlers)
  }

  send(frame: Uint8Array, priority: 'data' | 'urgent' = 'data'): void {
    if (this.#receiver.closed !== null) return
    const bytes = frame.byteLength
    assert(bytes > 0 && bytes <= FRAME_BYTES_MAX, `a frame of ${bytes} bytes is not in 1 … ${FRAME_BYTES_MAX}`)
    postFrame(this.#port, frame, priority === 'urgent')
  }

  /** Once closed: the last statistics known. */
  stats(): Promise<LinkStats> {
    if (this.#receiver.closed !== null) return Promise.resolve(this.#lastStats)
    const id = this.#statsId++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      post(this.#port, { kind: 'stats-wanted', id })
    })
  }

  close(closed: LinkClosed = { reason: 'local', detail: 'closed here' }): void {
    if (this.#receiver.closed !== null) return
    post(this.#port, { kind: 'close', closed })
    this.#end(closed)
  }

  #handle(message: PortMessage): void {
    switch (message.kind) {
      case 'frame':
        if (!this.#receiver.deliver(message.frame))
          this.close({ reason: 'overflow', detail: `peer ${this.peerId} sent too much before anybody listened` })
        return
      case 'close':
        return this.#end(message.closed)
      case 'stats':
        this.#lastStats = message.stats
        this.#waiting.get(message.id)?.(message.stats)
        this.#waiting.delete(message.id)
    }
  }

  #end(closed: LinkClosed): void {
    this.#port.close()
    for (const resolve of this.#waiting.values()) resolve(this.#lastStats)
    this.#waiting.clear()
    this.#onEnd()
    this.#receiver.close(closed)
  }
}

/** A view of a larger buffer is cut out first: transferring would take its neighbours along. */
function postFrame(port: MessagePort, frame: Uint8Array, urgent: boolean): void {
  const own = frame.byteLength === frame.buffer.byteLength ? frame : frame.slice()
  const { buffer } = own
  post(port, { kind: 'frame', frame: own, urgent }, buffer instanceof ArrayBuffer ? [buffer] : [])
}

function post(port: MessagePort, message: PortMessage, transfer: Transferable[] = []): void {
  port.postMessage(message, transfer)
}
