/** How credits come to be and end: issued by the operator, and taken back from grants that were not spent in time. */

import { err, ok } from '../../../shared/index.ts'
import { dayOf, EARNED, houseAccount, isExpired, issuance, type Posting, userAccount } from '../accounts.ts'
import type { CommandOf } from '../commands.ts'
import { LedgerError } from '../errors.ts'
import { Postings } from './postings.ts'
import type { Rule } from './view.ts'

export const issue: Rule<'issue'> = ({ account, purse, amount }, _view, atMs) => {
  if (isExpired(purse, atMs)) return err(new LedgerError('not-allowed', `a grant cannot end in the past (${purse}); name a later day`))
  return ok(issuedBy({ account, purse, amount }))
}

/** What the command posts, whatever else there is. */
export function issuedBy({ account, purse, amount }: Pick<CommandOf<'issue'>, 'account' | 'purse' | 'amount'>): readonly Posting[] {
  const to = account === null ? houseAccount('reserve', purse) : userAccount(account, purse)
  return new Postings().move(issuance, to, amount).list()
}

export const expire: Rule<'expire'> = ({ account, day }, view, atMs) => {
  if (day > dayOf(atMs)) return err(new LedgerError('not-allowed', `${day} has not come yet; expire grants on the day itself`))
  const postings = new Postings()
  for (const [purse, balance] of view.purses('user', account, '')) {
    const ended = purse !== EARNED && isExpired(purse, atMs) && purse < `granted/${day}`
    if (ended) postings.move(userAccount(account, purse), issuance, balance)
  }
  return ok(postings.list())
}
