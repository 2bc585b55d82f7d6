/** Earned credits from user to user. What came from grants cannot be transferred, so that grants are worth nothing to whoever collects them. */

import { err, formatCredits, ok } from '../../../shared/index.ts'
import { EARNED, userAccount } from '../accounts.ts'
import { LedgerError } from '../errors.ts'
import { Postings } from './postings.ts'
import type { Rule } from './view.ts'

export const transfer: Rule<'transfer'> = ({ from, to, amount }, view) => {
  if (from === to) return err(new LedgerError('not-allowed', `${from} cannot transfer to itself`))
  const earned = view.purses('user', from, '').get(EARNED) ?? 0n
  if (earned < amount)
    return err(
      new LedgerError(
        'insufficient',
        `${from} has ${formatCredits(earned)} credits that can be transferred, not ${formatCredits(amount)}; grants can only be spent`,
      ),
    )
  return ok(new Postings().move(userAccount(from, EARNED), userAccount(to, EARNED), amount).list())
}
