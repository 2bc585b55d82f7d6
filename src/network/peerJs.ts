/** The door to WebRTC, loaded late: PeerJS exists for pages only, and this folder is also used by workers and Node. */

import type { PeerJsNetworkOptions, PeerNetwork } from './webrtc/peerJsNetwork.ts'

/** Connects to the signalling server, and answers other peers from then on. */
export async function createPeerJsNetwork(options: PeerJsNetworkOptions): Promise<PeerNetwork> {
  const { PeerJsNetwork } = await import('./webrtc/peerJsNetwork.ts')
  return new PeerJsNetwork(options)
}
