/** Families: accounts that invited each other, or were one account's devices. See AccountTies. */

import { asc, eq, inArray } from 'drizzle-orm'
import { required } from '../../shared/index.ts'
import { findAccount } from './accountRows.ts'
import { accounts } from './accountSchema.ts'
import type { Queries } from './database.ts'

/** What `account` gives to those whom it invites; null: whom an operator invites begins a family of its own. Rejects with AccountError `unknown`. */
export async function familyOfInviter(tx: Queries, account: string): Promise<string | null> {
  const { roles } = await findAccount(tx, account)
  return roles.includes('operator') ? null : familyOf(tx, account)
}

export async function familyOf(tx: Queries, account: string): Promise<string> {
  const [row] = await tx.select({ family: accounts.family }).from(accounts).where(eq(accounts.id, account))
  return required(row, `the account ${account}`).family
}

/** The whole family of `account` becomes a part of `family`: for good, whatever becomes of what brought them together. Resolves to those who changed. */
export async function joinFamily(tx: Queries, account: string, family: string): Promise<readonly string[]> {
  const before = await familyOf(tx, account)
  if (before === family) return []
  // In one order, or two that join each other's would wait for each other.
  await tx
    .select({ id: accounts.id })
    .from(accounts)
    .where(inArray(accounts.family, [before, family]))
    .orderBy(asc(accounts.id))
    .for('update')
  const changed = await tx.update(accounts).set({ family }).where(eq(accounts.family, before)).returning({ id: accounts.id })
  return changed.map(({ id }) => id)
}
