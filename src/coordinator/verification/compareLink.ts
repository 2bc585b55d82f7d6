/** What the two ends of one link say of it, held against each other. Rules V11 and V12 of SPEC.md. */

import type { LinkTally, RowCounts } from '../../protocol/index.ts'
import { hasMore, leastRows, mostRows, rowsOf } from './rows.ts'

/** One end's word: a cut, and what had passed by then. */
export interface LinkWord {
  readonly epoch: number
  readonly tally: LinkTally
  /** Nothing passes after it. */
  readonly final: boolean
}

export interface LinkFinding {
  /**
   * What each end had counted at the last cut at which they agree; null: nowhere. The sender may have counted more: rows that a
   * truncation dropped on their way. What the receiver counts beyond the sender is not in it.
   */
  readonly agreed: { readonly sent: RowCounts; readonly received: RowCounts } | null
  /** data: other bytes than were sent; quantity: more rows than were sent. */
  readonly contradiction: 'data' | 'quantity' | null
}

/** Both in the order in which they were signed. */
export function compareLink(sender: readonly LinkWord[], receiver: readonly LinkWord[]): LinkFinding {
  let contradiction: LinkFinding['contradiction'] = null
  let agreed: LinkFinding['agreed'] = null
  for (const { epoch, tally } of receiver.toReversed()) {
    const sent = sender.findLast((word) => word.epoch === epoch && word.tally.endPosition === tally.endPosition)?.tally
    if (sent === undefined) continue
    if (sent.hash !== tally.hash || sent.firstPosition !== tally.firstPosition) {
      contradiction = 'data'
      continue
    }
    if (hasMore(tally, sent)) contradiction ??= 'quantity'
    agreed = { sent: rowsOf(sent), received: leastRows(sent, tally) }
    break
  }
  const took = mostRows(receiver.map(({ tally }) => tally))
  const gave = mostRows(sender.map(({ tally }) => tally))
  if (sender.some(({ final }) => final) && hasMore(took, gave)) contradiction ??= 'quantity'
  return { agreed, contradiction }
}

/**
 * At which end the sender's word is wanted, so that the two can be compared there: where the receiver got to, if the sender went further
 * and did not sign there. Null: nothing is to be gained.
 */
export function missingCut(sender: readonly LinkWord[], receiver: readonly LinkWord[]): number | null {
  const epoch = receiver.at(-1)?.epoch
  const endPosition = furthest(receiver, epoch)
  const isSigned = sender.some((word) => word.epoch === epoch && word.tally.endPosition === endPosition)
  return endPosition === 0 || isSigned || furthest(sender, epoch) < endPosition ? null : endPosition
}

function furthest(words: readonly LinkWord[], epoch: number | undefined): number {
  return Math.max(0, ...words.map((word) => (word.epoch === epoch ? word.tally.endPosition : 0)))
}
