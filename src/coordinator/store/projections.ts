/** Balances and payouts are projections of the postings: here they are compared with them, and made again from them. */

import { and, eq, like, or, sql } from 'drizzle-orm'
import type { Sha256, VerifySignature } from '../../shared/index.ts'
import { type AuditSummary, accountId, LedgerAudit, LedgerError } from '../ledger/index.ts'
import type { Queries } from './database.ts'
import { readBalances, readLines } from './reading.ts'
import { ledgerBalances, ledgerEvents, ledgerPaid, ledgerPostings, ledgerState } from './schema.ts'

export interface AuditTools {
  readonly sha256: Sha256
  readonly verify: VerifySignature
  /** The ledger's, raw. */
  readonly publicKey: Uint8Array
}

/** Recomputes everything from the lines. Rejects with a LedgerError `broken` that names the first line, or the first balance, that is wrong. */
export function auditStore(queries: Queries, tools: AuditTools): Promise<AuditSummary> {
  return snapshot(queries, (view) => auditLines(view, tools))
}

/** As auditStore, in a transaction that sees no later writes. */
export async function auditLines(view: Queries, { sha256, verify, publicKey }: AuditTools): Promise<AuditSummary> {
  const audit = new LedgerAudit(sha256, verify)
  for await (const line of readLines(view, publicKey)) await audit.take(line)
  const summary = audit.finish()
  const computed = new Map(audit.balances())
  for (const { account, amount } of await readBalances(view)) {
    const right = computed.get(accountId(account))?.amount ?? 0n
    if (amount !== right) throw wrongBalance(`the balance of ${accountId(account)}`, amount, right)
    computed.delete(accountId(account))
  }
  for (const [id, { amount }] of computed) throw wrongBalance(`the balance of ${id}`, 0n, amount)
  const paid = new Map((await view.select().from(ledgerPaid)).map(({ owner, amount }) => [owner, amount]))
  for (const { owner, amount } of await paidOut(view)) {
    const recorded = paid.get(owner) ?? 0n
    // Drivers differ in what they make of a sum.
    if (recorded !== BigInt(amount)) throw wrongBalance(`what was paid out to ${owner}`, recorded, BigInt(amount))
    paid.delete(owner)
  }
  for (const [owner, amount] of paid) throw wrongBalance(`what was paid out to ${owner}`, amount, 0n)
  return summary
}

/** Makes all balances, and what was paid out, again from the postings. */
export async function rebuildBalances(queries: Queries): Promise<void> {
  await queries.transaction(async (tx) => {
    await tx.select().from(ledgerState).for('update')
    await tx.delete(ledgerBalances)
    const { kind, owner, session, purse, amount } = ledgerPostings
    const sum = sql<bigint>`sum(${amount})::bigint`.as('amount')
    await tx
      .insert(ledgerBalances)
      .select(
        tx
          .select({ kind, owner, session, purse, amount: sum })
          .from(ledgerPostings)
          .groupBy(kind, owner, session, purse)
          .having(sql`sum(${amount}) <> 0`),
      )
    await tx.delete(ledgerPaid)
    await tx.insert(ledgerPaid).select(paidOut(tx))
  })
}

/** By owner, from the postings. */
function paidOut(queries: Queries) {
  const { kind, owner, amount, sequence } = ledgerPostings
  return queries
    .select({ owner, amount: sql<bigint>`sum(${amount})::bigint`.as('amount') })
    .from(ledgerPostings)
    .innerJoin(ledgerEvents, eq(ledgerEvents.sequence, sequence))
    .where(and(eq(kind, 'user'), or(like(ledgerEvents.id, 'payout/%'), like(ledgerEvents.id, 'audit/%'))))
    .groupBy(owner)
}

/** Runs `work` on what is committed now, whatever others write meanwhile. */
export function snapshot<Value>(queries: Queries, work: (view: Queries) => Promise<Value>): Promise<Value> {
  return queries.transaction(work, { isolationLevel: 'repeatable read', accessMode: 'read only' })
}

function wrongBalance(what: string, recorded: bigint, right: bigint): LedgerError {
  return new LedgerError(
    'broken',
    `${what} is recorded as ${recorded} micro-credits, its postings add up to ${right}; run tabswarm ledger rebuild`,
  )
}
