/** The three messages of the handshake as bytes: hello, proof, refusal. Layout: SPEC.md, group H. */

import { PROTOCOL_VERSION } from '../protocol/index.ts'
import { concatBytes, TabswarmError, utf8Encode } from '../shared/index.ts'

export const NONCE_BYTES = 32
const PUBLIC_KEY_BYTES = 65
const SIGNATURE_BYTES = 64
const HELLO_BYTES = 3 + NONCE_BYTES + PUBLIC_KEY_BYTES
const HELLO = 0x48
const PROOF = 0x50
const REFUSAL = 0x52
/** Enough for a reason; a stranger's text is shown to a person. */
const REFUSAL_BYTES_MAX = 500

export interface Hello {
  readonly version: number
  readonly nonce: Uint8Array
  readonly publicKey: Uint8Array
}

export function encodeHello({ version, nonce, publicKey }: Hello): Uint8Array {
  return concatBytes([Uint8Array.of(HELLO, version & 255, version >> 8), nonce, publicKey])
}

export function encodeProof(signature: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(PROOF), signature])
}

export function encodeRefusal(detail: string): Uint8Array {
  return concatBytes([Uint8Array.of(REFUSAL), utf8Encode(detail).subarray(0, REFUSAL_BYTES_MAX)])
}

/** Of another version only the version is read: the rest may lie differently. Throws TabswarmError `handshake-failed`. */
export function parseHello(message: Uint8Array): Hello {
  checkType(message, HELLO, 'hello')
  if (message.byteLength < 3) throw malformed('hello', message)
  const version = (message[1] ?? 0) | ((message[2] ?? 0) << 8)
  const nonce = message.slice(3, 3 + NONCE_BYTES)
  const publicKey = message.slice(3 + NONCE_BYTES)
  if (version === PROTOCOL_VERSION && message.byteLength !== HELLO_BYTES) throw malformed('hello', message)
  return { version, nonce, publicKey }
}

/** The signature. Throws TabswarmError `handshake-failed`. */
export function parseProof(message: Uint8Array): Uint8Array {
  checkType(message, PROOF, 'proof')
  if (message.byteLength !== 1 + SIGNATURE_BYTES) throw malformed('proof', message)
  return message.slice(1)
}

function checkType(message: Uint8Array, type: number, name: string): void {
  if (message[0] === REFUSAL) throw new TabswarmError('handshake-failed', `it refused: ${refusalText(message)}`)
  if (message[0] !== type) throw new TabswarmError('handshake-failed', `[H7] expected ${name}, got a message of type ${message[0]}`)
}

function refusalText(message: Uint8Array): string {
  const text = new TextDecoder().decode(message.slice(1, 1 + REFUSAL_BYTES_MAX))
  return text.replace(/\p{C}/gu, ' ')
}

function malformed(name: string, message: Uint8Array): TabswarmError {
  return new TabswarmError('handshake-failed', `[H7] a ${name} of ${message.byteLength} bytes`)
}
