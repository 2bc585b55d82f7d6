/**
 * Where a session did not go as it should: the reserve pays the stages of an answer that the network failed, and escrow goes back to who paid it.
 * Neither makes granted credits earned ones, or sybils would fail their own sessions for a living (decision 0264).
 */

import { err, ok } from '../../../shared/index.ts'
import { type Account, EARNED, GRANTED_FOR_GOOD, houseAccount, isGranted, type Posting, userAccount } from '../accounts.ts'
import { divideUp, largestRemainder } from '../amounts.ts'
import { coverId, holdId, settleId } from '../commands.ts'
import { LedgerError } from '../errors.ts'
import { priceOf, splitCharge, weightedWork } from '../prices.ts'
import { draw, Postings, sumOf } from './postings.ts'
import { findHold, findTerms } from './session.ts'
import type { LedgerView, Rule } from './view.ts'

/** Only the stages' part: a fee to oneself, and audits of what nobody got, are not paid. */
export const cover: Rule<'cover'> = ({ session, work, stages }, view) => {
  const terms = findTerms(session, view)
  if (!terms.ok) return terms
  const { amount, tier, table } = terms.value
  if (view.event(settleId(session, 0)) !== undefined)
    return err(new LedgerError('not-allowed', `session ${session} was paid by its requester; the reserve does not pay it again`))
  if (stages.every((stage) => weightedWork(table, stage.work) === 0n))
    return err(new LedgerError('not-allowed', `no stage of session ${session} did work that has a price; release the hold instead`))
  const charge = least(priceOf(table, tier, work), amount)
  const due = splitCharge(table, charge, stages).stages
  const draws = draw(view.purses('reserve', '', ''), sumOf(due))
  const paid = sumOf(draws.map((one) => one.amount))
  if (paid === 0n)
    return err(new LedgerError('insufficient', `the reserve has nothing to pay session ${session} with; it is filled once a day`))
  const parts = largestRemainder(paid, due)
  const fromGrants = sumOf(draws.filter(({ purse }) => isGranted(purse)).map((one) => one.amount))
  const grantedParts = largestRemainder(most(fromGrants, grantedShare(session, paid, view)), parts)
  const postings = new Postings()
  for (const one of draws) postings.add(houseAccount('reserve', one.purse), -one.amount)
  for (const [index, { account }] of stages.entries()) {
    const granted = grantedParts[index] ?? 0n
    postings.add({ kind: 'escrow', owner: account, session, purse: GRANTED_FOR_GOOD }, granted)
    postings.add({ kind: 'escrow', owner: account, session, purse: EARNED }, (parts[index] ?? 0n) - granted)
  }
  return ok(postings.list())
}

export const refund: Rule<'refund'> = ({ session, account }, view) => {
  const held = findHold(session, view)
  if (!held.ok) return held
  const payer = held.value.account
  const purses = view.purses('escrow', account, session)
  if (purses.size === 0) return err(new LedgerError('empty', `nothing of session ${session} lies in escrow for ${account}`))
  const isCovered = view.event(coverId(session)) !== undefined
  const postings = new Postings()
  for (const [purse, amount] of purses) {
    postings.add({ kind: 'escrow', owner: account, session, purse }, -amount)
    if (isCovered) postings.add(houseAccount('reserve', purse), amount)
    else for (const part of paidBack(session, payer, purse, amount, view)) postings.add(part.account, part.amount)
  }
  return ok(postings.list())
}

/** Grants come back into the purses that they were held from, so that their days stay. */
function paidBack(session: string, payer: string, purse: Account['purse'], amount: bigint, view: LedgerView): Posting[] {
  const grants = heldFrom(session, view).filter((held) => isGranted(held.purse))
  if (!isGranted(purse) || grants.length === 0) return [{ account: userAccount(payer, purse), amount }]
  const parts = largestRemainder(
    amount,
    grants.map((held) => held.amount),
  )
  return grants.map((held, index) => ({ account: userAccount(payer, held.purse), amount: parts[index] ?? 0n }))
}

/** Of `amount`, what would have come from grants had the requester paid it: as much as of the hold, rounded up. */
export function grantedShare(session: string, amount: bigint, view: LedgerView): bigint {
  const held = heldFrom(session, view)
  const granted = sumOf(held.filter(({ purse }) => isGranted(purse)).map((part) => part.amount))
  return divideUp(amount * granted, sumOf(held.map((part) => part.amount)))
}

/** What was held of each of the requester's purses, also where it had been set aside for many sessions before. */
function heldFrom(session: string, view: LedgerView): { readonly purse: Account['purse']; readonly amount: bigint }[] {
  const postings = view.event(holdId(session))?.postings ?? []
  return postings.flatMap(({ account, amount }) =>
    account.kind === 'hold' && account.session === session ? [{ purse: account.purse, amount }] : [],
  )
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
