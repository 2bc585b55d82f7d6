/** Which operation a job is. */

import { attend } from './attend'
import { add, capValues, gateUp, rmsNorm, rotate, sumPowers } from './elementwise'
import { multiplyFloats, multiplyGroups, roundRows } from './multiply'

/** The numbers are the host's, see operations.ts. */
export function work(operation: i32, first: i32, end: i32, thread: i32): void {
  if (operation === 0) multiplyGroups(first, end)
  else if (operation === 1) roundRows(first, end)
  else if (operation === 2) multiplyFloats(first, end)
  else if (operation === 3) attend(first, end, thread)
  else if (operation === 4) rmsNorm(first, end)
  else if (operation === 5) gateUp(first, end)
  else if (operation === 6) capValues(first, end)
  else if (operation === 7) add(first, end)
  else if (operation === 8) rotate(first, end)
  else sumPowers(first, end)
}
