/** What a rule may look at: balances of the accounts that its command names, and events of the past by their business id. */

import type { Result } from '../../../shared/index.ts'
import type { AccountKind, Posting, Purse } from '../accounts.ts'
import type { Command, CommandOf } from '../commands.ts'
import type { LedgerError } from '../errors.ts'
import type { LedgerEvent } from '../event.ts'

export interface LedgerView {
  /** One owner's purses that are not empty; for a hold or an escrow those of one session. */
  purses(kind: AccountKind, owner: string, session: string): ReadonlyMap<Purse, bigint>
  event(businessId: string): LedgerEvent | undefined
}

/** Postings that sum to 0, or why there are none. Whether balances bear them is checked for all rules in one place: book.ts. */
export type Rule<Kind extends Command['kind']> = (
  command: CommandOf<Kind>,
  view: LedgerView,
  atMs: number,
) => Result<readonly Posting[], LedgerError>
