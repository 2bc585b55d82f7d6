/**
 * Pairing codes: by one of them another device joins an account. A code is typed by a person, so it is short: four characters that find it and eight
 * that are secret (40 bits). What it lacks in length it has in limits: it works once, for five minutes, and bears five wrong tries.
 */

import type { Sha256 } from '../../shared/index.ts'
import { AccountError } from './errors.ts'
import { hashSecret, isSameHash } from './secrets.ts'

export interface Pairing {
  /** Finds it; no secret. */
  readonly handle: string
  /** SHA-256 of the whole code, hex. */
  readonly hash: string
  /** Coordinator time. */
  readonly expiresAtMs: number
  /** Wrong tries so far. */
  readonly attempts: number
}

export interface NewPairing extends Pairing {
  /** For its owner to read: `K7QF-2M9X-TB4C`. */
  readonly text: string
}

export const PAIRING_LIFE_MS = 300_000
/** Codes that one account may make a minute, and tries that one address block may make. */
export const PAIRINGS_A_MINUTE = 10

const ATTEMPTS_MAX = 5
const HANDLE_CHARACTERS = 4
const CHARACTERS = 12
/** Without I, L, O and U, as Crockford has it: what is read out is typed right. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export async function newPairing(randomBytes: (count: number) => Uint8Array, sha256: Sha256, nowMs: number): Promise<NewPairing> {
  // 256 is a multiple of 32: every character is as likely as any other.
  const code = Array.from(randomBytes(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join('')
  const text = code.replace(/(.{4})(?=.)/g, '$1-')
  return { handle: handleOf(code), hash: await hashSecret(code, sha256), text, expiresAtMs: nowMs + PAIRING_LIFE_MS, attempts: 0 }
}

/** A code as it was typed, without dashes and in the alphabet's letters; null for what is none. */
export function parsePairingCode(typed: string): { readonly code: string; readonly handle: string } | null {
  const code = typed.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1')
  if (code.length !== CHARACTERS || [...code].some((character) => !ALPHABET.includes(character))) return null
  return { code, handle: handleOf(code) }
}

/** What a try of `code` comes to: it is right and used up, it is wrong (with what to keep of the pairing), or there is nothing to try any more. */
export async function tryPairing(
  pairing: Pairing,
  code: string,
  sha256: Sha256,
  nowMs: number,
): Promise<'right' | 'ended' | { readonly kind: 'wrong'; readonly attempts: number }> {
  if (nowMs >= pairing.expiresAtMs || pairing.attempts >= ATTEMPTS_MAX) return 'ended'
  if (isSameHash(await hashSecret(code, sha256), pairing.hash)) return 'right'
  return { kind: 'wrong', attempts: pairing.attempts + 1 }
}

/** One answer for every code that is refused: a wrong one teaches nothing. */
export function badCode(): AccountError {
  return new AccountError('bad-code', 'this code is wrong, was used, or is older than five minutes; make a new one on the other device')
}

function handleOf(code: string): string {
  return code.slice(0, HANDLE_CHARACTERS)
}
