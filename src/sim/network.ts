/**
 * Network: links between the simulation's tabs. A frame takes half of the round trip between two regions, and its bytes their time
 * on the slower of two lines; the order of a link is kept, urgent frames overtake what waits. Groups may be cut off from each other for a while, lines
 * may be slow, links may break; what is sent to somebody who is gone is lost.
 */

import {
  decodeFrame,
  encodeFrame,
  type FailedFrame,
  type Link,
  type LinkClosed,
  type LinkHandlers,
  type LinkStats,
} from '../protocol/index.ts'
import { type PeerId, required, type SessionId, TabswarmError } from '../shared/index.ts'
import type { Chance } from './chance.ts'
import type { Actor, VirtualTime } from './virtualTime.ts'

/** A tab with a line. */
export interface Host extends Actor {
  readonly peerId: PeerId
  readonly region: string
  /** Those of different islands do not hear each other; the coordinator is on island 0. */
  readonly island: number
  /** Of its line: bytes take so many times as long, and the way is so much longer. */
  readonly slowness: number
  /** Takes a link that another opened; null: nobody may dial it. */
  readonly accept: ((link: Link) => void) | null
}

/** Bytes a millisecond of a line: 20 Mbit/s up. */
const LINE_BYTES_PER_MS = 2_500
/** Round trips that a dial takes: signalling, ICE, DTLS, handshake. */
const DIAL_ROUND_TRIPS = 4
/** Who answers no dial for so long cannot be reached; the browser adapter's deadline. */
const DIAL_DEADLINE_MS = 10_000
/** ICE gives a way up that has been silent for so long. */
const WAY_LOST_MS = 15_000
/** A tab measures its latest links. */
const LINKS_MEASURED_MAX = 16
/** Queues on the way: up to this share of it, each frame. */
const JITTER_SHARE = 0.1

/** Of the header: a `failed` frame's type. */
const TYPE_AT = 3
const NO_SESSION = '0'.repeat(32) as SessionId
const FAILED_TYPE = encodeFrame({ type: 'failed', sessionId: NO_SESSION, reason: 'internal', message: '' })[TYPE_AT]
/** Reasons of `failed` that honest tabs give each other no cause for; a late copy of an `open` may find its grant used. */
const ACCUSATIONS: readonly FailedFrame['reason'][] = ['protocol', 'not-finite', 'internal']

/** One tab says that another broke a rule, or that it is broken itself. */
export interface Accusation {
  readonly by: PeerId
  /** The other end of the link on which it was said; not always who is blamed. */
  readonly to: PeerId
  readonly sessionId: SessionId | null
  readonly what: string
}

export interface NetworkOptions {
  readonly time: VirtualTime
  readonly chance: Chance
  readonly onAccusation: (accusation: Accusation) => void
  /** Round trip, milliseconds. */
  readonly rttMs: (a: Host, b: Host) => number
}

export class Network {
  readonly time: VirtualTime
  readonly #options: NetworkOptions
  readonly #hosts = new Map<PeerId, Host>()
  /** Open links, each as the end of who dialed. */
  readonly #links = new Set<SimulatedLink>()
  /** When the islands become one again. */
  #reunitedMs = 0

  constructor(options: NetworkOptions) {
    this.#options = options
    this.time = options.time
  }

  add(host: Host): void {
    this.#hosts.set(host.peerId, host)
  }

