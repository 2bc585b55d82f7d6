/** What an engine's failure in a pass means for a session. */

import type { FailureReason } from '../protocol/index.ts'

export function failureOf(reason: string): FailureReason {
  switch (reason) {
    case 'not-finite':
    case 'device-lost':
      return reason
    case 'bad-batch':
      return 'protocol'
    case 'not-loaded':
      return 'not-serving'
    default:
      return 'internal'
  }
}
