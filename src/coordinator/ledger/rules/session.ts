/**
 * A session's way through the ledger: hold, settlements, release, payouts. The price is the one in force at the hold; nobody pays more than
 * was held. What grants pay for stays granted: each party of a settlement gets its part of the granted credits.
 */

import { err, formatCredits, ok, type Result } from '../../../shared/index.ts'
import { type Account, EARNED, GRANTED_FOR_GOOD, houseAccount, isExpired, isGranted, type Posting, userAccount } from '../accounts.ts'
import { largestRemainder } from '../amounts.ts'
import { type CommandOf, coverId, holdId, priceId, releaseId } from '../commands.ts'
import { LedgerError } from '../errors.ts'
import { type PriceTable, priceOf, splitCharge, weightedWork } from '../prices.ts'
import { type Draw, draw, Postings, sumOf } from './postings.ts'
import type { LedgerView, Rule } from './view.ts'

export const hold: Rule<'hold'> = ({ session, account, amount, priceVersion, from }, view, atMs) => {
  const table = findTable(priceVersion, view)
  if (!table.ok) return table
  // What was held before its last day ended stays held.
  const purses =
    from === undefined
      ? new Map([...view.purses('user', account, '')].filter(([purse]) => !isExpired(purse, atMs)))
      : view.purses('hold', account, from)
  const available = sumOf(purses.values())
  if (available < amount)
    return err(
      new LedgerError(
        'insufficient',
        `${account} has ${formatCredits(available)} credits to spend, and ${formatCredits(amount)} are needed; earn some, or ask for less`,
      ),
    )
  const postings = new Postings()
  for (const { purse, amount: part } of draw(purses, amount))
    postings.move(
      from === undefined ? userAccount(account, purse) : { kind: 'hold', owner: account, session: from, purse },
      { kind: 'hold', owner: account, session, purse },
      part,
    )
  return ok(postings.list())
}

export const settle: Rule<'settle'> = (command, view) => {
  const terms = findTerms(command.session, view)
  if (!terms.ok) return terms
  const { account, tier, table } = terms.value
  if (view.event(releaseId(command.session)) !== undefined)
    return err(new LedgerError('empty', `the hold of session ${command.session} was released; nothing more can be settled from it`))
  if (view.event(coverId(command.session)) !== undefined)
    return err(new LedgerError('not-allowed', `session ${command.session} was paid by the reserve; its requester pays nothing`))
  if (command.stages.every(({ work }) => weightedWork(table, work) === 0n))
    return err(new LedgerError('not-allowed', `no stage of session ${command.session} did work that has a price; release the hold instead`))
  const draws = draw(view.purses('hold', account, command.session), priceOf(table, tier, command.work))
  return ok(pay(command, table, account, draws))
}

export const release: Rule<'release'> = ({ session }, view) => {
  const held = findHold(session, view)
  if (!held.ok) return held
  const { account } = held.value
  const postings = new Postings()
  for (const [purse, balance] of view.purses('hold', account, session))
    postings.move({ kind: 'hold', owner: account, session, purse }, userAccount(account, purse), balance)
  return ok(postings.list())
}

export const payout: Rule<'payout'> = ({ session, account }, view) => {
  const purses = view.purses('escrow', account, session)
  if (purses.size === 0) return err(new LedgerError('empty', `nothing of session ${session} lies in escrow for ${account}`))
  const postings = new Postings()
  for (const [purse, balance] of purses)
    postings.move({ kind: 'escrow', owner: account, session, purse }, userAccount(account, purse), balance)
  return ok(postings.list())
}

function pay({ session, stages }: CommandOf<'settle'>, table: PriceTable, payer: string, draws: readonly Draw[]): readonly Posting[] {
  const postings = new Postings()
  const charge = sumOf(draws.map(({ amount }) => amount))
  if (charge === 0n) return []
  for (const { purse, amount } of draws) postings.add({ kind: 'hold', owner: payer, session, purse }, -amount)
  const split = splitCharge(table, charge, stages)
  const amounts = [...split.stages, split.fee, split.verification]
  const granted = largestRemainder(sumOf(draws.filter(({ purse }) => isGranted(purse)).map(({ amount }) => amount)), amounts)
  const parties: Omit<Account, 'purse'>[] = [
    ...stages.map(({ account }) => ({ kind: 'escrow' as const, owner: account, session })),
    houseAccount('fee', EARNED),
    houseAccount('verification', EARNED),
  ]
  parties.forEach((party, index) => {
    const part = granted[index] ?? 0n
    postings.add({ ...party, purse: GRANTED_FOR_GOOD }, part)
    postings.add({ ...party, purse: EARNED }, (amounts[index] ?? 0n) - part)
  })
  return postings.list()
}

export function findHold(session: string, view: LedgerView): Result<CommandOf<'hold'>, LedgerError> {
  const found = view.event(holdId(session))?.command
  return found?.kind === 'hold' ? ok(found) : err(unknown(holdId(session)))
}

/** What a session was admitted under: its hold, and the prices in force then. */
export function findTerms(session: string, view: LedgerView): Result<CommandOf<'hold'> & { readonly table: PriceTable }, LedgerError> {
  const held = findHold(session, view)
  if (!held.ok) return held
  const table = findTable(held.value.priceVersion, view)
  return table.ok ? ok({ ...held.value, table: table.value }) : table
}

function findTable(version: CommandOf<'hold'>['priceVersion'], view: LedgerView): Result<PriceTable, LedgerError> {
  const found = view.event(priceId(version))?.command
  return found?.kind === 'price' ? ok(found.table) : err(unknown(priceId(version)))
}

function unknown(id: string): LedgerError {
  return new LedgerError('unknown-event', `there is no event ${id}; post it first`)
}
