/**
 * Recovery phrase: twelve words (BIP 39, 128 random bits and a checksum) from which come the key that wraps an account's private key, and
 * the name under which the wrapped key is kept for whoever knows the words. All twelve cannot be guessed; the slow hash is for who has seen some.
 */

import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { TabswarmError, toHex, utf8Encode } from '../shared/index.ts'

const ENTROPY_BYTES = 16
const WORDS = 12
const LOOKUP_BYTES = 16
const SALT = utf8Encode('tabswarm recovery 1\n')
/** Of PBKDF2 over SHA-256: a tenth of a second of a laptop, half a second of an old phone, at the first visit and when an account comes back. */
const ITERATIONS = 200_000
const STRETCHED_BITS = 256

export interface RecoveryKeys {
  /** AES-256-GCM; wraps and unwraps. */
  readonly wrapping: CryptoKey
  /** Under which a wrapped key is kept: 32 hex digits that say nothing of the words. */
  readonly lookup: string
}

/** Twelve words with single spaces. */
export function newRecoveryPhrase(randomBytes: (count: number) => Uint8Array): string {
  return entropyToMnemonic(randomBytes(ENTROPY_BYTES), wordlist)
}

/** As a person types it: case, line breaks and further spaces do not count. Rejects with TabswarmError `bad-phrase`, which says what is wrong. */
export async function recoveryKeys(phrase: string, subtle: SubtleCrypto): Promise<RecoveryKeys> {
  const entropy = await subtle.importKey('raw', new Uint8Array(entropyOf(phrase)), 'PBKDF2', false, ['deriveBits'])
  const stretching = { name: 'PBKDF2', hash: 'SHA-256', salt: SALT, iterations: ITERATIONS }
  const secret = await subtle.importKey('raw', await subtle.deriveBits(stretching, entropy, STRETCHED_BITS), 'HKDF', false, [
    'deriveKey',
    'deriveBits',
  ])
  const derivation = (purpose: string) => ({ name: 'HKDF', hash: 'SHA-256', salt: SALT, info: utf8Encode(purpose) })
  const wrapping = await subtle.deriveKey(derivation('wrap'), secret, { name: 'AES-GCM', length: 256 }, false, ['wrapKey', 'unwrapKey'])
  const lookup = await subtle.deriveBits(derivation('lookup'), secret, 8 * LOOKUP_BYTES)
  return { wrapping, lookup: toHex(new Uint8Array(lookup)) }
}

function entropyOf(phrase: string): Uint8Array {
  const words = phrase.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length !== WORDS) throw badPhrase(`it has ${words.length} words, not ${WORDS}`)
  const unknown = words.find((word) => !wordlist.includes(word))
  if (unknown !== undefined) throw badPhrase(`“${unknown.slice(0, 40)}” is not one of its words`)
  try {
    return mnemonicToEntropy(words.join(' '), wordlist)
  } catch {
    throw badPhrase('its words do not fit together: one is wrong, or two are exchanged')
  }
}

function badPhrase(why: string): TabswarmError {
  return new TabswarmError('bad-phrase', `this is not a recovery phrase: ${why}`)
}
