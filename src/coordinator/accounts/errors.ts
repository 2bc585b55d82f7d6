/** AccountError: why an account, a key or a team may not do what it asks. The message says what to do. */

import { TabswarmError } from '../../shared/index.ts'

export type AccountErrorReason =
  /** There is no such account, key or team, or there is no more. */
  | 'unknown'
  /** An API key that is none, or was revoked; which of the two is nobody's business. */
  | 'bad-key'
  /** A pairing code that is wrong, used or too old. */
  | 'bad-code'
  /** No copy of a key is kept under a recovery phrase. */
  | 'unknown-phrase'
  /** A name, a list or a number that breaks a limit. */
  | 'bad-value'
  /** The key's scope, or its team's, leaves it out. */
  | 'not-allowed'
  /** The key's budget does not bear it. */
  | 'over-budget'
  | 'too-many-requests'
  /** No starter grant: had one, the day's pool is empty, or the address block has had its number. */
  | 'no-grant'

export class AccountError extends TabswarmError<AccountErrorReason> {
  override readonly name = 'AccountError'
  /** When the same may be asked again; null: nobody knows, or it does not help. */
  readonly retryAfterMs: number | null

  constructor(reason: AccountErrorReason, message: string, retryAfterMs: number | null = null) {
    super(reason, message)
    this.retryAfterMs = retryAfterMs
  }
}
