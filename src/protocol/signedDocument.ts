/**
 * Signed documents: JSON in UTF-8 that travels as the exact bytes that were signed, so no canonical form is needed to check it. Each kind has
 * a context that stands before the bytes when they are signed: a signature of one kind can be taken for nothing else.
 */

import * as v from 'valibot'
import {
  concatBytes,
  err,
  fromBase64Url,
  ok,
  type Result,
  type Signer,
  toBase64Url,
  utf8Decode,
  utf8Encode,
  type VerifySignature,
} from '../shared/index.ts'
import { describeIssue } from './schemas.ts'

export interface SignedDocument {
  /** base64url of the document's JSON, UTF-8. */
  readonly body: string
  /** base64url of the signature over context ‖ body. */
  readonly signature: string
}

export interface DocumentKind<Value> {
  /** For errors: "the grant is not JSON". */
  readonly name: string
  readonly context: string
  readonly schema: v.GenericSchema<unknown, Value>
}

export async function signDocument<Value>(kind: DocumentKind<Value>, value: Value, signer: Pick<Signer, 'sign'>): Promise<SignedDocument> {
  const body = utf8Encode(JSON.stringify(value))
  const signature = await signer.sign(concatBytes([utf8Encode(kind.context), body]))
  return { body: toBase64Url(body), signature: toBase64Url(signature) }
}

/** What is inside, once the signature is that of `publicKey` and the fields hold; else why it is refused. */
export async function openDocument<Value>(
  kind: DocumentKind<Value>,
  signed: SignedDocument,
  publicKey: Uint8Array,
  verify: VerifySignature,
): Promise<Result<Value, string>> {
  const body = fromBase64Url(signed.body)
  const signature = fromBase64Url(signed.signature)
  if (body === null || signature === null) return err(`the ${kind.name} is not base64url`)
  if (!(await verify(publicKey, concatBytes([utf8Encode(kind.context), body]), signature)))
    return err(`the ${kind.name}'s signature is not of the key that it should be of`)
  return parseDocument(kind, body)
}

/** The same for a document that names its signer's key itself: whose word it is, is then the caller's to judge. */
export async function openSelfSigned<Value>(
  kind: DocumentKind<Value>,
  signed: SignedDocument,
  keyOf: (value: Value) => Uint8Array | null,
  verify: VerifySignature,
): Promise<Result<Value, string>> {
  const body = fromBase64Url(signed.body)
  const read = body === null ? err(`the ${kind.name} is not base64url`) : parseDocument(kind, body)
  if (!read.ok) return read
  const publicKey = keyOf(read.value)
  return publicKey === null ? err(`the ${kind.name}'s key is not base64url`) : openDocument(kind, signed, publicKey, verify)
}

/** What is wrong with a document's times; null: nothing. `nowMs` is coordinator time. */
export function lifeFault(name: string, { issuedAtMs, expiresAtMs }: Life, lifeMsMax: number, nowMs: number): string | null {
  if (!(issuedAtMs < expiresAtMs && expiresAtMs - issuedAtMs <= lifeMsMax)) return `the ${name} lives too long, or not at all`
  if (nowMs >= expiresAtMs) return `the ${name} expired ${Math.round(nowMs - expiresAtMs)} ms ago; a new one is needed`
  return null
}

interface Life {
  /** Coordinator time. */
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** The fields of a document's bytes, or the first that is wrong; never throws. */
export function parseDocument<Value>({ name, schema }: DocumentKind<Value>, body: Uint8Array): Result<Value, string> {
  let value: unknown
  try {
    value = JSON.parse(utf8Decode(body))
  } catch {
    return err(`the ${name} is not JSON in UTF-8`)
  }
  const parsed = v.safeParse(schema, value)
  return parsed.success ? ok(parsed.output) : err(`the ${name}'s ${describeIssue(parsed.issues[0])}`)
}
