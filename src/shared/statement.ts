/**
 * Lines of an account's monthly statement, as the ledger makes them (coordinator/ledger), the control socket carries them and pages and
 * commands show them; and their form as CSV, which is the same from all.
 */

import { isoTime } from './isoTime.ts'

/** Micro-credits; in a line, changes. */
export interface StatementAmounts {
  /** Can be spent. */
  readonly available: bigint
  /** Set aside for sessions that the account asked for. */
  readonly held: bigint
  /** Earned by computing, not yet paid out. */
  readonly escrow: bigint
  /** The part of the three that came from grants: it can be spent, never transferred. */
  readonly granted: bigint
}

/** As what the account took part in an event: `account` where it neither asked nor computed, as in a grant. */
export const statementRoles = ['requester', 'volunteer', 'account'] as const
export type StatementRole = (typeof statementRoles)[number]

export interface StatementLine extends StatementAmounts {
  readonly sequence: number
  readonly atMs: number
  /** Business id. */
  readonly event: string
  /** The kind of command that made it: `hold`, `settle`, `payout` … */
  readonly kind: string
  readonly role: StatementRole
  /** Empty where the event belongs to none. */
  readonly session: string
}

export const STATEMENT_CSV_HEADER =
  'sequence,time,event,kind,role,session,available_micro_credits,held_micro_credits,escrow_micro_credits,granted_micro_credits'

/** A line of CSV. Nothing in it can need quotes: names in the ledger have no commas. */
export function statementCsvLine({ sequence, atMs, event, kind, role, session, available, held, escrow, granted }: StatementLine): string {
  return [sequence, isoTime(atMs), event, kind, role, session, available, held, escrow, granted].join(',')
}

/** The line of CSV before the first or behind the last, with balances instead of changes. */
export function statementCsvBalance(which: 'opening' | 'closing', { available, held, escrow, granted }: StatementAmounts): string {
  return ['', '', which, 'balance', '', '', available, held, escrow, granted].join(',')
}
