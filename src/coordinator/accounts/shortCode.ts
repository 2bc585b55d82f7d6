/**
 * Short codes: by a pairing code another device joins an account, by an invitation an account joins a team. A code is typed by a person, so it is short: four
 * characters that find it and eight that are secret (40 bits). What it lacks in length it has in limits: it works once, for a while, and bears five wrong tries.
 */

import type { Sha256 } from '../../shared/index.ts'
import { AccountError } from './errors.ts'
import { hashSecret, isSameHash } from './secrets.ts'

export interface ShortCode {
  /** Finds it; no secret. */
  readonly handle: string
  /** SHA-256 of the whole code, hex. */
  readonly hash: string
  /** Coordinator time. */
  readonly expiresAtMs: number
  /** Wrong tries so far. */
  readonly attempts: number
}

export interface NewCode extends ShortCode {
  /** For its owner to read: `K7QF-2M9X-TB4C`. */
  readonly text: string
}

/** Of a pairing code: both devices are at hand. */
export const PAIRING_LIFE_MS = 300_000
/** Of an invitation, which is sent to somebody: a week. */
export const INVITATION_LIFE_MS = 7 * 86_400_000
/** Codes of one kind that one account may make a minute, and tries of them that one address block may make. */
export const CODES_A_MINUTE = 10
/** Invitations to one team that work at the same time: each is a way in. */
export const INVITATIONS_MAX = 20

const ATTEMPTS_MAX = 5
const HANDLE_CHARACTERS = 4
const CHARACTERS = 12
/** Without I, L, O and U, as Crockford has it: what is read out is typed right. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export async function newCode(randomBytes: (count: number) => Uint8Array, sha256: Sha256, expiresAtMs: number): Promise<NewCode> {
  // 256 is a multiple of 32: every character is as likely as any other.
  const code = Array.from(randomBytes(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join('')
  const text = code.replace(/(.{4})(?=.)/g, '$1-')
  return { handle: handleOf(code), hash: await hashSecret(code, sha256), text, expiresAtMs, attempts: 0 }
}

/** A code as it was typed, without dashes and in the alphabet's letters; null for what is none. */
export function parseCode(typed: string): { readonly code: string; readonly handle: string } | null {
  const code = typed.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1')
  if (code.length !== CHARACTERS || [...code].some((character) => !ALPHABET.includes(character))) return null
  return { code, handle: handleOf(code) }
}

/** What a try of `code` comes to: it is right and used up, it is wrong (with what to keep of it), or there is nothing to try any more. */
export async function tryCode(
  kept: ShortCode,
  code: string,
  sha256: Sha256,
  nowMs: number,
): Promise<'right' | 'ended' | { readonly kind: 'wrong'; readonly attempts: number }> {
  if (nowMs >= kept.expiresAtMs || kept.attempts >= ATTEMPTS_MAX) return 'ended'
  if (isSameHash(await hashSecret(code, sha256), kept.hash)) return 'right'
  return { kind: 'wrong', attempts: kept.attempts + 1 }
}

/** One answer for every pairing code that is refused: a wrong one teaches nothing. */
export function badPairing(): AccountError {
  return new AccountError('bad-code', 'this code is wrong, was used, or is older than five minutes; make a new one on the other device')
}

/** The same for invitations. */
export function badInvitation(): AccountError {
  return new AccountError('bad-code', 'this invitation is wrong, was used or taken back, or is older than a week; ask for a new one')
}

function handleOf(code: string): string {
  return code.slice(0, HANDLE_CHARACTERS)
}
