/** network: links to other peers, and the control socket to the coordinator. */

export {
  type AdmitRequest,
  ControlClient,
  type ControlClientOptions,
  type ControlEvents,
  type ControlSocket,
  type ControlState,
} from './controlClient.ts'
export { createIdentity, peerIdOf, sha256Of, signatureVerifier } from './identity.ts'
export type { MemoryOptions } from './memoryChannel.ts'
export { memoryLinkPair } from './memoryLink.ts'
export { createPeerJsNetwork } from './peerJs.ts'
export { linkFromPort, serveLink } from './portLink.ts'
export type { PeerJsNetworkOptions, PeerNetwork } from './webrtc/peerJsNetwork.ts'
export type { SignallingServer } from './webrtc/signaller.ts'
