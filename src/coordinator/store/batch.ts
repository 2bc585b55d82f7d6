/**
 * One transaction for many commands: what they may touch is read into a Book, the rules decide one command after the other, and all that
 * came of it is written at once. The row of ledger_state is locked first, so there is one order of events however many processes write,
 * and no rule ever sees a balance that another is changing.
 */

import { desc, eq, type SQL, sql } from 'drizzle-orm'
import { err, ok, type Result, required, type Sha256, type Signer, toBase64Url } from '../../shared/index.ts'
import {
  type Account,
  accountId,
  accountsTouched,
  Book,
  businessId,
  type Command,
  eventsAsked,
  hashEvent,
  type LedgerError,
  type LedgerEvent,
  NODE_LEVELS,
  type Posted,
  postingsAsked,
  priceId,
  type SignedHead,
  signHead,
  TreeEdge,
  type TreeNode,
} from '../ledger/index.ts'
import type { Queries } from './database.ts'
import { accountOf, eventRow, insertRows, isAnyOf, postingRows, readBareEvents, readEvents } from './rows.ts'
import { ledgerBalances, ledgerEvents, ledgerHeads, ledgerNodes, ledgerPaid, ledgerPostings, ledgerState } from './schema.ts'

export interface BatchTools {
  readonly queries: Queries
  readonly sha256: Sha256
  readonly signer: Signer
  /** Price tables never change: those that were read once, by business id. */
  readonly prices: Map<string, LedgerEvent>
}

export interface Receipt extends Posted {
  /** A signed head that covers the event. */
  readonly head: SignedHead
}

export type Answer = Result<Receipt, LedgerError>

/** Answers in the order of the commands, when all has been committed. `nowMs` is coordinator time. */
export async function postBatch(tools: BatchTools, commands: readonly Command[], nowMs: number): Promise<readonly Answer[]> {
  return tools.queries.transaction(async (queries) => {
    const [state] = await queries.select().from(ledgerState).for('update')
    const { size, previous, peaks } = required(state, 'the row of ledger_state')
    const book = new Book(size)
    await loadEvents(queries, book, commands, tools.prices)
    await loadBalances(queries, book, commands)
    const results = commands.map((command) => book.post(command, nowMs))
    const posted = results.flatMap((result) => (result.ok ? [result.value] : []))
    const events = posted.flatMap(({ event, repeated }) => (repeated ? [] : [event]))
    const edge = new TreeEdge(tools.sha256, JSON.parse(peaks))
    const head = events.length > 0 ? await append(queries, tools, { events, previous, edge, nowMs }) : await lastHead(queries, tools.signer)
    await writeBalances(queries, book, events)
    await writePaid(queries, events)
    return results.map((result) => (result.ok ? ok({ ...result.value, head: required(head, 'a head') }) : err(result.error)))
  })
}

/** The newest head; null before the first event. */
export async function lastHead(queries: Queries, { publicKey }: Pick<Signer, 'publicKey'>): Promise<SignedHead | null> {
  const [row] = await queries.select().from(ledgerHeads).orderBy(desc(ledgerHeads.size)).limit(1)
  return row === undefined ? null : { ...row, publicKey: toBase64Url(publicKey) }
}

/** Events that were posted before and those whose postings a rule looks at, with them; of others the command is enough. */
async function loadEvents(queries: Queries, book: Book, commands: readonly Command[], prices: Map<string, LedgerEvent>): Promise<void> {
  const asked = new Set(commands.flatMap((command) => [businessId(command), ...eventsAsked(command)]))
  const found = await eventsById(
    queries,
    [...asked].filter((id) => !prices.has(id)),
  )
  const whole = new Set(commands.flatMap((command) => [businessId(command), ...postingsAsked(command)]))
  const sequences = found.filter(({ command }) => whole.has(businessId(command))).map(({ sequence }) => sequence)
  const named = found.flatMap(({ command }) => (command.kind === 'hold' ? [priceId(command.priceVersion)] : []))
  const missing = [...new Set(named)].filter((id) => !prices.has(id) && !asked.has(id))
  for (const event of [...found, ...(await eventsById(queries, missing))]) {
    if (event.command.kind === 'price') prices.set(businessId(event.command), event)
    book.loadEvent(event)
  }
  for (const event of prices.values()) book.loadEvent(event)
  if (sequences.length === 0) return
  for (const { event } of await readEvents(queries, isAnyOf(ledgerEvents.sequence, sequences, 'bigint'))) book.loadEvent(event)
}

