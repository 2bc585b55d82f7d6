/**
 * Actions: what an account has done to accounts, keys, teams and credits, for a log of who did what. Ids of accounts and numbers alone: no name, no
 * note, no device, which an account that is erased takes with it, and no secret that was shown once. What only asks is none, nor what was refused.
 */

import type { AccountAnswer, AccountAsk } from '../../protocol/index.ts'
import { formatCredits } from '../../shared/index.ts'

export interface Action {
  /** The account that did it. */
  readonly by: string
  readonly action: string
  /** What it was done to: an account, a team or a key. */
  readonly on: string
  readonly details: Readonly<Record<string, ActionDetail>>
}

export type ActionDetail = string | number | boolean | null | readonly string[]

type About = Pick<Action, 'on'> & Partial<Pick<Action, 'details'>>

/** Null: nothing was done that is to be recorded. */
export function actionOf(by: string, ask: AccountAsk, answer: AccountAnswer): Action | null {
  const about = ofOperator(ask) ?? ofKey(by, ask, answer) ?? ofAccount(by, ask, answer) ?? ofTeam(ask, answer)
  return about === null ? null : { by, action: ask.kind, details: {}, ...about }
}

function ofOperator(ask: AccountAsk): About | null {
  switch (ask.kind) {
    case 'change-roles':
      return { on: ask.accountId, details: { roles: ask.roles } }
    case 'grant':
      return { on: ask.accountId, details: { credits: formatCredits(BigInt(ask.amount)), days: ask.days, reference: ask.reference } }
    default:
      return null
  }
}

function ofKey(by: string, ask: AccountAsk, answer: AccountAnswer): About | null {
  switch (ask.kind) {
    case 'create-key': {
      if (answer.kind !== 'create-key') return null
      const { id, models, pools, budget, requestsAMinute } = answer.key
      return { on: id, details: { payer: ask.teamId ?? by, models, pools, ...budgetOf(budget), requestsAMinute } }
    }
    case 'revoke-key':
      return { on: ask.keyId, details: { payer: ask.teamId ?? by } }
    case 'key-budget':
      return { on: ask.keyId, details: { payer: ask.teamId, ...budgetOf(ask.budget) } }
    default:
      return null
  }
}

function ofAccount(by: string, ask: AccountAsk, answer: AccountAnswer): About | null {
  switch (ask.kind) {
    case 'join':
      return answer.kind === 'join' ? { on: answer.accountId } : null
    case 'remove-device':
    case 'erase':
      return { on: by }
    default:
      return null
  }
}

function ofTeam(ask: AccountAsk, answer: AccountAnswer): About | null {
  switch (ask.kind) {
    case 'create-team':
      return answer.kind === 'create-team' ? { on: answer.team.id, details: { models: ask.models, pools: ask.pools } } : null
    case 'change-team':
      return { on: ask.teamId, details: { models: ask.models, pools: ask.pools } }
    case 'invite':
    case 'take-back-invitations':
      return { on: ask.teamId }
    case 'accept-invitation':
      return answer.kind === 'accept-invitation' ? { on: answer.teamId } : null
    case 'change-member':
      return { on: ask.teamId, details: { account: ask.accountId, isOwner: ask.isOwner } }
    case 'remove-member':
      return { on: ask.teamId, details: { account: ask.accountId } }
    case 'fund-team':
      return { on: ask.teamId, details: { credits: formatCredits(BigInt(ask.amount)), reference: ask.reference } }
    default:
      return null
  }
}

function budgetOf(budget: string | null): { readonly budget: string | null } {
  return { budget: budget === null ? null : formatCredits(BigInt(budget)) }
}
