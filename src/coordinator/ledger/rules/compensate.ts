/** The opposite of an event: the ledger is corrected by another line, never by changing one. */

import { err, ok } from '../../../shared/index.ts'
import { LedgerError } from '../errors.ts'
import type { Rule } from './view.ts'

export const compensate: Rule<'compensate'> = ({ event: id }, view) => {
  const event = view.event(id)
  if (event === undefined) return err(new LedgerError('unknown-event', `there is no event ${id} to compensate`))
  if (event.command.kind === 'compensate')
    return err(new LedgerError('not-allowed', `${id} is a compensation itself; post what should be instead`))
  if (event.postings.length === 0) return err(new LedgerError('not-allowed', `${id} moved nothing, so there is nothing to compensate`))
  return ok(event.postings.map(({ account, amount }) => ({ account, amount: -amount })))
}
