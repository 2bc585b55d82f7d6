/** Who a peer is: a P-256 key pair made by WebCrypto, whose private half cannot be read, and an id derived from the public half. */

import { openReceipt, type SignedReceipt } from '../protocol/index.ts'
import { type PeerId, type Sha256, type Signer, toHex, type VerifySignature } from '../shared/index.ts'

const KEY = { name: 'ECDSA', namedCurve: 'P-256' }
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' }
const PUBLIC_KEY_BYTES = 65
const SIGNATURE_BYTES = 64

/** A fresh key pair. Rejects where WebCrypto is missing: pages need a secure context. */
export async function createIdentity(subtle: SubtleCrypto): Promise<Signer> {
  const { publicKey, privateKey } = await subtle.generateKey(KEY, false, ['sign', 'verify'])
  return signerOf(subtle, new Uint8Array(await subtle.exportKey('raw', publicKey)), privateKey)
}

/** A key pair to keep: who has `privateKey` (PKCS #8) is the identity. */
export interface StoredIdentity {
  /** Raw, 65 bytes. */
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

/** A fresh key pair that outlives the process, for its owner to store. */
export async function createStoredIdentity(subtle: SubtleCrypto): Promise<StoredIdentity> {
  const { publicKey, privateKey } = await subtle.generateKey(KEY, true, ['sign', 'verify'])
  return {
    publicKey: new Uint8Array(await subtle.exportKey('raw', publicKey)),
    privateKey: new Uint8Array(await subtle.exportKey('pkcs8', privateKey)),
  }
}

/** Rejects if `privateKey` is no P-256 key. */
export async function openIdentity(subtle: SubtleCrypto, { publicKey, privateKey }: StoredIdentity): Promise<Signer> {
  return signerOf(subtle, publicKey, await subtle.importKey('pkcs8', new Uint8Array(privateKey), KEY, false, ['sign']))
}

function signerOf(subtle: SubtleCrypto, publicKey: Uint8Array, privateKey: CryptoKey): Signer {
  return { publicKey, sign: async (message) => new Uint8Array(await subtle.sign(SIGNATURE, privateKey, new Uint8Array(message))) }
}

/** False also for keys and signatures that are malformed. */
export function signatureVerifier(subtle: SubtleCrypto): VerifySignature {
  return async (publicKey, message, signature) => {
    if (publicKey.byteLength !== PUBLIC_KEY_BYTES || signature.byteLength !== SIGNATURE_BYTES) return false
    try {
      const key = await subtle.importKey('raw', new Uint8Array(publicKey), KEY, false, ['verify'])
      return await subtle.verify(SIGNATURE, key, new Uint8Array(signature), new Uint8Array(message))
    } catch {
      return false // A point that is not on the curve.
    }
  }
}

export function sha256Of(subtle: SubtleCrypto): Sha256 {
  return async (bytes) => new Uint8Array(await subtle.digest('SHA-256', new Uint8Array(bytes)))
}

/** First 16 bytes of SHA-256 over the raw public key, in hex (rule H2). */
export async function peerIdOf(publicKey: Uint8Array, sha256: Sha256): Promise<PeerId> {
  return toHex((await sha256(publicKey)).subarray(0, 16)) as PeerId
}

/** Whether the peer has that raw public key, and signed the receipt with it, at a time that has come. `nowMs` is coordinator time. */
export async function isReceiptOf(
  { receipt, publicKey, peerId, nowMs }: { receipt: SignedReceipt; publicKey: Uint8Array; peerId: PeerId; nowMs: number },
  { sha256, verify }: { readonly sha256: Sha256; readonly verify: VerifySignature },
): Promise<boolean> {
  if ((await peerIdOf(publicKey, sha256)) !== peerId) return false
  return (await openReceipt(receipt, publicKey, verify, nowMs)).ok
}
