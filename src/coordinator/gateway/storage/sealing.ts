/**
 * Sealing: what is kept for a client is encrypted with a key that follows from its API key (HKDF-SHA-256), which nobody here keeps: the store has a hash
 * of it. Each object has a key of its own, and each of its parts a nonce drawn for it (AES-256-GCM), so that parts can be written one by one and none
 * can take another's place.
 */

import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { utf8Decode, utf8Encode } from '../../../shared/index.ts'

const KEY_BYTES = 32
export const SALT_BYTES = 16
/** As AES-GCM has it; drawn 2³² times before two are likely to meet, of an object with 10,000 parts. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

type RandomBytes = (count: number) => Uint8Array

/** What an API key opens. Lives in memory alone. */
export class SealingKey {
  readonly keyId: string
  readonly #root: Uint8Array

  constructor(apiKey: string, keyId: string) {
    this.keyId = keyId
    this.#root = new Uint8Array(hkdfSync('sha256', apiKey, keyId, 'tabswarm sealing 1', KEY_BYTES))
  }

  /** `salt`: base64url. */
  seal({ id, salt }: { readonly id: string; readonly salt: string }, randomBytes: RandomBytes): Seal {
    const key = hkdfSync('sha256', this.#root, Buffer.from(salt, 'base64url'), `tabswarm object ${id}`, KEY_BYTES)
    return new Seal(id, new Uint8Array(key), randomBytes)
  }
}

/** Of one object. */
export class Seal {
  readonly #id: string
  readonly #key: Uint8Array
  readonly #randomBytes: RandomBytes

  constructor(id: string, key: Uint8Array, randomBytes: RandomBytes) {
    this.#id = id
    this.#key = key
    this.#randomBytes = randomBytes
  }

  /** As text: base64url of nonce, tag and what is sealed. `part`: its index, or `header`. */
  close(part: number | 'header', plain: Uint8Array): string {
    const nonce = this.#randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(this.#name(part))
    const sealed = [cipher.update(plain), cipher.final()]
    return Buffer.concat([nonce, cipher.getAuthTag(), ...sealed]).toString('base64url')
  }

  /** Throws where it was not closed with this key, or stood elsewhere. */
  open(part: number | 'header', sealed: string): Uint8Array {
    const bytes = Buffer.from(sealed, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#name(part)).setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
  }

  closeJson(part: number | 'header', value: unknown): string {
    return this.close(part, utf8Encode(JSON.stringify(value)))
  }

  /** What `closeJson` was given: nobody else can have written it. */
  openJson<Value>(part: number | 'header', sealed: string): Value {
    return JSON.parse(utf8Decode(this.open(part, sealed))) as Value
  }

  #name(part: number | 'header'): Uint8Array {
    return utf8Encode(`${this.#id}/${part}`)
  }
}
