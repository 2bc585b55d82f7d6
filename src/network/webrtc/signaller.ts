/**
 * Signaller: PeerJS as far as it is used here, kept connected to the coordinator's signalling server. When that socket breaks
 * it comes back with backoff, and open connections live on. Links and handshakes: peerJsNetwork.ts.
 */

import type { Peer } from 'peerjs'
import { type CancelTimer, type Clock, isPeerId, type PeerId } from '../../shared/index.ts'
import { backoffMs } from '../backoff.ts'
import { FrameConnection } from './frameConnection.ts'
import { Peer as PeerJs } from './peerJsModule.ts'
import { parseSignal, type SignalMessage } from './signalGuard.ts'

export interface SignallingServer {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly secure: boolean
  readonly token: string
}

/** What connections are made with. No servers: only peers of one network reach each other. `relay`: over TURN servers alone. */
export interface IceOptions {
  readonly iceServers: readonly RTCIceServer[]
  readonly iceTransportPolicy: RTCIceTransportPolicy
}

export interface SignallerOptions {
  readonly peerId: PeerId
  readonly signalling: SignallingServer
  readonly ice: IceOptions
  readonly clock: Clock
  readonly random: () => number
  /** Whether a connection offered by this peer should be answered at all. */
  readonly acceptOffer: (from: PeerId, purpose: ConnectionPurpose) => boolean
  readonly onConnection: (from: PeerId, connection: FrameConnection, purpose: ConnectionPurpose) => void
  /** The server knows nobody of this id. */
  readonly onUnknownPeer: (peerId: PeerId) => void
}

/** What a connection is for: a link of its own, or one more lane of a link (stripedChannel.ts). PeerJS carries it as the label. */
export type ConnectionPurpose = 'frames' | 'lane'

function configOf({ iceServers, iceTransportPolicy }: IceOptions): RTCConfiguration {
  return { iceServers: [...iceServers], iceTransportPolicy }
}

function purposeOf(label: string): ConnectionPurpose {
  return label === 'lane' ? 'lane' : 'frames'
}

export class Signaller {
  readonly #options: SignallerOptions
  #token: string
  #ice: IceOptions
  #peer: Peer
  #failures = 0
  #cancelRetry: CancelTimer = () => undefined
  #destroyed = false
  #waiting: (() => void)[] = []

  constructor(options: SignallerOptions) {
    this.#options = options
    this.#token = options.signalling.token
    this.#ice = options.ice
    this.#peer = this.#open()
  }

  /** The token of a new control socket; used from the next connection to the server on. */
  setToken(token: string): void {
    this.#token = token
    this.#peer.options.token = token
  }

  setIce(ice: IceOptions): void {
    this.#ice = ice
    this.#peer.options.config = configOf(ice)
  }

  /** Calls back as soon as the server is connected. */
  whenOpen(callback: () => void): void {
    if (this.#peer.open) callback()
    else this.#waiting.push(callback)
  }

  /** Offers a connection; null while the server is not connected. */
  connect(peerId: PeerId, purpose: ConnectionPurpose): FrameConnection | null {
    if (!this.#peer.open) return null
    const connection = this.#peer.connect(peerId, { label: purpose, reliable: true, serialization: 'raw' })
    return connection instanceof FrameConnection ? connection : null
  }

  /** Closes the server's socket and every connection. */
  destroy(): void {
    this.#destroyed = true
    this.#cancelRetry()
    this.#waiting = []
    // PeerJS, which closes them while it walks over the list they vanish from, misses every second one to a peer.
    for (const connection of Object.values(this.#peer.connections).flat()) if (connection instanceof FrameConnection) connection.close()
    this.#peer.destroy()
  }

  #open(): Peer {
    const { peerId, signalling } = this.#options
    const { host, port, path, secure } = signalling
    const peer = new PeerJs(peerId, {
      host,
      port,
      path,
      secure,
      token: this.#token,
      config: configOf(this.#ice),
      debug: 0,
      serializers: { raw: FrameConnection },
    })
    this.#guard(peer)
    peer.on('open', () => {
      this.#failures = 0
      for (const callback of this.#waiting.splice(0)) callback()
    })
    peer.on('connection', (connection) => {
      if (connection instanceof FrameConnection && isPeerId(connection.peer))
        this.#options.onConnection(connection.peer, connection, purposeOf(connection.label))
    })
    // PeerJS has disconnected by itself when this comes; without a listener nothing would be lost but the reason.
    peer.on('disconnected', () => this.#retry(() => peer.reconnect()))
    // Destroyed by PeerJS: it never reached the server, so there is no connection to keep.
    peer.on('close', () => {
      this.#retry(() => {
        this.#peer = this.#open()
      })
    })
    return peer
  }

  #retry(attempt: () => void): void {
    if (this.#destroyed) return
    this.#cancelRetry()
    this.#cancelRetry = this.#options.clock.after(backoffMs(this.#failures++, this.#options.random), attempt)
  }

  /** Puts the checks between PeerJS's socket and PeerJS. */
  #guard(peer: Peer): void {
    const { socket } = peer
    const handlers = socket.listeners('message')
    socket.removeAllListeners('message')
    socket.on('message', (raw: unknown) => {
      const message = parseSignal(raw)
      if (message === null || !this.#admit(peer, message)) return
      for (const handle of handlers) handle(message)
    })
  }

  #admit(peer: Peer, message: SignalMessage): boolean {
    switch (message.type) {
      case 'OFFER':
        return this.#options.acceptOffer(message.src, purposeOf(message.payload.label))
      case 'ANSWER':
      case 'CANDIDATE':
        // PeerJS would store those of unknown connections for ever.
        return peer.getConnection(message.src, message.payload.connectionId) !== null
      case 'EXPIRE':
        this.#options.onUnknownPeer(message.src)
        return false
      default:
        return true
    }
  }
}
