/**
 * RelayServer: relays of last resort, for pairs of peers that a session joins and no direct path does. Decides who may have one, hands
 * out tokens over the control sockets, and joins the sockets that come with them. Rules L1 … L5 of SPEC.md.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { RELAY_RECORD_BYTES_MAX, type ServerMessage } from '../../protocol/index.ts'
import { type Clock, type ErrorBody, type PeerId, toBase64Url } from '../../shared/index.ts'
import { CLOSE_GRACE_MS, RELAY_TOTAL_RATE, RELAYS_MAX, RELAYS_PER_PEER_MAX } from './limits.ts'
import { Pacer } from './pacer.ts'
import { GOING_AWAY, POLICY_VIOLATION, Relay } from './relay.ts'

export interface RelayServerOptions {
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  /** Whether the operator lets peers use relays at all. */
  readonly enabled: boolean
}

/** What the relays need of the control sockets and of the core behind them. */
export interface RelayPorts {
  readonly isIdentified: (peerId: PeerId) => boolean
  /** Whether an open session's chain leads from one of the two to the other. */
  readonly areJoined: (one: PeerId, other: PeerId) => boolean
  readonly tell: (peerId: PeerId, message: ServerMessage) => void
}

const RELAY_PATH = '/relay'
const TOKEN_BYTES = 24

interface Seat {
  readonly relay: Relay
  readonly index: 0 | 1
}

export class RelayServer {
  readonly #options: RelayServerOptions
  readonly #total: Pacer
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: RELAY_RECORD_BYTES_MAX, perMessageDeflate: false })
  readonly #relays = new Set<Relay>()
  /** Of ends that have not come yet, by their tokens. */
  readonly #seats = new Map<string, Seat>()
  #lastNumber = 0

  constructor(options: RelayServerOptions) {
    this.#options = options
    this.#total = new Pacer(RELAY_TOTAL_RATE, options.clock)
  }

  /** `from`, that had been told of relays up to the number `heardOf`, asks for one to `to`. Both are told where it is, or `from` why there is none. */
  request(from: PeerId, to: PeerId, heardOf: number, ports: RelayPorts): void {
    const known = [...this.#relays].find(({ peerIds }) => peerIds.includes(from) && peerIds.includes(to))
    // Both have asked at once: the first one's relay is for both. Who asks again has given up the one before.
    if (known?.peerIds[0] === to && (!known.isOpen || known.number > heardOf)) return
    const refusal = this.#refusal(from, to, ports, known === undefined ? 0 : 1)
    if (refusal !== null) return ports.tell(from, { type: 'relay-refused', peerId: to, ...refusal })
    known?.close(GOING_AWAY, 'a newer relay between the two peers took its place')
    const relay = new Relay({
      peerIds: [from, to],
      number: ++this.#lastNumber,
      clock: this.#options.clock,
      total: this.#total,
      isWanted: () => ports.areJoined(from, to),
      onEnded: (ended) => this.#forget(ended),
    })
    this.#relays.add(relay)
    const way = { path: RELAY_PATH, number: relay.number }
    ports.tell(to, { type: 'relay', peerId: from, role: 'listener', ...way, token: this.#seat(relay, 1) })
    ports.tell(from, { type: 'relay', peerId: to, role: 'dialer', ...way, token: this.#seat(relay, 0) })
  }

  isMine(path: string): boolean {
    return path === RELAY_PATH
  }

  /** The status to refuse the upgrade with, or null where it went through. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): number | null {
    const token = new URL(request.url ?? '/', 'http://localhost').searchParams.get('token') ?? ''
    const seat = this.#seats.get(token)
    if (seat === undefined) return 401
    this.#seats.delete(token)
    this.#server.handleUpgrade(request, socket, head, (opened) => seat.relay.join(seat.index, opened))
    return null
  }

  /** The peer's control socket is gone: so are its relays. */
  forbid(peerId: PeerId): void {
    for (const relay of [...this.#relays])
      if (relay.peerIds.includes(peerId)) relay.close(POLICY_VIOLATION, 'a peer of the relay has left the coordinator')
  }

  /** Tells both ends of every relay; what has not closed a second later is cut. */
  close(): void {
    for (const relay of [...this.#relays]) relay.close(GOING_AWAY, 'the coordinator is shutting down')
    this.#server.close()
    this.#options.clock.after(CLOSE_GRACE_MS, () => {
      for (const socket of this.#server.clients) socket.terminate()
    })
  }

  /** `replaced`: how many relays the new one takes the place of. */
  #refusal(from: PeerId, to: PeerId, { isIdentified, areJoined }: RelayPorts, replaced: number): ErrorBody | null {
    if (!this.#options.enabled)
      return { reason: 'relay-off', message: 'this coordinator relays nothing; a network that lets WebRTC through is needed' }
    if (from === to || !isIdentified(to)) return { reason: 'unknown-peer', message: 'it is not connected to the coordinator any more' }
    if (!areJoined(from, to)) return { reason: 'no-session', message: 'a relay is for two peers of one open session' }
    const of = (peerId: PeerId) => [...this.#relays].filter(({ peerIds }) => peerIds.includes(peerId)).length - replaced
    if (of(from) >= RELAYS_PER_PEER_MAX || of(to) >= RELAYS_PER_PEER_MAX)
      return {
        reason: 'too-many-relays',
        message: `one of the two has ${RELAYS_PER_PEER_MAX} relays already; try again when some have ended`,
      }
    if (this.#relays.size - replaced >= RELAYS_MAX)
      return { reason: 'relay-full', message: `${RELAYS_MAX} relays are open, as many as there may be; try again later` }
    return null
  }

  #seat(relay: Relay, index: 0 | 1): string {
    const token = toBase64Url(this.#options.randomBytes(TOKEN_BYTES))
    this.#seats.set(token, { relay, index })
    return token
  }

  #forget(relay: Relay): void {
    this.#relays.delete(relay)
    for (const [token, seat] of this.#seats) if (seat.relay === relay) this.#seats.delete(token)
  }
}
