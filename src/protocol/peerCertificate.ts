/** PeerCertificate: an account's signed word that a peer is one of its own: who computes, earns for whom. Rules I1 … I3 of SPEC.md. */

import * as v from 'valibot'
import { err, fromBase64Url, ok, type PeerId, type Result, type Signer, toBase64Url, type VerifySignature } from '../shared/index.ts'
import { CERTIFICATE_LIFE_MS_MAX } from './limits.ts'
import { amount, base64Url, peerId } from './schemas.ts'
import { type DocumentKind, lifeFault, openSelfSigned, type SignedDocument, signDocument } from './signedDocument.ts'

export interface PeerCertificate {
  readonly version: 1
  /** base64url of the account's raw public key, 65 bytes. */
  readonly accountKey: string
  readonly peerId: PeerId
  /** Coordinator time. */
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

const certificateKind: DocumentKind<PeerCertificate> = {
  name: 'certificate',
  context: 'tabswarm peer certificate 1\n',
  schema: v.strictObject({ version: v.literal(1), accountKey: base64Url(128), peerId, issuedAtMs: amount, expiresAtMs: amount }),
}

/** For a whole day from `nowMs` on, in coordinator time. */
export function certifyPeer(peerId: PeerId, account: Signer, nowMs: number): Promise<SignedDocument> {
  const times = { issuedAtMs: nowMs, expiresAtMs: nowMs + CERTIFICATE_LIFE_MS_MAX }
  return signDocument(certificateKind, { version: 1, accountKey: toBase64Url(account.publicKey), peerId, ...times }, account)
}

/** The raw public key of the account that `peerId` belongs to; else why the certificate is refused. `nowMs` is coordinator time. */
export async function openCertificate(
  signed: SignedDocument,
  certified: PeerId,
  verify: VerifySignature,
  nowMs: number,
): Promise<Result<Uint8Array, string>> {
  const opened = await openSelfSigned(certificateKind, signed, ({ accountKey }) => fromBase64Url(accountKey), verify)
  if (!opened.ok) return opened
  const { accountKey, peerId } = opened.value
  if (peerId !== certified) return err(`the certificate is for peer ${peerId}, not for ${certified}`)
  const fault = lifeFault(certificateKind.name, opened.value, CERTIFICATE_LIFE_MS_MAX, nowMs)
  return fault === null ? ok(fromBase64Url(accountKey) ?? new Uint8Array()) : err(fault)
}
