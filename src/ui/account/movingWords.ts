/** What becomes of this browser's account when another takes its place here, in words. */

import type { AccountState } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'

/** Sentences. `account`: what this browser has now; null: nobody has said it yet. */
export function describeMoving(account: AccountState | null): readonly string[] {
  if (account === null) return ['What the account of this browser has earned comes along.']
  const { spendable, granted, escrow } = account
  const earned = spendable - granted
  const along = [
    ...(earned > 0n ? [`${formatCredits(earned)} credits that it can transfer`] : []),
    ...(escrow > 0n ? [`${formatCredits(escrow)} that it has in escrow, once they are paid out`] : []),
  ]
  if (along.length === 0 && granted === 0n) return ['The account that this browser has now is empty: nothing is left behind.']
  return [
    along.length === 0
      ? 'The account that this browser has now has earned nothing that could come along.'
      : `What the account of this browser has comes along: ${along.join(', and ')}.`,
    ...(granted > 0n ? [`${formatCredits(granted)} granted credits stay behind: grants cannot be moved, so spend them first.`] : []),
    'If other devices use that account too, it stays with them, and so does all that it has.',
  ]
}
