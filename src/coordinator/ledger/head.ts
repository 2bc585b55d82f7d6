/**
 * Heads: the coordinator's signed word for how long the ledger is and what it holds. A peer that gets two heads which do not extend each other
 * holds the proof of a fork in its hands.
 */

import { concatBytes, fromBase64Url, fromHex, type Signer, toBase64Url, utf8Encode, type VerifySignature } from '../../shared/index.ts'

export interface TreeHead {
  /** Events in the ledger. */
  readonly size: number
  /** Root of the tree over them, hex. */
  readonly root: string
  /** Coordinator time of signing, milliseconds since the epoch. */
  readonly atMs: number
}

export interface SignedHead extends TreeHead {
  /** The ledger's key, raw P-256 (65 bytes), base64url: the same for the ledger's whole life. */
  readonly publicKey: string
  /** base64url. */
  readonly signature: string
}

export async function signHead(head: TreeHead, signer: Signer): Promise<SignedHead> {
  const { size, root, atMs } = head
  return { size, root, atMs, publicKey: toBase64Url(signer.publicKey), signature: toBase64Url(await signer.sign(encodeHead(head))) }
}

export async function verifyHead(head: SignedHead, verify: VerifySignature): Promise<boolean> {
  const publicKey = fromBase64Url(head.publicKey)
  const signature = fromBase64Url(head.signature)
  return publicKey !== null && signature !== null && (await verify(publicKey, encodeHead(head), signature))
}

/** `tabswarm ledger head 1\n` ‖ u64 size ‖ u64 time ‖ 32 bytes root, little-endian. */
function encodeHead({ size, root, atMs }: TreeHead): Uint8Array {
  const numbers = new Uint8Array(16)
  const view = new DataView(numbers.buffer)
  view.setBigUint64(0, BigInt(size), true)
  view.setBigUint64(8, BigInt(atMs), true)
  return concatBytes([utf8Encode('tabswarm ledger head 1\n'), numbers, fromHex(root)])
}
