/**
 * What a challenged stage is asked for, and whether what it hands over is what its receipts say. A receipt's hash binds all rows of its link up to
 * its end, so the stage hands over all that its receipts bind, and an audit looks at a part of it. Rules V7, V15 and V23 of SPEC.md.
 */

import type { AuditRow, AuditRows, LinkTally, Receipt } from '../../protocol/index.ts'
import type { Sha256 } from '../../shared/index.ts'
import { isCommitted } from '../verification/index.ts'

export interface Stretch {
  readonly first: number
  readonly end: number
}

export interface Wanted {
  /** From position 0. */
  readonly inputEnd: number
  readonly output: Stretch
  /** What the rows have to hash to. */
  readonly received: readonly LinkTally[]
  readonly sent: readonly LinkTally[]
}

export interface Challenged {
  readonly firstLayer: number
  readonly endLayer: number
  /** What is to be audited of it. */
  readonly firstPosition: number
  readonly endPosition: number
  /** The stage's last receipt of each segment, in their order. */
  readonly commitments: readonly Receipt[]
}

/** Null where receipts do not bind all that would be looked at: a later segment has taken back what an earlier one had signed for. */
export function wantedOf({ firstLayer, endLayer, firstPosition, endPosition, commitments }: Challenged): Wanted | null {
  // With other layers it was another part, which began anew.
  const own = commitments.filter(({ party }) => party.kind === 'stage' && party.firstLayer === firstLayer && party.endLayer === endLayer)
  const received = standing(own.map((receipt) => receipt.received))
  const sent = standing(own.map((receipt) => receipt.sent))
  if (!covers(received, { first: 0, end: endPosition }) || !covers(sent, { first: firstPosition, end: endPosition })) return null
  return { inputEnd: endOf(received), output: { first: sent[0]?.firstPosition ?? 0, end: endOf(sent) }, received, sent }
}

/** `rows` are of the shape that was asked for. */
export async function areCommitted({ input, output }: AuditRows, wanted: Wanted, sha256: Sha256): Promise<boolean> {
  for (const tally of wanted.received)
    if (!(await isCommitted(input.rows.slice(tally.firstPosition, tally.endPosition), tally, sha256))) return false
  const at = wanted.output.first
  for (const tally of wanted.sent)
    if (!(await isCommitted(output.rows.slice(tally.firstPosition - at, tally.endPosition - at), tally, sha256))) return false
  return output.rows.every((row, index) => isSameKind(row, input.rows[at + index]))
}

/** A row's output is of the kind of its input. */
function isSameKind(row: AuditRow, input: AuditRow | undefined): boolean {
  return row.kind === input?.kind
}

/** Links of which no row was taken back by a later one, and that have any. */
function standing(tallies: readonly LinkTally[]): LinkTally[] {
  let standsTo = Number.POSITIVE_INFINITY
  const stand: LinkTally[] = []
  for (const tally of tallies.toReversed()) {
    if (tally.firstPosition < tally.endPosition && tally.endPosition <= standsTo) stand.unshift(tally)
    standsTo = Math.min(standsTo, tally.firstPosition)
  }
  return stand
}

/** Without a hole. */
function covers(tallies: readonly LinkTally[], { first, end }: Stretch): boolean {
  const [start] = tallies
  if (start === undefined || start.firstPosition > first) return false
  const isWhole = tallies.every((tally, index) => index === 0 || tally.firstPosition === tallies[index - 1]?.endPosition)
  return isWhole && endOf(tallies) >= end
}

function endOf(tallies: readonly LinkTally[]): number {
  return tallies.at(-1)?.endPosition ?? 0
}
