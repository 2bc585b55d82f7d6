/** What a check of the ledger has found, in words. */

import type { LedgerCheck } from '../../peer/index.ts'
import { formatCount, formatDay } from '../format.ts'

export function describeCheck({ head, seen, lines }: Pick<Extract<LedgerCheck, { kind: 'right' }>, 'head' | 'seen' | 'lines'>): string {
  if (head === null) return 'The ledger has no event yet.'
  const own = `${lines === 1 ? 'The 1 event' : `All ${formatCount(lines, 'event')}`} of this account ${lines === 1 ? 'is' : 'are'} in it.`
  const size = formatCount(head.size, 'event')
  return seen === null
    ? `The ledger has ${size}. This browser remembers its signed head, and sees from now on whether its past is changed. ${own}`
    : `The ledger has ${size}. It extends the one with ${formatCount(seen.size, 'event')} that was signed on ${formatDay(seen.atMs)}: nothing of that was changed. ${own}`
}
