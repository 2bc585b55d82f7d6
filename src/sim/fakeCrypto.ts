/** fakeCrypto: a checksum in place of signatures and hashes: nobody forges here, and a simulated day has no time for real ones. */

import type { Signer } from '../shared/index.ts'

/** FNV-1a, and zeros. */
function checksum(message: Uint8Array, byteLength: number): Uint8Array {
  let sum = 0x811c9dc5
  for (const byte of message) sum = Math.imul(sum ^ byte, 0x01000193)
  const bytes = new Uint8Array(byteLength)
  new DataView(bytes.buffer).setInt32(0, sum)
  return bytes
}

/** Everybody's. */
export const signer: Signer = { publicKey: new Uint8Array(65).fill(4), sign: (message) => Promise.resolve(checksum(message, 64)) }

export function verify(_key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return Promise.resolve(checksum(message, 64).every((byte, index) => byte === signature[index]))
}

export function sha256(message: Uint8Array): Promise<Uint8Array> {
  return Promise.resolve(checksum(message, 32))
}
