/** How far a command can reach, so that a store reads no more than it needs: past events that its rule asks for, and accounts that it may post to. */

import { type Account, EARNED, houseAccount, issuance, userAccount } from '../accounts.ts'
import { type Command, coverId, holdId, priceId, releaseId, settleId } from '../commands.ts'
import type { LedgerView } from './view.ts'

/** All purses of one owner's account. */
export type AccountGroup = Omit<Account, 'purse'>

/** Business ids of events that the rule of `command` looks at; beside them the price table that a hold among them names. */
export function eventsAsked(command: Command): readonly string[] {
  switch (command.kind) {
    case 'hold':
      return [priceId(command.priceVersion)]
    case 'settle':
      return [holdId(command.session), releaseId(command.session), coverId(command.session)]
    case 'release':
      return [holdId(command.session)]
    case 'cover':
      return [holdId(command.session), settleId(command.session, 0)]
    case 'audit':
      return [holdId(command.session)]
    case 'refund':
      return [holdId(command.session), coverId(command.session)]
    case 'compensate':
      return [command.event]
    default:
      return []
  }
}

/** Of those, the ones whose postings the rule looks at, too. */
export function postingsAsked(command: Command): readonly string[] {
  switch (command.kind) {
    case 'cover':
    case 'refund':
    case 'audit':
      return [holdId(command.session)]
    case 'compensate':
      return [command.event]
    default:
      return []
  }
}

/** Accounts that `command` may touch. `view` knows the events asked, as far as there are any; a hold of the same batch names its own accounts. */
export function accountsTouched(command: Command, view: Pick<LedgerView, 'event'>): readonly AccountGroup[] {
  switch (command.kind) {
    case 'price':
      return []
    case 'issue':
      return [issuance, command.account === null ? houseAccount('reserve', EARNED) : user(command.account)]
    case 'expire':
      return [issuance, user(command.account)]
    case 'hold':
      return [
        user(command.account),
        held(command.account, command.session),
        ...(command.from === undefined ? [] : [held(command.account, command.from)]),
      ]
    case 'settle':
      return [
        ...holdOf(command.session, view),
        ...command.stages.map(({ account }) => escrow(account, command.session)),
        houseAccount('fee', EARNED),
        houseAccount('verification', EARNED),
      ]
    case 'cover':
      return [houseAccount('reserve', EARNED), ...command.stages.map(({ account }) => escrow(account, command.session))]
    case 'release':
      return holdOf(command.session, view)
    case 'payout':
      return [escrow(command.account, command.session), user(command.account)]
    case 'refund':
      return [escrow(command.account, command.session), houseAccount('reserve', EARNED), ...holdOf(command.session, view)]
    case 'audit':
      return [houseAccount('verification', EARNED), user(command.account)]
    case 'canary':
      return [houseAccount('verification', EARNED), user(command.account)]
    case 'transfer':
      return [user(command.from), user(command.to)]
    case 'compensate':
      return view.event(command.event)?.postings.map(({ account }) => account) ?? []
  }
}

function holdOf(session: string, view: Pick<LedgerView, 'event'>): readonly AccountGroup[] {
  const hold = view.event(holdId(session))?.command
  return hold?.kind === 'hold' ? accountsTouched(hold, view) : []
}

function user(owner: string): AccountGroup {
  return userAccount(owner, EARNED)
}

function held(owner: string, session: string): AccountGroup {
  return { kind: 'hold', owner, session }
}

function escrow(owner: string, session: string): AccountGroup {
  return { kind: 'escrow', owner, session }
}
