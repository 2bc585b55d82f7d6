/**
 * PeerConnection: one role's identity, its control socket, and its links, which are only set up when somebody needs them. The
 * volunteer and the requester of one tab have one each.
 */

import {
  ControlClient,
  type ControlSocket,
  createIdentity,
  createPeerJsNetwork,
  type PeerNetwork,
  peerIdOf,
  sha256Of,
  signatureVerifier,
} from '../network/index.ts'
import type { Link } from '../protocol/index.ts'
import { type Clock, type PeerId, TabswarmError } from '../shared/index.ts'

export interface ConnectionHost {
  /** Where the coordinator lives: `location.origin`. */
  readonly origin: string
  readonly openSocket: (url: string) => ControlSocket
  /** Milliseconds since the epoch. */
  readonly clock: Clock
  /** [0, 1). */
  readonly random: () => number
  readonly randomBytes: (count: number) => Uint8Array
  readonly subtle: SubtleCrypto
}

export interface ConnectionOptions {
  readonly load: () => { readonly sessions: number; readonly kvPositionsFree: number }
  readonly onIncoming: (link: Link) => void
}

export class PeerConnection {
  readonly peerId: PeerId
  readonly control: ControlClient
  readonly #host: ConnectionHost
  readonly #options: ConnectionOptions
  readonly #signer: Awaited<ReturnType<typeof createIdentity>>
  #network: Promise<PeerNetwork> | null = null
  #closed = false

  private constructor(
    host: ConnectionHost,
    options: ConnectionOptions,
    signer: Awaited<ReturnType<typeof createIdentity>>,
    peerId: PeerId,
  ) {
    this.#host = host
    this.#options = options
    this.#signer = signer
    this.peerId = peerId
    const { openSocket, clock, random } = host
    const url = new URL('/control', host.origin.replace(/^http/, 'ws')).href
    this.control = new ControlClient({ url, openSocket, peerId, signer, clock, random, load: options.load })
    this.control.on('state', (state) => {
      if (state.kind === 'online') void this.#network?.then((network) => network.setSignalToken(state.welcome.signalToken))
    })
  }

  /** A fresh key pair, and the socket on its way. Rejects in insecure contexts, which have no WebCrypto. */
  static async open(host: ConnectionHost, options: ConnectionOptions): Promise<PeerConnection> {
    const signer = await createIdentity(host.subtle)
    return new PeerConnection(host, options, signer, await peerIdOf(signer.publicKey, sha256Of(host.subtle)))
  }

  /** The links; connects to the signalling server the first time. Rejects while the control socket is not online. */
  network(): Promise<PeerNetwork> {
    if (this.#network !== null) return this.#network
    const network = this.#openNetwork()
    this.#network = network
    network.catch(() => {
      this.#network = null
    })
    return network
  }

  close(): void {
    this.#closed = true
    this.control.close()
    void this.#network?.then((network) => network.destroy())
  }

  async #openNetwork(): Promise<PeerNetwork> {
    const { state } = this.control
    if (state.kind !== 'online') throw new TabswarmError('offline', 'this tab is not connected to the coordinator; it is trying again')
    const { origin, clock, random, randomBytes, subtle } = this.#host
    const { hostname, port, protocol } = new URL(origin)
    const secure = protocol === 'https:'
    const { signalPath, signalToken, iceServers } = state.welcome
    const network = await createPeerJsNetwork({
      peerId: this.peerId,
      signalling: { host: hostname, port: port === '' ? (secure ? 443 : 80) : Number(port), path: signalPath, secure, token: signalToken },
      iceServers: iceServers.map(({ urls, username, credential }) => ({
        urls,
        ...(username === undefined ? {} : { username }),
        ...(credential === undefined ? {} : { credential }),
      })),
      signer: this.#signer,
      verify: signatureVerifier(subtle),
      sha256: sha256Of(subtle),
      clock,
      random,
      randomBytes,
      onIncoming: this.#options.onIncoming,
    })
    if (this.#closed) network.destroy()
    return network
  }
}
