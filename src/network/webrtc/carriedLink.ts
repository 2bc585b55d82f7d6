/**
 * CarriedLink: a link whose frames are handled in a worker, as its page sees it: who it leads to, statistics, its end. Frames pass it by
 * in the worker's own data channels; so it can be handed over, and neither listened to nor sent over. Worker's end: carriedEnd.ts.
 */

import type { Link, LinkClosed, LinkStats } from '../../protocol/index.ts'
import type { Clock, PeerId } from '../../shared/index.ts'
import { sumStats } from '../channel.ts'
import type { CarriedChannel } from './carriedChannel.ts'
import { type ChannelConnection, FLUSH_MS } from './rtcChannel.ts'

export interface CarriedLinkOptions {
  readonly clock: Clock
  /** Each time a frame is sent that more lanes than these would carry faster, while another may be added. */
  readonly onLarge: (laneCount: number) => void
  readonly onEnd: (link: Link) => void
}

/** Longer than the worker gives its data channels to flush. */
const WORKER_CLOSE_MS = 2 * FLUSH_MS

export class CarriedLink implements Link {
  readonly peerId: PeerId
  readonly #first: CarriedChannel
  readonly #connections: [ChannelConnection, ...ChannelConnection[]]
  readonly #options: CarriedLinkOptions
  #handedOver = false
  #closed = false

  /** `first` is that of `connection`. */
  constructor(peerId: PeerId, connection: ChannelConnection, first: CarriedChannel, options: CarriedLinkOptions) {
    this.peerId = peerId
    this.#first = first
    this.#connections = [connection]
    this.#options = options
    first.listen({ onLarge: options.onLarge, onEnd: () => this.#end() })
  }

  get closed(): boolean {
    return this.#closed
  }

  get laneCount(): number {
    return this.#connections.length
  }

  /** The other side has proven itself there too; the lane's data channel is carried like the first. */
  addLane(connection: ChannelConnection, lane: CarriedChannel): void {
    this.#connections.push(connection)
    this.#first.addLane(lane)
  }

  /** For the worker, once. */
  takePort(): MessagePort {
    this.#handedOver = true
    return this.#first.takePort()
  }

  listen(): never {
    throw new Error(`assertion failed: the link to ${this.peerId} is handled in a worker, where it must be handed over to`)
  }

  send(): never {
    throw new Error(`assertion failed: the link to ${this.peerId} is handled in a worker, which sends over it`)
  }

  async stats(): Promise<LinkStats> {
    const [first, ...others] = this.#connections
    return sumStats(await Promise.all([first.stats(), ...others.map((connection) => connection.stats())]))
  }

  close(closed: LinkClosed = { reason: 'local', detail: 'closed here' }): void {
    if (this.#closed) return
    this.#first.closeLink(closed)
    const endAll = () => {
      for (const connection of this.#connections) void connection.end()
    }
    if (this.#handedOver) this.#options.clock.after(WORKER_CLOSE_MS, endAll)
    else endAll()
    this.#end()
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#options.onEnd(this)
  }
}
