/**
 * What an auditor is paid: as much as a stage is for the same work, out of what sessions have paid for verification, as far as that goes. What grants
 * have paid stays granted, or sybils would audit each other for a living (decision 0264).
 */

import { err, ok } from '../../../shared/index.ts'
import { EARNED, GRANTED_FOR_GOOD, houseAccount, isGranted, userAccount } from '../accounts.ts'
import { LedgerError } from '../errors.ts'
import { priceOf, splitCharge } from '../prices.ts'
import { grantedShare } from './failure.ts'
import { draw, Postings, sumOf } from './postings.ts'
import { findTerms } from './session.ts'
import type { Rule } from './view.ts'

export const audit: Rule<'audit'> = ({ session, account, work }, view) => {
  const terms = findTerms(session, view)
  if (!terms.ok) return terms
  const { tier, table } = terms.value
  const charge = priceOf(table, tier, work)
  if (charge === 0n) return err(new LedgerError('empty', `the audit of session ${session} was no work that has a price`))
  const due = sumOf(splitCharge(table, charge, [{ account, work, newcomer: false }]).stages)
  const draws = draw(view.purses('verification', '', ''), due)
  const paid = sumOf(draws.map(({ amount }) => amount))
  if (paid === 0n) return err(new LedgerError('insufficient', `no session has paid for the audit of session ${session} yet`))
  const fromGrants = sumOf(draws.filter(({ purse }) => isGranted(purse)).map(({ amount }) => amount))
  const share = grantedShare(session, paid, view)
  const granted = share > fromGrants ? share : fromGrants
  const postings = new Postings()
  for (const { purse, amount } of draws) postings.add(houseAccount('verification', purse), -amount)
  postings.add(userAccount(account, GRANTED_FOR_GOOD), granted).add(userAccount(account, EARNED), paid - granted)
  return ok(postings.list())
}
