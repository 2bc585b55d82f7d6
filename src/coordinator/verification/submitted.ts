/**
 * How many rows of a segment are new: what the requester pays for. By the driver's word, which can't call more of them repeats than there
 * can be; where it is gone or contradicted, by what a stage is proven to have done. Rules V13 and V14 of SPEC.md.
 */

import { type RowCounts, rowTotal } from '../../protocol/index.ts'
import type { SegmentFinding } from './proveWork.ts'
import { combine, mostRows, NO_ROWS, takeRows } from './rows.ts'

/** `before`: all segments before it; some of them may have ended before anything passed. */
export function submittedRows(finding: SegmentFinding, before: readonly SegmentFinding[]): RowCounts {
  const { segment, liars } = finding
  const byDriver = liars.has(0) ? NO_ROWS : newOfDriver(finding, before)
  if (segment.hasFinal(0) && !liars.has(0)) return byDriver
  return combine(byDriver, newOfStages(finding, before), Math.max)
}

function newOfDriver({ segment }: SegmentFinding, before: readonly SegmentFinding[]): RowCounts {
  const sent = segment.most(0, 'sent')
  const resent = mostRows(segment.of(0).map(({ party }) => (party.kind === 'driver' ? party.resent : NO_ROWS)))
  // Only what had been submitted before can be sent again.
  const possible = Math.max(0, endOf(before) - (segment.firstPosition(0, 'sent') ?? 0))
  const decodeMax = Math.max(0, possible - resent.prompt)
  const prompt = Math.min(resent.prompt, possible)
  const decode = Math.min(resent.decode, decodeMax)
  return takeRows(sent, { prompt, decode, results: Math.min(resent.results, prompt + decode) })
}

/** Of what a stage is proven to have done, what lies behind the end of the segments before: who is new computed the rest once more. */
function newOfStages({ segment, work }: SegmentFinding, before: readonly SegmentFinding[]): RowCounts {
  const reached = endOf(before)
  const fresh = work.map(({ proven }, index) => {
    const again = Math.max(0, reached - (segment.firstPosition(index + 1, 'received') ?? 0))
    const waited = Math.max(0, rowTotal(proven) - rowTotal(segment.most(index + 1, 'received')))
    const old = again + waited
    // The first positions are the prompt's.
    const prompt = Math.max(0, proven.prompt - old)
    const decode = Math.max(0, proven.decode - Math.max(0, old - proven.prompt))
    return { prompt, decode, results: Math.min(proven.results, rowTotal({ prompt, decode, results: 0 })) }
  })
  return mostRows(fresh)
}

/** Where the positions end that these segments ask a price for already: by the driver's own word, or by what was proven without it. */
function endOf(segments: readonly SegmentFinding[]): number {
  const ends = segments.map((finding) => Math.max(finding.segment.endPosition(0, 'sent'), provenEnd(finding)))
  return Math.max(0, ...ends)
}

/** How far any stage is proven to have computed: what one alone says it received counts for nothing. */
function provenEnd({ segment, work }: SegmentFinding): number {
  const ends = work.map(({ proven }, index) => {
    const end = (segment.firstPosition(index + 1, 'received') ?? 0) + rowTotal(proven)
    // Rows that were taken back were computed, and lead no further.
    return Math.min(end, segment.endPosition(index + 1, 'received'))
  })
  return Math.max(0, ...ends)
}
