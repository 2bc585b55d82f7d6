/** A statement's lines and months in words. */

import { formatCredits, type StatementLine, type StatementRole } from '../../shared/index.ts'

const WORDS: Readonly<Record<string, Partial<Record<StatementRole, string>>>> = {
  issue: { account: 'Granted by the operator' },
  expire: { account: 'A grant has ended' },
  hold: { requester: 'Set aside for an answer' },
  settle: { requester: 'An answer paid', volunteer: 'Earned by computing' },
  cover: { volunteer: 'Earned by computing, paid by the operator’s reserve' },
  release: { requester: 'Not needed for the answer: came back' },
  payout: { volunteer: 'Escrow paid out' },
  refund: { requester: 'An answer paid back', volunteer: 'Escrow taken back' },
  canary: { account: 'From verification, to ask a canary' },
  transfer: { account: 'Transferred' },
  compensate: {},
}

/** Of a kind that this page does not know, its name in the ledger. */
export function describeLine({ kind, role }: Pick<StatementLine, 'kind' | 'role'>): string {
  return WORDS[kind]?.[role] ?? (kind === 'compensate' ? 'Corrected' : kind)
}

/** `+0.5`, `-0.5`, `0`: exact credits. */
export function formatChange(amount: bigint): string {
  return `${amount > 0n ? '+' : ''}${formatCredits(amount)}`
}

/** What the line changed beside what can be spent; empty where that is all. */
export function describeOthers({ held, escrow }: Pick<StatementLine, 'held' | 'escrow'>): string {
  const parts = [
    ['set aside', held],
    ['in escrow', escrow],
  ] as const
  return parts.flatMap(([name, amount]) => (amount === 0n ? [] : `${name} ${formatChange(amount)}`)).join(', ')
}

/** `22 Nov, 09:41`, UTC as the month is. */
export function formatLineTime(atMs: number): string {
  return TIME.format(atMs)
}

const TIME = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })

/** `2027-01` → `January 2027`. */
export function nameMonth(month: string): string {
  const [year = '', number = ''] = month.split('-')
  return `${MONTHS[Number(number) - 1] ?? number} ${year}`
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

/** `count` months, the latest first. */
export function monthsUpTo(latest: string, count: number): string[] {
  const [year = 0, number = 1] = latest.split('-').map(Number)
  return Array.from({ length: count }, (_, back) => {
    const months = 12 * year + (number - 1) - back
    return `${Math.floor(months / 12)}-${String((months % 12) + 1).padStart(2, '0')}`
  })
}
