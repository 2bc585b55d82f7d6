/**
 * Statements: what an account earned and spent in one month (UTC), line by line, for the volunteer and the requester that it is. Every line
 * says what it changed, so that each column's opening balance and its lines add up to its closing balance.
 */

import { type StatementAmounts, type StatementLine, type StatementRole, statementRoles } from '../../shared/index.ts'
import { type AccountKind, isGranted, type Purse } from './accounts.ts'
import { businessId } from './commands.ts'
import type { LedgerEvent } from './event.ts'

export interface StatementSummary {
  readonly account: string
  /** `2027-01` */
  readonly month: string
  readonly opening: StatementAmounts
  readonly closing: StatementAmounts
  /** Paid for answers. Micro-credits, as below; closing = opening − spent + earned + issued − expired + transferred + corrected. */
  readonly spent: bigint
  /** Earned by computing and auditing, paid out or in escrow. */
  readonly earned: bigint
  /** Granted by the operator. */
  readonly issued: bigint
  /** Grants that ended. */
  readonly expired: bigint
  /** From other accounts and, for canaries, from verification, less to them. */
  readonly transferred: bigint
  /** By compensations of what is none of the above's. */
  readonly corrected: bigint
}

/** A balance in a statement's beginning. */
export interface OpeningBalance {
  readonly kind: AccountKind
  readonly purse: Purse
  /** Micro-credits. */
  readonly amount: bigint
}

export class Statement {
  readonly #account: string
  readonly #month: string
  readonly #opening: StatementAmounts
  #closing: StatementAmounts
  readonly #totals = { spent: 0n, earned: 0n, issued: 0n, expired: 0n, transferred: 0n, corrected: 0n }

  /** `opening`: what `account` had when the month began. */
  constructor(account: string, month: string, opening: Iterable<OpeningBalance>) {
    this.#account = account
    this.#month = month
    this.#opening = sumUp(opening)
    this.#closing = this.#opening
  }

  /** Micro-credits when the month began. */
  get opening(): StatementAmounts {
    return this.#opening
  }

  /** The lines of one event of the month: two where the account paid itself. */
  take({ sequence, atMs, command, postings }: LedgerEvent): readonly StatementLine[] {
    const own = postings.filter(({ account }) => account.owner === this.#account)
    const kinds = own.map(({ account }) => account.kind)
    const paidBack = command.kind === 'refund'
    const computed = command.kind === 'audit' || kinds.includes('escrow')
    const userRole = paidBack || kinds.includes('hold') ? 'requester' : computed ? 'volunteer' : 'account'
    const roleOf = (kind: AccountKind): StatementRole => (kind === 'hold' ? 'requester' : kind === 'escrow' ? 'volunteer' : userRole)
    const lines: StatementLine[] = []
    for (const role of statementRoles) {
      const mine = own.filter(({ account }) => roleOf(account.kind) === role)
      if (mine.length === 0) continue
      const session = 'session' in command ? command.session : (mine.find(({ account }) => account.session !== '')?.account.session ?? '')
      const amounts = sumUp(mine.map(({ account: { kind, purse }, amount }) => ({ kind, purse, amount })))
      lines.push({ sequence, atMs, event: businessId(command), kind: command.kind, role, session, ...amounts })
    }
    for (const line of lines) this.#count(line)
    return lines
  }

  /** What the lines so far come to. */
  summary(): StatementSummary {
    return { account: this.#account, month: this.#month, opening: this.#opening, closing: this.#closing, ...this.#totals }
  }

  #count(line: StatementLine): void {
    const before = this.#closing
    this.#closing = {
      available: before.available + line.available,
      held: before.held + line.held,
      escrow: before.escrow + line.escrow,
      granted: before.granted + line.granted,
    }
    const change = line.available + line.held + line.escrow
    if (line.role === 'requester') this.#totals.spent -= change
    else if (line.role === 'volunteer') this.#totals.earned += change
    else if (line.kind === 'issue') this.#totals.issued += change
    else if (line.kind === 'expire') this.#totals.expired -= change
    else if (line.kind === 'transfer' || line.kind === 'canary') this.#totals.transferred += change
    else this.#totals.corrected += change
  }
}

/** The first millisecond of a month (UTC) and that of the next; null for a text that is no month. */
export function monthSpan(month: string): { readonly startMs: number; readonly endMs: number } | null {
  const parts = /^(2\d{3})-(0[1-9]|1[0-2])$/.exec(month)
  if (parts === null) return null
  // biome-ignore lint/style/noRestrictedGlobals: counts the calendar, and reads no clock
  const startOf = (offset: number) => Date.UTC(Number(parts[1]), Number(parts[2]) - 1 + offset)
  return { startMs: startOf(0), endMs: startOf(1) }
}

/** Balances by what the account may do with them. */
export function sumUp(balances: Iterable<OpeningBalance>): StatementAmounts {
  const sums = { available: 0n, held: 0n, escrow: 0n, granted: 0n }
  for (const { kind, purse, amount } of balances) {
    if (kind === 'user') sums.available += amount
    else if (kind === 'hold') sums.held += amount
    else if (kind === 'escrow') sums.escrow += amount
    if (isGranted(purse)) sums.granted += amount
  }
  return sums
}