  /** The tab is gone. Where it said goodbye the others' links end at once, else once the way has been silent for long. */
  remove(host: Host, isSaid: boolean): void {
    this.#hosts.delete(host.peerId)
    for (const link of [...this.#links]) {
      const end = link.ends.find((one) => one.host === host)
      if (end === undefined) continue
      const delayMs = isSaid ? this.wayMs(link.host, link.remote) : WAY_LOST_MS
      this.time.after(delayMs, end.remote, () => end.other.end({ reason: isSaid ? 'remote' : 'lost', detail: 'the tab is gone' }))
      this.#links.delete(link)
    }
  }

  /** Hosts were put on islands until then. */
  divide(untilMs: number): void {
    this.#reunitedMs = untilMs
    this.time.after(WAY_LOST_MS, null, () => {
      for (const link of [...this.#links]) if (link.host.island !== link.remote.island) link.break('no way for 15 s')
    })
  }

  /** One of the links breaks, at both ends; false where there is none. */
  breakOne(of: Host): boolean {
    const link = this.#options.chance.pick([...this.#links].filter(({ host, remote }) => host === of || remote === of))
    link?.break('the way was lost')
    return link !== undefined
  }

  async dial(from: Host, to: PeerId): Promise<Link> {
    const { time } = this
    const setupMs = DIAL_ROUND_TRIPS * (this.#hosts.has(to) ? 2 * this.wayMs(from, required(this.#hosts.get(to), to)) : 25)
    return new Promise((resolve, reject) => {
      let gaveUp = false
      const refuse = (detail: string) => reject(new TabswarmError('unreachable', `peer ${to.slice(0, 8)} ${detail}`))
      const cancel = time.after(DIAL_DEADLINE_MS, from, () => {
        gaveUp = true
        refuse('does not answer')
      })
      const target = this.#hosts.get(to)
      if (target === undefined) {
        time.after(setupMs, from, () => {
          cancel()
          refuse('is not there')
        })
        return
      }
      time.after(setupMs, target, () => {
        if (from.isDead || from.island !== target.island || target.accept === null) return
        const atFrom = SimulatedLink.pair(this, from, target)
        target.accept(atFrom.other)
        time.after(this.wayMs(target, from), from, () => {
          cancel()
          if (gaveUp) atFrom.close()
          else resolve(atFrom)
        })
      })
    })
  }

  /** Round trips of a host's open links, as it measured them. */
  roundTripsOf(host: Host): { readonly peerId: PeerId; readonly rttMs: number }[] {
    const links = [...this.#links].filter((link) => link.host === host || link.remote === host)
    const others = links.map((link) => (link.host === host ? link.remote : link.host))
    return others.slice(-LINKS_MEASURED_MAX).map((other) => ({ peerId: other.peerId, rttMs: 2 * this.wayMs(host, other) }))
  }

  /** One way. */
  wayMs(a: Host, b: Host): number {
    const jitter = 1 + JITTER_SHARE * this.#options.chance.unit()
    return (this.#options.rttMs(a, b) / 2) * jitter * Math.max(a.slowness, b.slowness)
  }

  bytesMs(a: Host, b: Host, bytes: number): number {
    return (bytes / LINE_BYTES_PER_MS) * Math.max(a.slowness, b.slowness)
  }

  /** When what was sent to another island may arrive. */
  get reunitedMs(): number {
    return this.#reunitedMs
  }

  /** Looks at what is sent: a type's byte of each frame, and all of those that end a session. */
  watch(by: Host, to: Host, bytes: Uint8Array): void {
    if (bytes[TYPE_AT] !== FAILED_TYPE) return
    const frame = decodeFrame(bytes)
    if (!frame.ok || frame.value.type !== 'failed' || !ACCUSATIONS.includes(frame.value.reason)) return
    const { sessionId, reason, message } = frame.value
    this.#options.onAccusation({ by: by.peerId, to: to.peerId, sessionId, what: `${reason}: ${message}` })
  }

  accused(accusation: Accusation): void {
    this.#options.onAccusation(accusation)
  }

  opened(link: SimulatedLink): void {
    this.#links.add(link)
  }

  closed(link: SimulatedLink): void {
    this.#links.delete(link)
    this.#links.delete(link.other)
  }
}

class SimulatedLink implements Link {
  readonly host: Host
  readonly remote: Host
  readonly #network: Network
  #other: SimulatedLink | null = null
  #handlers: LinkHandlers | null = null
  #closed: LinkClosed | null = null
  #bytesSent = 0
  /** The line is busy until then. */
  #busyMs = 0
  /** What was sent last arrives then, by priority. */
  readonly #arrivesMs = { data: 0, urgent: 0 }

  constructor(network: Network, host: Host, remote: Host) {
    this.#network = network
    this.host = host
    this.remote = remote
  }

  /** The end at `a`. */
  static pair(network: Network, a: Host, b: Host): SimulatedLink {
    const [atA, atB] = [new SimulatedLink(network, a, b), new SimulatedLink(network, b, a)]
    atA.#other = atB
    atB.#other = atA
    network.opened(atA)
    return atA
  }

  get peerId(): PeerId {
    return this.remote.peerId
  }

  get other(): SimulatedLink {
    return required(this.#other, 'the other end')
  }

  get ends(): readonly SimulatedLink[] {
    return [this, this.other]
  }

  /** Who listens to a link that has ended meanwhile is told so, as by every other. */
  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers
    const closed = this.#closed
    if (closed !== null) queueMicrotask(() => handlers.onClose(closed))
  }

  send(bytes: Uint8Array, priority: 'data' | 'urgent' = 'data'): void {
    if (this.#closed !== null) return
    const { time } = this.#network
    const network = this.#network
    network.watch(this.host, this.remote, bytes)
    this.#bytesSent += bytes.byteLength
    const lineMs = network.bytesMs(this.host, this.remote, bytes.byteLength)
    const startMs = priority === 'urgent' ? time.nowMs : Math.max(time.nowMs, this.#busyMs)
    this.#busyMs = startMs + lineMs
    this.#deliver(bytes, priority, this.#busyMs + network.wayMs(this.host, this.remote), time.takeOrder())
  }

  stats(): Promise<LinkStats> {
    const roundTripMs = 2 * this.#network.wayMs(this.host, this.remote)
    return Promise.resolve({ kind: 'webrtc', bytesSent: this.#bytesSent, bytesReceived: 0, roundTripMs })
  }

  close(closed: LinkClosed = { reason: 'local', detail: 'closed' }): void {
    if (this.#closed !== null) return
    const { time } = this.#network
    if (closed.reason === 'garbage')
      this.#network.accused({ by: this.host.peerId, to: this.peerId, sessionId: null, what: `the link is closed: ${closed.detail}` })
    const reason = closed.reason === 'local' ? 'remote' : closed.reason
    const atMs = Math.max(this.#busyMs, time.nowMs) + this.#network.wayMs(this.host, this.remote)
    time.at(Math.max(atMs, this.#arrivesMs.data), this.remote, () => this.other.end({ ...closed, reason }))
    this.end(closed)
  }

  /** Both ends notice at once. */
  break(detail: string): void {
    for (const end of this.ends) this.#network.time.after(0, end.host, () => end.end({ reason: 'lost', detail }))
    this.#network.closed(this)
  }

  end(closed: LinkClosed): void {
    if (this.#closed !== null) return
    this.#closed = closed
    this.#network.closed(this)
    this.#handlers?.onClose(closed)
  }

  /** `order`: of the sending, kept when all that an island held back arrives at one time. */
  #deliver(bytes: Uint8Array, priority: 'data' | 'urgent', atMs: number, order: number): void {
    const { time } = this.#network
    // The way keeps the order; urgent frames overtake only what still waits to be sent.
    const arrivesMs = Math.max(atMs, this.#arrivesMs.urgent, priority === 'data' ? this.#arrivesMs.data : 0)
    this.#arrivesMs[priority] = arrivesMs
    // Not a constant of its own: naming a function costs, for each frame, what sending it does.
    time.at(
      arrivesMs,
      this.remote,
      () => {
        if (this.host.island !== this.remote.island && this.#network.reunitedMs > time.nowMs)
          return this.#deliver(bytes, priority, this.#network.reunitedMs, order)
        if (this.other.#closed === null) this.other.#handlers?.onFrame(bytes)
      },
      order,
    )
  }
}
