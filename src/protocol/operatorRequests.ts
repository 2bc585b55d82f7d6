/**
 * What an operator asks on the admin page, and is answered: how the credits stand, whether the ledger is right, whose accounts there are; and the
 * two things that it does there: roles and grants. Kinds of account requests. Rules O1 … O5.
 */

import * as v from 'valibot'
import { ACCOUNT_NAME_CHARACTERS_MAX, accountRoles, GRANT_DAYS_MAX, NOTE_CHARACTERS_MAX } from '../shared/index.ts'
import { ACCOUNTS_LISTED_MAX } from './limits.ts'
import { accountId, amount, count, credits, creditsChange, positiveCredits, reference, text } from './schemas.ts'

const role = v.picklist(accountRoles)
const wholeNumber = count(Number.MAX_SAFE_INTEGER)

const listedAccountSchema = v.strictObject({
  id: accountId,
  /** Empty: none. */
  name: text(ACCOUNT_NAME_CHARACTERS_MAX),
  roles: v.pipe(v.array(role), v.maxLength(3)),
  createdAtMs: amount,
  /** What it can spend, micro-credits. */
  spendable: credits,
})
/** An account as operators see it. */
export type ListedAccount = v.InferOutput<typeof listedAccountSchema>

export const operatorAskSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('overview') }),
  /** Recomputes the whole ledger. */
  v.strictObject({ kind: v.literal('verify-ledger') }),
  /** Whose id begins with `search`, or whose name has it; on from an id, or from the first. */
  v.strictObject({ kind: v.literal('accounts'), search: text(ACCOUNT_NAME_CHARACTERS_MAX), after: v.nullable(accountId) }),
  v.strictObject({ kind: v.literal('change-roles'), accountId, roles: v.pipe(v.array(role), v.maxLength(3)) }),
  v.strictObject({
    kind: v.literal('grant'),
    accountId,
    /** Micro-credits. */
    amount: positiveCredits,
    days: v.pipe(count(GRANT_DAYS_MAX), v.minValue(1)),
    /** Repeated, it grants once. */
    reference,
    note: text(NOTE_CHARACTERS_MAX),
  }),
])

export const operatorAnswerSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('overview'),
    /** Minus all credits that are outstanding. All in micro-credits. */
    issuance: creditsChange,
    /** Who has them, by kind of account in the ledger. */
    held: v.strictObject({ user: credits, hold: credits, escrow: credits, fee: credits, verification: credits, reserve: credits }),
    accounts: wholeNumber,
    /** Of today (UTC). */
    starters: v.strictObject({ issued: credits, poolADay: credits, amount: credits }),
  }),
  v.strictObject({
    kind: v.literal('verify-ledger'),
    /** Null: everything is right. Else what is wrong first. */
    broken: v.nullable(text(1_000)),
    events: wholeNumber,
    heads: wholeNumber,
    outstanding: credits,
  }),
  v.strictObject({
    kind: v.literal('accounts'),
    accounts: v.pipe(v.array(listedAccountSchema), v.maxLength(ACCOUNTS_LISTED_MAX)),
    hasMore: v.boolean(),
  }),
  v.strictObject({ kind: v.literal('change-roles'), account: listedAccountSchema }),
  v.strictObject({ kind: v.literal('grant'), account: listedAccountSchema }),
])
