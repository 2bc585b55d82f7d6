/**
 * Accounts: who earns and pays. An account is a random id; what it is reached by are identities, and what people call it is a name. Both can
 * be erased, and the ledger, which knows the id alone, stays as it is.
 */

import { ACCOUNT_NAME_CHARACTERS_MAX, type AccountRole, err, ok, type Result, toBase64Url, toHex } from '../../shared/index.ts'
import { AccountError } from './errors.ts'

/** What everybody may be from the first contact on. */
export const FIRST_ROLES: readonly AccountRole[] = ['requester', 'volunteer']

/** Kinds of identity; subjects of OpenID Connect will be another. */
export const identityKinds = ['key'] as const

export interface Identity {
  readonly kind: (typeof identityKinds)[number]
  /** Of a key: its public half, raw P-256 (65 bytes), base64url. */
  readonly subject: string
}

export interface AccountRecord {
  /** 32 hex digits. */
  readonly id: string
  /** Empty until it is given one, and when it was erased. */
  readonly name: string
  readonly roles: readonly AccountRole[]
  /** Coordinator time, as all here. */
  readonly createdAtMs: number
  /** Its names and identities are gone for good; null: they are not. */
  readonly erasedAtMs: number | null
}

const ID_BYTES = 16

/**
 * A new account's id. It is chosen by chance and not made from a key: who has only the ledger and a key cannot tell which lines are its own
 * once the identity is erased.
 */
export function newAccountId(randomBytes: (count: number) => Uint8Array): string {
  return toHex(randomBytes(ID_BYTES))
}

/** `publicKey`: raw, as openCertificate gives it. */
export function keyIdentity(publicKey: Uint8Array): Identity {
  return { kind: 'key', subject: toBase64Url(publicKey) }
}

/** A name that people read, of an account, a key or a team: 1 to 64 characters, none that is invisible, no space around it. */
export function checkName(name: string): Result<string, AccountError> {
  const isName = name.length <= ACCOUNT_NAME_CHARACTERS_MAX && name.trim() === name && /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name)
  return isName
    ? ok(name)
    : err(new AccountError('bad-value', `a name has 1 to ${ACCOUNT_NAME_CHARACTERS_MAX} visible characters, not "${name}"`))
}
