/**
 * Recovery: locked copies of account keys, which lie here for who has the words. The name of a copy has 128 bits that a slow hash made of the words: nobody finds
 * one by trying, and who tries is slowed down besides, as each try reads the database.
 */

export interface LockedKey {
  /** 32 hex digits, which only the words give. */
  readonly lookup: string
  /** 12 bytes, base64url. */
  readonly iv: string
  /** The private half under AES-256-GCM, base64url. */
  readonly wrapped: string
}

export interface KeptCopy extends LockedKey {
  /** Whose it is: see Identity. */
  readonly subject: string
  /** Coordinator time. */
  readonly keptAtMs: number
}

/** Names that one address block may try a minute: a person who mistypes, not a program. */
export const COPY_TRIES_A_MINUTE = 10
