/** LedgerError: why the ledger refuses a posting, or what is broken in it. The message says what to do. */

import { TabswarmError } from '../../shared/index.ts'

export type LedgerErrorReason =
  /** The account has less than that. */
  | 'insufficient'
  /** The same business id was posted with other contents. */
  | 'conflict'
  /** Names an event that is not there, as a settlement without a hold. */
  | 'unknown-event'
  /** The hold or escrow is empty, or was released. */
  | 'empty'
  /** The ledger would hold more than its amounts can say. */
  | 'too-much'
  /** A command that no state allows, as the compensation of a compensation. */
  | 'not-allowed'
  /** A recorded line breaks a rule of the ledger. */
  | 'broken'

export class LedgerError extends TabswarmError<LedgerErrorReason> {
  override readonly name = 'LedgerError'
}
