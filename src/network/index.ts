/** network: links to other peers, and the control socket to the coordinator. */

export { AdmissionRefused, ControlClient, type ControlSocket } from './controlClient.ts'
export { createIdentity, peerIdOf, sha256Of, signatureVerifier } from './identity.ts'
export { memoryLinkPair } from './memoryLink.ts'
export { createPeerJsNetwork } from './peerJs.ts'
export { linkFromPort, serveLink } from './portLink.ts'
export type { PeerNetwork } from './webrtc/peerJsNetwork.ts'
export type { SignallingServer } from './webrtc/signaller.ts'
