/** Rows of accounts, as what they stand for. */

import { and, asc, eq, isNull } from 'drizzle-orm'
import { accountRoles } from '../../shared/index.ts'
import { AccountError, type AccountRecord } from '../accounts/index.ts'
import { accounts } from './accountSchema.ts'
import type { Queries } from './database.ts'
import { isAnyOf } from './rows.ts'

/** The account, not erased. Rejects with AccountError `unknown`. */
export async function findAccount(queries: Queries, id: string): Promise<AccountRecord> {
  const [row] = await queries.select().from(accounts).where(living(id))
  if (row === undefined) throw new AccountError('unknown', `there is no account ${id}, or it was erased; tabswarm account list shows them`)
  return recordOf(row)
}

/** What is counted of these accounts stays as it is until the transaction ends. */
export async function lockAccounts(tx: Queries, ids: readonly string[]): Promise<void> {
  // In one order, or two that lock the same would wait for each other.
  await tx
    .select({ id: accounts.id })
    .from(accounts)
    .where(isAnyOf(accounts.id, ids, 'text'))
    .orderBy(asc(accounts.id))
    .for('update')
}

export function living(id: string) {
  return and(eq(accounts.id, id), isNull(accounts.erasedAtMs))
}

export function recordOf({ id, name, roles: names, createdAtMs, erasedAtMs }: typeof accounts.$inferSelect): AccountRecord {
  return { id, name, roles: accountRoles.filter((role) => names.includes(role)), createdAtMs, erasedAtMs }
}
