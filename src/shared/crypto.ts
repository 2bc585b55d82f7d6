/** The cryptography that the pure folders need, as a port: WebCrypto fills it in browsers, workers and Node alike. */

/** SHA-256 of the bytes, 32 bytes. */
export type Sha256 = (bytes: Uint8Array) => Promise<Uint8Array>

/** Verifies an ECDSA P-256 / SHA-256 signature (raw r‖s, 64 bytes) over `message` by a raw public key (65 bytes). */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => Promise<boolean>

/** One key pair: signs, and tells its public half (raw, 65 bytes). The private half never leaves its adapter. */
export interface Signer {
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Promise<Uint8Array>
}
