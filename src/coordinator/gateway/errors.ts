/** DriverError: why the driver has no answer. Reasons are the coordinator's refusals, the session's errors and the model's. */

import { TabswarmError } from '../../shared/index.ts'

export class DriverError extends TabswarmError {
  override readonly name = 'DriverError'
  /** When asking again may help; null where it does not help, or nobody knows. */
  readonly retryAfterMs: number | null

  constructor(reason: string, message: string, retryAfterMs: number | null = null) {
    super(reason, message)
    this.retryAfterMs = retryAfterMs
  }
}
