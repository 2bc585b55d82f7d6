/**
 * PeerConnection: one role's identity, its control socket, and its links, which are only set up when somebody needs them. The
 * volunteer and the requester of one tab have one each.
 */

import {
  ControlClient,
  type ControlSocket,
  createIdentity,
  createNetwork,
  type Load,
  type Network,
  peerIdOf,
  type RelaySocket,
  sha256Of,
  signatureVerifier,
} from '../network/index.ts'
import type { Link, Paths, RecoveryCopy, SignedDocument, WrappedKey } from '../protocol/index.ts'
import { type Clock, type PeerId, TabswarmError } from '../shared/index.ts'
import { HeadWatch } from './headWatch.ts'

/** Who the browser earns and pays as: see account's BrowserAccount. */
export interface HostAccount extends Certifier {
  /** False: it ends with this tab. */
  readonly isKept: boolean
  /** For the coordinator to keep. */
  readonly copy: RecoveryCopy
  readonly unsavedPhrase: string | null
  forgetPhrase(): Promise<void>
  /** Another tab has forgotten the phrase, or taken another account. */
  onChange(listener: () => void): void
  /** The account that a phrase opens, out of the copy that is kept under a name. Rejects with a TabswarmError. */
  find(phrase: string, copyAt: (lookup: string) => Promise<WrappedKey>): Promise<FoundAccount>
}

interface Certifier {
  /** The account's word that this peer is its own. `nowMs` is coordinator time. */
  certify(peerId: PeerId, nowMs: number): Promise<SignedDocument>
}

export interface FoundAccount extends Certifier {
  /** It is this browser's already. */
  readonly isSame: boolean
  /** It takes the place of this browser's account. */
  take(): Promise<void>
}

export interface ConnectionHost {
  /** Where the coordinator lives: `location.origin`. */
  readonly origin: string
  readonly openSocket: (url: string) => ControlSocket & RelaySocket
  /** Milliseconds since the epoch. */
  readonly clock: Clock
  /** [0, 1). */
  readonly random: () => number
  readonly randomBytes: (count: number) => Uint8Array
  readonly subtle: SubtleCrypto
  /** Whom this browser's peers belong to; null where it has no keys: each is an account of its own then. */
  readonly account: Promise<Certifier | null>
}

export interface ConnectionOptions {
  readonly load: () => Promise<Load | null>
  /** Where frames are handled. `worker`: each link is to be handed over, and not to be used on the page. */
  readonly framePlace: 'page' | 'worker'
  readonly onIncoming: (link: Link) => void
  /** Its key pair; a fresh one where it is left out. */
  readonly identity?: Identity
}

type Identity = Awaited<ReturnType<typeof createIdentity>>

export class PeerConnection {
  readonly peerId: PeerId
  readonly control: ControlClient
  /** Heads of the ledger that this peer is told, and that others say they were. */
  readonly heads: HeadWatch
  readonly #host: ConnectionHost
  readonly #options: ConnectionOptions
  readonly #signer: Identity
  #network: Promise<Network> | null = null
  #paths: Paths | null = null
  #closed = false

  private constructor(host: ConnectionHost, options: ConnectionOptions, signer: Identity, peerId: PeerId) {
    this.#host = host
    this.#options = options
    this.#signer = signer
    this.peerId = peerId
    const { openSocket, clock, random } = host
    const certify = async (nowMs: number) => (await host.account)?.certify(peerId, nowMs) ?? null
    const url = this.#socketUrl('/control')
    this.control = new ControlClient({ url, openSocket, peerId, signer, certify, clock, random, load: options.load })
    this.control.on('state', (state) => {
      if (state.kind !== 'online') return
      void this.#network?.then((network) => network.setSignalToken(state.welcome.signalToken))
      this.#setPaths(state.welcome.paths)
    })
    this.heads = new HeadWatch({
      askPath: async (from, to) => (await this.control.account({ kind: 'ledger-path', from, to })).path,
      sha256: sha256Of(host.subtle),
      verify: signatureVerifier(host.subtle),
    })
    this.control.on('head', (told) => void this.heads.told(told))
    this.control.on('paths', ({ paths }) => this.#setPaths(paths))
    this.control.on('relay', (message) => void this.#network?.then((network) => network.handleRelay(message)))
  }

  /** The socket is on its way. Rejects in insecure contexts, which have no WebCrypto. */
  static async open(host: ConnectionHost, options: ConnectionOptions): Promise<PeerConnection> {
    const signer = options.identity ?? (await createIdentity(host.subtle))
    return new PeerConnection(host, options, signer, await peerIdOf(signer.publicKey, sha256Of(host.subtle)))
  }

  /** Raw; the peer's id is its hash. */
  get publicKey(): Uint8Array {
    return this.#signer.publicKey
  }

  /** Signs as this peer. */
  sign(message: Uint8Array): Promise<Uint8Array> {
    return this.#signer.sign(message)
  }

  /** The links; connects to the signalling server the first time. Rejects while the control socket is not online. */
  network(): Promise<Network> {
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

  #setPaths(paths: Paths): void {
    this.#paths = paths
    void this.#network?.then((network) => network.setPaths(paths))
  }

  #socketUrl(path: string): string {
    return new URL(path, this.#host.origin.replace(/^http/, 'ws')).href
  }

  async #openNetwork(): Promise<Network> {
    const { state } = this.control
    const paths = this.#paths
    if (state.kind !== 'online' || paths === null)
      throw new TabswarmError('offline', 'this tab is not connected to the coordinator; it is trying again')
    const { origin, openSocket, clock, random, randomBytes, subtle } = this.#host
    const { hostname, port, protocol } = new URL(origin)
    const secure = protocol === 'https:'
    const { signalPath, signalToken } = state.welcome
    const network = await createNetwork({
      peerId: this.peerId,
      signalling: { host: hostname, port: port === '' ? (secure ? 443 : 80) : Number(port), path: signalPath, secure, token: signalToken },
      paths,
      relay: {
        openSocket: (path) => openSocket(this.#socketUrl(path)),
        request: (peerId, heardOf) => this.control.send({ type: 'relay', peerId, heardOf }),
        subtle,
      },
      signer: this.#signer,
      verify: signatureVerifier(subtle),
      sha256: sha256Of(subtle),
      clock,
      random,
      randomBytes,
      framePlace: this.#options.framePlace,
      onIncoming: this.#options.onIncoming,
    })
    if (this.#closed) network.destroy()
    return network
  }
}
