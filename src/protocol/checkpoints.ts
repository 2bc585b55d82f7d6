/** When receipts are due, and how long a stage serves without the driver's. Rules V9 and V10 of SPEC.md. */

import { CHECKPOINT_POSITIONS, UNACKNOWLEDGED_POSITIONS_MAX } from './limits.ts'

/** The last position that everybody signs at, of those up to `endPosition`; 0: none yet. */
export function lastCheckpoint(endPosition: number): number {
  return endPosition - (endPosition % CHECKPOINT_POSITIONS)
}

/** Behind the last position that a stage serves a driver whose last receipt says that results came up to `acknowledgedPosition`. */
export function servedEnd(acknowledgedPosition: number): number {
  return acknowledgedPosition + UNACKNOWLEDGED_POSITIONS_MAX
}