async function eventsById(queries: Queries, ids: readonly string[]): Promise<LedgerEvent[]> {
  if (ids.length === 0) return []
  const recorded = await readBareEvents(queries, isAnyOf(ledgerEvents.id, ids, 'text'))
  return recorded.map(({ event }) => event)
}

async function loadBalances(queries: Queries, book: Book, commands: readonly Command[]): Promise<void> {
  const groups = new Map(
    commands
      .flatMap((command) => accountsTouched(command, book))
      .map(({ kind, owner, session }) => [`${kind}:${owner}:${session}`, { kind, owner, session }]),
  )
  if (groups.size === 0) return
  const { kind, owner, session } = ledgerBalances
  const rows = await queries
    .select()
    .from(ledgerBalances)
    .where(
      isAmong(
        [kind, owner, session],
        [...groups.values()].map((group) => [group.kind, group.owner, group.session]),
      ),
    )
  for (const row of rows) book.loadBalance(accountOf(row), row.amount)
}

interface Growth {
  readonly events: readonly LedgerEvent[]
  /** Hash of the event before. */
  readonly previous: string
  readonly edge: TreeEdge
  readonly nowMs: number
}

async function append(queries: Queries, { sha256, signer }: BatchTools, { events, previous, edge, nowMs }: Growth): Promise<SignedHead> {
  const nodes: TreeNode[] = []
  const hashes: string[] = []
  for (const event of events) {
    const hash = await hashEvent(event, hashes.at(-1) ?? previous, sha256)
    hashes.push(hash)
    nodes.push(...(await edge.push(0, hash)).filter(({ level }) => level % NODE_LEVELS === 0))
  }
  const head = await signHead({ size: edge.size, root: await edge.root(), atMs: nowMs }, signer)
  await insertRows(
    queries,
    ledgerEvents,
    events.map((event, index) => eventRow(event, hashes[index] ?? '')),
  )
  await insertRows(queries, ledgerPostings, events.flatMap(postingRows))
  await insertRows(queries, ledgerNodes, nodes)
  const { size, root, atMs, signature } = head
  await queries.insert(ledgerHeads).values({ size, root, atMs, signature })
  await queries
    .update(ledgerState)
    .set({ size, previous: hashes.at(-1) ?? previous, peaks: JSON.stringify(edge.peaks) })
    .where(eq(ledgerState.only, 1))
  return head
}

async function writeBalances(queries: Queries, book: Book, events: readonly LedgerEvent[]): Promise<void> {
  const changed = new Map<string, Account>()
  for (const { postings } of events) for (const { account } of postings) changed.set(accountId(account), account)
  const rows = [...changed.values()].map((account) => ({ ...account, amount: book.balance(account) }))
  const { kind, owner, session, purse } = ledgerBalances
  const target = [kind, owner, session, purse]
  const left = rows.filter(({ amount }) => amount !== 0n)
  await insertRows(queries, ledgerBalances, left, sql`on conflict (kind, owner, session, purse) do update set amount = excluded.amount`)
  const empty = rows.filter(({ amount }) => amount === 0n)
  if (empty.length > 0)
    await queries.delete(ledgerBalances).where(
      isAmong(
        target,
        empty.map((row) => [row.kind, row.owner, row.session, row.purse]),
      ),
    )
}

async function writePaid(queries: Queries, events: readonly LedgerEvent[]): Promise<void> {
  const paid = new Map<string, bigint>()
  for (const { command, postings } of events)
    for (const { account, amount } of command.kind === 'payout' || command.kind === 'audit' ? postings : [])
      if (account.kind === 'user') paid.set(account.owner, (paid.get(account.owner) ?? 0n) + amount)
  const rows = [...paid].map(([owner, amount]) => ({ owner, amount }))
  await insertRows(queries, ledgerPaid, rows, sql`on conflict (owner) do update set amount = ledger_paid.amount + excluded.amount`)
}

/** `(a, b, …) in` the tuples, with one parameter a column. */
function isAmong(
  columns: readonly (typeof ledgerBalances)['kind' | 'owner' | 'session' | 'purse'][],
  tuples: readonly (readonly string[])[],
): SQL {
  const parameters = columns.map((_, index) => sql`${sql.param(tuples.map((tuple) => tuple[index] ?? ''))}::text[]`)
  return sql`(${sql.join([...columns], sql`, `)}) in (select * from unnest(${sql.join(parameters, sql`, `)}))`
}
