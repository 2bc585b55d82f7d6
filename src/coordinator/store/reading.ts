/** What is read from the ledger outside of batches: its lines, balances, one owner's events, and nodes of the tree. */

import { and, asc, eq, gt, gte, inArray, like, lt, lte, sql } from 'drizzle-orm'
import { required, toBase64Url } from '../../shared/index.ts'
import { type Account, type CommandOf, FIRST_PREVIOUS, type LedgerLine, type OpeningBalance, type ReadNodes } from '../ledger/index.ts'
import type { Queries } from './database.ts'
import { accountOf, isAnyOf, type RecordedEvent, readBareEvents, readEvents } from './rows.ts'
import { ledgerBalances, ledgerEvents, ledgerHeads, ledgerNodes, ledgerPaid, ledgerPostings } from './schema.ts'

/** Events that are in memory at a time. */
const PAGE_EVENTS = 1_000

export interface Balance {
  readonly account: Account
  /** Micro-credits, not 0. */
  readonly amount: bigint
}

/** Every event and head in order. `queries` must be a snapshot: a transaction that sees no later writes. */
export async function* readLines(queries: Queries, publicKey: Uint8Array): AsyncGenerator<LedgerLine> {
  for (let first = 0; ; first += PAGE_EVENTS) {
    const end = first + PAGE_EVENTS
    const events = await readEvents(queries, and(gte(ledgerEvents.sequence, first), lt(ledgerEvents.sequence, end)))
    const heads = await queries
      .select()
      .from(ledgerHeads)
      .where(and(gt(ledgerHeads.size, first), lte(ledgerHeads.size, end)))
    const headAt = new Map(heads.map((head) => [head.size, { ...head, publicKey: toBase64Url(publicKey) }]))
    for (const { event, hash } of events) {
      yield { kind: 'event', event, hash }
      const head = headAt.get(event.sequence + 1)
      if (head !== undefined) yield { kind: 'head', head }
    }
    if (events.length === 0) return
  }
}

/** All accounts that are not empty, or one owner's. */
export async function readBalances(queries: Queries, owner?: string): Promise<Balance[]> {
  const rows = await queries
    .select()
    .from(ledgerBalances)
    .where(owner === undefined ? undefined : eq(ledgerBalances.owner, owner))
    .orderBy(asc(ledgerBalances.kind), asc(ledgerBalances.owner), asc(ledgerBalances.session), asc(ledgerBalances.purse))
  return rows.map((row) => ({ account: accountOf(row), amount: row.amount }))
}

/** The balances of all accounts of each kind together. */
export async function readTotals(queries: Queries): Promise<ReadonlyMap<string, bigint>> {
  const { kind, amount } = ledgerBalances
  const rows = await queries
    .select({ kind, sum: sql<string>`sum(${amount})` })
    .from(ledgerBalances)
    .groupBy(kind)
  return new Map(rows.map((row) => [row.kind, BigInt(row.sum)]))
}

/** What each of these owners can spend; who has nothing is left out. */
export async function readSpendable(queries: Queries, owners: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
  const { kind, owner, amount } = ledgerBalances
  const rows = await queries
    .select({ owner, sum: sql<string>`sum(${amount})` })
    .from(ledgerBalances)
    .where(and(eq(kind, 'user'), isAnyOf(owner, owners, 'text')))
    .groupBy(owner)
  return new Map(rows.map((row) => [row.owner, BigInt(row.sum)]))
}

/** Events from sequence `from` on that post to one of the owner's accounts, whole: their hashes need all lines. */
export async function readOwnEvents(queries: Queries, owner: string, from: number, limit: number): Promise<RecordedEvent[]> {
  const own = await queries
    .selectDistinct({ sequence: ledgerPostings.sequence })
    .from(ledgerPostings)
    .where(and(eq(ledgerPostings.owner, owner), gte(ledgerPostings.sequence, from)))
    .orderBy(asc(ledgerPostings.sequence))
    .limit(limit)
  if (own.length === 0) return []
  return readEvents(
    queries,
    inArray(
      ledgerEvents.sequence,
      own.map(({ sequence }) => sequence),
    ),
  )
}

/** Hash of the event before that one, hex. */
export async function readHashBefore(queries: Queries, sequence: number): Promise<string> {
  if (sequence === 0) return FIRST_PREVIOUS
  const [before] = await readBareEvents(queries, eq(ledgerEvents.sequence, sequence - 1))
  return required(before, `event ${sequence - 1}`).hash
}

