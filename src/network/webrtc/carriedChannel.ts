/**
 * CarriedChannel: the page's end of a data channel that lives in a worker. `RTCPeerConnection` exists on pages only, so the page keeps
 * the connection, and a port to who has its data channel: that end asks for statistics and for the connection's end. The data channel waits
 * in the port until a worker gets that, with all that comes on it; which is not before the other side is known. Worker's end: carriedEnd.ts.
 */

import type { LinkClosed, LinkStats } from '../../protocol/index.ts'
import type { ChannelClosed } from '../channel.ts'
import type { ChannelConnection } from './rtcChannel.ts'

/** Both ends are this program: no schema. */
export type ToWorker =
  /** The first message. */
  | { readonly kind: 'channel'; readonly channel: RTCDataChannel }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: LinkStats }
  /** The last message: the connection has ended. */
  | { readonly kind: 'ended'; readonly closed: ChannelClosed }
  /** Of a link's first channel: one lane more, its port. */
  | { readonly kind: 'lane'; readonly port: MessagePort }
  /** Of a link's first channel: the page closes the link. */
  | { readonly kind: 'close'; readonly closed: LinkClosed }

export type ToPage =
  | { readonly kind: 'stats-wanted'; readonly id: number }
  /** The connection shall end, or its data channel was closed. */
  | { readonly kind: 'end' }
  /** Of a link's first channel: a frame was sent that more than so many lanes would carry faster. */
  | { readonly kind: 'large'; readonly laneCount: number }
  /** Of a link's first channel: the link has ended. */
  | { readonly kind: 'link-ended' }

export interface CarriedChannelListener {
  readonly onLarge: (laneCount: number) => void
  /** The link has ended in the worker, or this connection on the page. Once. */
  readonly onEnd: () => void
}

export class CarriedChannel {
  /** Nothing is to be waited for: the worker waits. */
  readonly opened: Promise<void> = Promise.resolve()
  readonly #connection: ChannelConnection
  readonly #port: MessagePort
  /** For the worker. */
  readonly #workerPort: MessagePort
  #listener: CarriedChannelListener | null = null
  #ended = false

  /** In the task in which the data channel was made. Null where the browser cannot give it away: it stays as it was. */
  static carry(channel: RTCDataChannel, connection: ChannelConnection): CarriedChannel | null {
    const { port1, port2 } = new MessageChannel()
    try {
      post(port1, { kind: 'channel', channel }, [channel])
    } catch {
      port1.close()
      return null
    }
    return new CarriedChannel(connection, port1, port2)
  }

  private constructor(connection: ChannelConnection, port: MessagePort, workerPort: MessagePort) {
    this.#connection = connection
    this.#port = port
    this.#workerPort = workerPort
    port.onmessage = ({ data }: MessageEvent<ToPage>) => this.#handle(data)
  }

  listen(listener: CarriedChannelListener): void {
    this.#listener = listener
    if (this.#ended) this.#tellEnd()
  }

  /** Whoever gets it takes the data channel out. */
  takePort(): MessagePort {
    return this.#workerPort
  }

  addLane(lane: CarriedChannel): void {
    const port = lane.takePort()
    this.#post({ kind: 'lane', port }, [port])
  }

  closeLink(closed: LinkClosed): void {
    this.#post({ kind: 'close', closed })
  }

  /** For the connection: it has ended. */
  handleEnd(closed: ChannelClosed): void {
    if (this.#ended) return
    this.#post({ kind: 'ended', closed })
    this.#ended = true
    this.#port.close()
    this.#tellEnd()
  }

  #handle(message: ToPage): void {
    switch (message.kind) {
      case 'stats-wanted':
        return void this.#connection.stats().then((stats) => this.#post({ kind: 'stats', id: message.id, stats }))
      case 'end':
        return void this.#connection.end()
      case 'large':
        return this.#listener?.onLarge(message.laneCount)
      case 'link-ended':
        return this.#tellEnd()
    }
  }

  #tellEnd(): void {
    const listener = this.#listener
    this.#listener = null
    listener?.onEnd()
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.#ended) post(this.#port, message, transfer)
  }
}

function post(port: MessagePort, message: ToWorker, transfer: Transferable[]): void {
  port.postMessage(message, transfer)
}
