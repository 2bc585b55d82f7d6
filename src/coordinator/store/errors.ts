/** StoreError: what an operator has to know about the store. The message says what to do. */

import { TabswarmError } from '../../shared/index.ts'

export type StoreErrorReason =
  /** Another process has the folder. */
  | 'in-use'
  /** The database cannot be opened or reached. */
  | 'cannot-open'
  /** More waits to be written than the store takes. */
  | 'busy'
  | 'closed'
  | 'bad-backup'
  /** An API key has left as much here as it may. */
  | 'full'
  /** Only an empty store takes a backup. */
  | 'not-empty'

export class StoreError extends TabswarmError<StoreErrorReason> {
  override readonly name = 'StoreError'
}
