/**
 * An account's key pair (ECDSA P-256). Its private half is readable for one moment: when it is made, it is wrapped under the recovery phrase
 * and taken back in a form that signs and cannot be read. The wrapped copy may lie anywhere; only the phrase opens it.
 */

import type { RecoveryCopy, WrappedKey } from '../protocol/index.ts'
import type { Signer } from '../shared/index.ts'
import { assert, fromBase64Url, TabswarmError, toBase64Url } from '../shared/index.ts'
import { type RecoveryKeys, recoveryKeys } from './recoveryPhrase.ts'

const KEY = { name: 'ECDSA', namedCurve: 'P-256' }
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' }
const IV_BYTES = 12

export interface AccountKey {
  /** Raw, 65 bytes. */
  readonly publicKey: Uint8Array
  /** Not extractable; may be kept in IndexedDB. */
  readonly privateKey: CryptoKey
}

export interface AccountKeyPorts {
  readonly subtle: SubtleCrypto
  readonly randomBytes: (count: number) => Uint8Array
}

export async function createAccountKey(phrase: string, ports: AccountKeyPorts): Promise<{ key: AccountKey; copy: RecoveryCopy }> {
  const { subtle, randomBytes } = ports
  const keys = await recoveryKeys(phrase, subtle)
  const pair = await subtle.generateKey(KEY, true, ['sign', 'verify'])
  const publicKey = new Uint8Array(await subtle.exportKey('raw', pair.publicKey))
  const iv = new Uint8Array(randomBytes(IV_BYTES))
  const sealed = await subtle.wrapKey('pkcs8', pair.privateKey, keys.wrapping, sealing(iv, publicKey))
  const copy: RecoveryCopy = {
    lookup: keys.lookup,
    publicKey: toBase64Url(publicKey),
    iv: toBase64Url(iv),
    wrapped: toBase64Url(new Uint8Array(sealed)),
  }
  return { key: await openCopy(keys, copy, subtle), copy }
}

/** Rejects with TabswarmError `bad-copy` when it was changed, or is another phrase's. */
export async function openCopy({ wrapping }: RecoveryKeys, copy: WrappedKey, subtle: SubtleCrypto): Promise<AccountKey> {
  const [publicKey, iv, wrapped] = [fromBase64Url(copy.publicKey), fromBase64Url(copy.iv), fromBase64Url(copy.wrapped)]
  if (publicKey === null || iv === null || wrapped === null) throw badCopy()
  const privateKey = await subtle
    .unwrapKey('pkcs8', wrapped, wrapping, sealing(iv, publicKey), KEY, false, ['sign'])
    .catch(() => Promise.reject(badCopy()))
  return { publicKey, privateKey }
}

export function accountSigner({ publicKey, privateKey }: AccountKey, subtle: SubtleCrypto): Signer {
  assert(!privateKey.extractable, 'the private key of an account can be read')
  return { publicKey, sign: async (message) => new Uint8Array(await subtle.sign(SIGNATURE, privateKey, new Uint8Array(message))) }
}

/** The public half is authenticated too: a copy with another one does not open. */
function sealing(iv: Uint8Array<ArrayBuffer>, publicKey: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: publicKey }
}

function badCopy(): TabswarmError {
  return new TabswarmError('bad-copy', 'the kept copy of this account’s key is damaged: it does not open with its phrase')
}
