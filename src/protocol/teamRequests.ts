/**
 * What a tab asks about teams, and is answered: those of its account, invitations, members, what their keys may and spend. Kinds of account requests. Rules
 * T1 … T6.
 */

import * as v from 'valibot'
import { ACCOUNT_NAME_CHARACTERS_MAX, MEMBERS_MAX, SCOPE_NAMES_MAX, TEAMS_MAX } from '../shared/index.ts'
import { accountId, amount, boundedCredits, count, credits, positiveCredits, reference, text } from './schemas.ts'

/** Null: all. */
export const scopeNames = v.nullable(v.pipe(v.array(text(100)), v.minLength(1), v.maxLength(SCOPE_NAMES_MAX)))
export const keyId = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))
/** As somebody typed it. */
export const typedCode = text(64)
/** `K7QF-2M9X-TB4C` */
export const shownCode = { code: text(14), expiresAtMs: amount }

const name = text(ACCOUNT_NAME_CHARACTERS_MAX)
const teamId = accountId

const teamSchema = v.strictObject({
  id: teamId,
  name,
  models: scopeNames,
  pools: scopeNames,
  /** Whether the peer's account is one of its owners. */
  isOwner: v.boolean(),
  memberCount: count(MEMBERS_MAX),
  /** Micro-credits. */
  spendable: credits,
})
/** A team as its members see it. */
export type ListedTeam = v.InferOutput<typeof teamSchema>

const memberSchema = v.strictObject({
  accountId,
  /** Empty: none. */
  name,
  isOwner: v.boolean(),
})
export type ListedMember = v.InferOutput<typeof memberSchema>

export const teamAskSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('teams') }),
  v.strictObject({ kind: v.literal('create-team'), name, models: scopeNames, pools: scopeNames }),
  v.strictObject({ kind: v.literal('team'), teamId }),
  v.strictObject({ kind: v.literal('change-team'), teamId, name, models: scopeNames, pools: scopeNames }),
  v.strictObject({ kind: v.literal('invite'), teamId }),
  v.strictObject({ kind: v.literal('take-back-invitations'), teamId }),
  v.strictObject({ kind: v.literal('accept-invitation'), code: typedCode }),
  v.strictObject({ kind: v.literal('change-member'), teamId, accountId, isOwner: v.boolean() }),
  v.strictObject({ kind: v.literal('remove-member'), teamId, accountId }),
  v.strictObject({
    kind: v.literal('key-budget'),
    teamId,
    keyId,
    /** Micro-credits in all; null: as much as the team has. */
    budget: v.nullable(boundedCredits),
  }),
  /** Repeated with the same reference, it transfers once. */
  v.strictObject({ kind: v.literal('fund-team'), teamId, amount: positiveCredits, reference }),
])

export const teamAnswerSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('teams'), teams: v.pipe(v.array(teamSchema), v.maxLength(TEAMS_MAX)) }),
  v.strictObject({ kind: v.literal('create-team'), team: teamSchema }),
  v.strictObject({
    kind: v.literal('team'),
    /** Null: for owners alone. */
    members: v.nullable(v.pipe(v.array(memberSchema), v.maxLength(MEMBERS_MAX))),
    /** That work. */
    invitations: count(1_000),
  }),
  v.strictObject({ kind: v.literal('change-team') }),
  v.strictObject({ kind: v.literal('invite'), ...shownCode }),
  v.strictObject({ kind: v.literal('take-back-invitations') }),
  v.strictObject({ kind: v.literal('accept-invitation'), teamId }),
  v.strictObject({ kind: v.literal('change-member') }),
  v.strictObject({ kind: v.literal('remove-member') }),
  v.strictObject({ kind: v.literal('key-budget') }),
  v.strictObject({ kind: v.literal('fund-team') }),
])
