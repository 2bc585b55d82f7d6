/**
 * Sealing: what a relayed channel's two ends make of two ephemeral keys: one AES-GCM key for each direction, with a counter as the nonce.
 * Whoever carries the records can read none, change none, and leave out, repeat or exchange none without being noticed at the next one.
 * Who the other end is the handshake tells (handshake.ts), which signs both ephemeral keys. SPEC.md, rules L6 … L8.
 */

import { assert, concatBytes, required, utf8Encode } from '../../shared/index.ts'
import type { Role } from '../handshake.ts'

/** A raw P-256 point, uncompressed. */
export const EPHEMERAL_KEY_BYTES = 65

/** Records under one key: at 60 a second three days; AES-GCM has margin for far more of the largest ones, and a link is soon made anew. */
export const RECORDS_MAX = 2 ** 24

const CURVE = { name: 'ECDH', namedCurve: 'P-256' }
const SECRET_BITS = 256
const KEY_BYTES = 32
const NONCE_BYTES = 12
const CONTEXT = 'tabswarm relay 1\n'

export interface EphemeralKey {
  /** Raw, EPHEMERAL_KEY_BYTES. */
  readonly publicKey: Uint8Array
  /** The secret shared with the other end, 32 bytes. Rejects where its key is no point of the curve. */
  agree(theirPublicKey: Uint8Array): Promise<Uint8Array>
}

/** Made for one channel, and forgotten with it. */
export async function createEphemeralKey(subtle: SubtleCrypto): Promise<EphemeralKey> {
  const { publicKey, privateKey } = await subtle.generateKey(CURVE, false, ['deriveBits'])
  return {
    publicKey: new Uint8Array(await subtle.exportKey('raw', publicKey)),
    async agree(theirPublicKey) {
      const theirs = await subtle.importKey('raw', new Uint8Array(theirPublicKey), CURVE, false, [])
      return new Uint8Array(await subtle.deriveBits({ name: 'ECDH', public: theirs }, privateKey, SECRET_BITS))
    },
  }
}

export interface Agreement {
  readonly secret: Uint8Array
  readonly dialerKey: Uint8Array
  readonly listenerKey: Uint8Array
}

export interface Seals {
  /** The next record of this end. Its place among the others is that of the call. Asserts beyond RECORDS_MAX. */
  seal(plain: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
  /** The next record of the other end; rejects where it is not exactly that. */
  open(sealed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
  /** How many `seal` has made. */
  readonly sealedCount: number
}

/** HKDF-SHA-256 over the secret, salted with both ephemeral keys: the first 32 bytes seal what the dialer sends, the rest the listener's. */
export async function deriveSeals(subtle: SubtleCrypto, role: Role, { secret, dialerKey, listenerKey }: Agreement): Promise<Seals> {
  const material = await subtle.importKey('raw', new Uint8Array(secret), 'HKDF', false, ['deriveBits'])
  const salt = concatBytes([dialerKey, listenerKey])
  const derived = await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info: utf8Encode(CONTEXT) }, material, 2 * 8 * KEY_BYTES)
  const keys = await Promise.all(
    [0, KEY_BYTES].map((at) => subtle.importKey('raw', derived.slice(at, at + KEY_BYTES), 'AES-GCM', false, ['encrypt', 'decrypt'])),
  )
  const [own, theirs] = role === 'dialer' ? keys : keys.toReversed()
  return new GcmSeals(subtle, required(own, 'the own key'), required(theirs, 'the other key'))
}

class GcmSeals implements Seals {
  readonly #subtle: SubtleCrypto
  readonly #own: CryptoKey
  readonly #theirs: CryptoKey
  #sealed = 0
  #opened = 0

  constructor(subtle: SubtleCrypto, own: CryptoKey, theirs: CryptoKey) {
    this.#subtle = subtle
    this.#own = own
    this.#theirs = theirs
  }

  get sealedCount(): number {
    return this.#sealed
  }

  async seal(plain: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    assert(this.#sealed < RECORDS_MAX, `a key seals ${RECORDS_MAX} records and no more`)
    const algorithm = { name: 'AES-GCM', iv: nonce(this.#sealed++) }
    return new Uint8Array(await this.#subtle.encrypt(algorithm, this.#own, plain))
  }

  async open(sealed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const algorithm = { name: 'AES-GCM', iv: nonce(this.#opened++) }
    return new Uint8Array(await this.#subtle.decrypt(algorithm, this.#theirs, sealed))
  }
}

/** Eight zero bytes and the record's number, big-endian. */
function nonce(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(NONCE_BYTES)
  new DataView(bytes.buffer).setUint32(NONCE_BYTES - 4, count)
  return bytes
}
