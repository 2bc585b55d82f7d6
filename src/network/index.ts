/** network: links to other peers, and the control socket to the coordinator. */

export { ControlClient } from './controlClient.ts'
export type { ControlSocket, Load, Saying } from './controlTypes.ts'
export { createNetwork, type Network } from './createNetwork.ts'
export { type HandedLink, handOver, takeOver } from './handOver.ts'
export {
  createIdentity,
  createStoredIdentity,
  isReceiptOf,
  openIdentity,
  peerIdOf,
  type StoredIdentity,
  sha256Of,
  signatureVerifier,
} from './identity.ts'
export { memoryLinkPair } from './memoryLink.ts'
export { CoordinatorRefused } from './questions.ts'
export type { RelaySocket } from './relay/relaySocket.ts'
