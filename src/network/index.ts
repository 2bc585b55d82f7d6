/** network: links to other peers, and the control socket to the coordinator. */

export { AdmissionRefused, ControlClient, type ControlSocket } from './controlClient.ts'
export { createNetwork, type Network } from './createNetwork.ts'
export {
  createIdentity,
  createStoredIdentity,
  openIdentity,
  peerIdOf,
  type StoredIdentity,
  sha256Of,
  signatureVerifier,
} from './identity.ts'
export { memoryLinkPair } from './memoryLink.ts'
export { linkFromPort, serveLink } from './portLink.ts'
export type { RelaySocket } from './relay/relaySocket.ts'
