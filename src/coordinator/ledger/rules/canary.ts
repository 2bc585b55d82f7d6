/** What a canary costs is given to its asker out of what sessions have paid for verification; granted credits stay granted. The rest of it stays there for the next. */

import { err, formatCredits, ok } from '../../../shared/index.ts'
import { houseAccount, userAccount } from '../accounts.ts'
import { LedgerError } from '../errors.ts'
import { draw, Postings, sumOf } from './postings.ts'
import type { Rule } from './view.ts'

export const canary: Rule<'canary'> = ({ account, amount }, view) => {
  const purses = view.purses('verification', '', '')
  const available = sumOf(purses.values())
  if (available < amount)
    return err(
      new LedgerError('insufficient', `verification has ${formatCredits(available)} credits, and ${formatCredits(amount)} are needed`),
    )
  const postings = new Postings()
  for (const { purse, amount: part } of draw(purses, amount))
    postings.move(houseAccount('verification', purse), userAccount(account, purse), part)
  return ok(postings.list())
}
