/** createNetwork: all that one peer's links are made of, put together: WebRTC where the browser has it, the relay, and who chooses. */

import type { Link, Paths, ServerMessage } from '../protocol/index.ts'
import { LinkNetwork } from './linkNetwork.ts'
import { createPeerJsNetwork } from './peerJs.ts'
import { RelayNetwork, type RelayNetworkOptions } from './relay/relayNetwork.ts'
import type { PeerJsNetworkOptions, PeerNetwork } from './webrtc/peerJsNetwork.ts'
import type { IceOptions } from './webrtc/signaller.ts'

export interface NetworkOptions extends Omit<PeerJsNetworkOptions, 'ice'> {
  readonly paths: Paths
  readonly relay: Pick<RelayNetworkOptions, 'openSocket' | 'request' | 'subtle'>
}

export interface Network extends Pick<PeerNetwork, 'dial' | 'setSignalToken' | 'destroy'> {
  /** For connections from now on. */
  setPaths(paths: Paths): void
  /** What the coordinator says of relays. */
  handleRelay(message: Extract<ServerMessage, { type: 'relay' | 'relay-refused' }>): void
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
