/**
 * Accounts of the ledger. An account is one kind of one owner's money in one purse; holds and escrows also belong to a session. The purse
 * says where credits come from: what starter grants paid for stays `granted` wherever it goes, and can be spent but never transferred.
 */

import { assert, isoTime } from '../../shared/index.ts'

export const accountKinds = ['issuance', 'user', 'hold', 'escrow', 'fee', 'verification', 'reserve'] as const
export type AccountKind = (typeof accountKinds)[number]

/** Kinds that belong to somebody; the others are the operator's, one for all. */
const ownedKinds: readonly AccountKind[] = ['user', 'hold', 'escrow']
/** Kinds that belong to a session too. */
const sessionKinds: readonly AccountKind[] = ['hold', 'escrow']

/**
 * `granted/2027-01-31`: a starter grant, to be spent on that day (UTC) at the latest. `granted/never`: earned from such grants.
 * `earned`: all else.
 */
export type Purse = 'earned' | `granted/${string}`

export const EARNED: Purse = 'earned'
export const GRANTED_FOR_GOOD: Purse = 'granted/never'

export interface Account {
  readonly kind: AccountKind
  /** The account of its owner; empty for the operator's. */
  readonly owner: string
  /** Of holds and escrows; else empty. */
  readonly session: string
  readonly purse: Purse
}

export interface Posting {
  readonly account: Account
  /** Micro-credits, never 0; negative takes away. */
  readonly amount: bigint
}

/** Of owners, sessions and references: no character of it means anything in an id. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const DAY = /^\d{4}-[01]\d-[0-3]\d$/

export const issuance: Account = { kind: 'issuance', owner: '', session: '', purse: EARNED }

export function userAccount(owner: string, purse: Purse): Account {
  return { kind: 'user', owner, session: '', purse }
}

export function houseAccount(kind: 'fee' | 'verification' | 'reserve', purse: Purse): Account {
  return { kind, owner: '', session: '', purse }
}

/** Minus all credits outstanding; no other account may be negative. */
export function mayBeNegative(account: Account): boolean {
  return account.kind === 'issuance'
}

/** `hold:alice:s1:earned`, one text for one account. */
export function accountId({ kind, owner, session, purse }: Account): string {
  return `${kind}:${owner}:${session}:${purse}`
}

/** Null for a text that is no account's id. */
export function parseAccountId(text: string): Account | null {
  const parts = text.split(':')
  const [name, owner = '', session = '', purse = ''] = parts
  const kind = accountKinds.find((known) => known === name)
  if (parts.length !== 4 || kind === undefined || !isPurse(purse)) return null
  if (ownedKinds.includes(kind) !== NAME.test(owner) || sessionKinds.includes(kind) !== NAME.test(session)) return null
  if ((owner !== '' && !NAME.test(owner)) || (session !== '' && !NAME.test(session))) return null
  return { kind, owner, session, purse }
}

export function isPurse(text: string): text is Purse {
  return text === EARNED || text === GRANTED_FOR_GOOD || (text.startsWith('granted/') && isDay(text.slice('granted/'.length)))
}

/** `2027-01-31`. Whether the calendar has it does not matter: days are only compared. */
export function isDay(text: string): boolean {
  return DAY.test(text)
}

/** The purse of a grant that can be spent until `day` has ended. */
export function grantedUntil(day: string): Purse {
  assert(isDay(day), `"${day}" is no day`)
  return `granted/${day}`
}

export function isGranted(purse: Purse): boolean {
  return purse !== EARNED
}

/** Whether the purse's last day was before the day of `atMs` (UTC). */
export function isExpired(purse: Purse, atMs: number): boolean {
  return purse !== EARNED && purse !== GRANTED_FOR_GOOD && purse.slice('granted/'.length) < dayOf(atMs)
}

/** The day (UTC) of a time in milliseconds since the epoch. */
export function dayOf(atMs: number): string {
  return isoTime(atMs).slice(0, 10)
}

/** The order of spending: grants first, those that end earlier before later ones, what was earned last. */
export function comparePurses(a: Purse, b: Purse): number {
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0)
}

function rank(purse: Purse): number {
  return purse === EARNED ? 2 : purse === GRANTED_FOR_GOOD ? 1 : 0
}
