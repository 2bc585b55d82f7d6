/** createNetwork: all that one peer's links are made of, put together: WebRTC where the browser has it, the relay, and who chooses. */

import type { Link, Paths, ServerMessage } from '../protocol/index.ts'
import type { Clock, PeerId, Sha256, Signer, VerifySignature } from '../shared/index.ts'
import { LinkNetwork } from './linkNetwork.ts'
import { createPeerJsNetwork } from './peerJs.ts'
import { RelayNetwork, type RelayNetworkOptions } from './relay/relayNetwork.ts'
import type { IceOptions, SignallingServer } from './webrtc/signaller.ts'

export interface NetworkOptions {
  readonly peerId: PeerId
  readonly signalling: SignallingServer
  readonly paths: Paths
  readonly relay: Pick<RelayNetworkOptions, 'openSocket' | 'request' | 'subtle'>
  readonly signer: Signer
  readonly verify: VerifySignature
  readonly sha256: Sha256
  readonly clock: Clock
  /** [0, 1), for backoff. */
  readonly random: () => number
  /** Cryptographically strong, for nonces. */
  readonly randomBytes: (count: number) => Uint8Array
  /** An authenticated link that the other side dialed; `dial` may return the same link later. */
  readonly onIncoming: (link: Link) => void
}

export interface Network {
  /** The open link to the peer, or a new one. Rejects with TabswarmError `unreachable`, `handshake-failed`, `too-many-links` or `cancelled`. */
  dial(peerId: PeerId, signal?: AbortSignal): Promise<Link>
  /** For the next connection to the signalling server, after the control socket had to identify anew. */
  setSignalToken(token: string): void
  /** For connections from now on. */
  setPaths(paths: Paths): void
  /** What the coordinator says of relays. */
  handleRelay(message: Extract<ServerMessage, { type: 'relay' | 'relay-refused' }>): void
  /** Closes every link and the signalling socket. */
  destroy(): void
}

/** Connects to the signalling server, and answers other peers from then on. */
export async function createNetwork({ relay: relayOptions, paths, signalling, ...options }: NetworkOptions): Promise<Network> {
  const incoming = new WeakSet<Link>()
  const onIncoming = (link: Link) => {
    incoming.add(link)
    options.onIncoming(link)
  }
  const hasWebRtc = 'RTCPeerConnection' in globalThis
  const direct = hasWebRtc ? await createPeerJsNetwork({ ...options, signalling, ice: iceOf(paths), onIncoming }) : null
  const relay = new RelayNetwork({ ...options, ...relayOptions, onIncoming })
  const links = new LinkNetwork({ direct, relay, clock: options.clock, isIncoming: (link) => incoming.has(link) })
  return {
    dial: (peerId, signal) => links.dial(peerId, signal),
    setSignalToken: (token) => direct?.setSignalToken(token),
    setPaths: (renewed) => direct?.setIce(iceOf(renewed)),
    handleRelay: (message) =>
      message.type === 'relay' ? relay.handleRelay(message) : relay.handleRefused(message.peerId, message.message),
    destroy() {
      direct?.destroy()
      relay.destroy()
    },
  }
}

function iceOf({ iceServers, iceTransportPolicy }: Paths): IceOptions {
  return {
    iceTransportPolicy,
    iceServers: iceServers.map(({ urls, username, credential }) => ({
      urls,
      ...(username === undefined ? {} : { username }),
      ...(credential === undefined ? {} : { credential }),
    })),
  }
}