/** What the owner had before `atMs`, by kind and purse. */
export async function readBalancesBefore(queries: Queries, owner: string, atMs: number): Promise<OpeningBalance[]> {
  const { kind, purse, amount, sequence } = ledgerPostings
  // Of all its sessions together: any of them makes the account's id whole.
  const session = sql<string>`max(${ledgerPostings.session})`
  const rows = await queries
    .select({ kind, purse, amount: sql<string>`sum(${amount})`, owner: ledgerPostings.owner, session })
    .from(ledgerPostings)
    .innerJoin(ledgerEvents, eq(ledgerEvents.sequence, sequence))
    .where(and(eq(ledgerPostings.owner, owner), lt(ledgerEvents.atMs, atMs)))
    .groupBy(kind, purse, ledgerPostings.owner)
  return rows.map((row) => ({ ...accountOf(row), amount: BigInt(row.amount) }))
}

export interface EventSpan {
  readonly startMs: number
  readonly endMs: number
  /** Sequence of the first event that is wanted. */
  readonly from: number
}

/** The owner's events of [startMs, endMs), in order, `pageEvents` of them in memory at a time. */
export async function* readOwnEventsWithin(
  queries: Queries,
  owner: string,
  { startMs, endMs, from: first }: EventSpan,
  pageEvents = PAGE_EVENTS,
): AsyncGenerator<RecordedEvent> {
  for (let from = first; ; ) {
    const own = await queries
      .selectDistinct({ sequence: ledgerPostings.sequence })
      .from(ledgerPostings)
      .innerJoin(ledgerEvents, eq(ledgerEvents.sequence, ledgerPostings.sequence))
      .where(
        and(
          eq(ledgerPostings.owner, owner),
          gte(ledgerPostings.sequence, from),
          gte(ledgerEvents.atMs, startMs),
          lt(ledgerEvents.atMs, endMs),
        ),
      )
      .orderBy(asc(ledgerPostings.sequence))
      .limit(pageEvents)
    const last = own.at(-1)
    if (last === undefined) return
    yield* await readEvents(
      queries,
      isAnyOf(
        ledgerEvents.sequence,
        own.map(({ sequence }) => sequence),
        'bigint',
      ),
    )
    from = last.sequence + 1
  }
}

/** Nodes of the tree as they are kept: level 0 are the events' own hashes. */
export function readNodesFrom(queries: Queries): ReadNodes {
  return async (level, first, count) => {
    if (level === 0) {
      const range = and(gte(ledgerEvents.sequence, first), lt(ledgerEvents.sequence, first + count))
      const rows = await queries.select({ hash: ledgerEvents.hash }).from(ledgerEvents).where(range).orderBy(asc(ledgerEvents.sequence))
      return rows.map(({ hash }) => hash)
    }
    const range = and(eq(ledgerNodes.level, level), gte(ledgerNodes.index, first), lt(ledgerNodes.index, first + count))
    const rows = await queries.select({ hash: ledgerNodes.hash }).from(ledgerNodes).where(range).orderBy(asc(ledgerNodes.index))
    return rows.map(({ hash }) => hash)
  }
}

/** Micro-credits that `owner` was ever paid: out of escrow, and for audits. */
export async function readPaid(queries: Queries, owner: string): Promise<bigint> {
  const [row] = await queries.select().from(ledgerPaid).where(eq(ledgerPaid.owner, owner))
  return row?.amount ?? 0n
}

/** A hold, or what lies in escrow for one owner, that is not empty. */
export interface OpenAccount {
  readonly session: string
  readonly owner: string
  /** When it was filled first. */
  readonly sinceMs: number
}

export async function readOpenAccounts(queries: Queries, kind: 'hold' | 'escrow'): Promise<OpenAccount[]> {
  const { session, owner } = ledgerBalances
  const filledBy = kind === 'hold' ? sql`('hold/' || ${session})` : sql`('settle/' || ${session} || '/0', 'cover/' || ${session})`
  return queries
    .selectDistinct({ session, owner, sinceMs: ledgerEvents.atMs })
    .from(ledgerBalances)
    .innerJoin(ledgerEvents, sql`${ledgerEvents.id} in ${filledBy}`)
    .where(eq(ledgerBalances.kind, kind))
    .orderBy(asc(ledgerEvents.atMs), asc(session), asc(owner))
}

/** The newest table of prices; null where there is none. */
export async function readPrices(queries: Queries): Promise<CommandOf<'price'> | null> {
  const newest = (await readBareEvents(queries, like(ledgerEvents.id, 'price/%'))).at(-1)?.event.command
  return newest?.kind === 'price' ? newest : null
}
