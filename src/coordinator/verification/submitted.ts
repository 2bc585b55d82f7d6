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
  // Only what had been sent before can be sent again: positions from where stage 0 begins to where the segments before ended.
  const ends = before.map((other) => other.segment.endPosition(0, 'sent'))
  const possible = Math.max(0, ...ends.map((end) => end - (segment.firstPosition(0, 'sent') ?? 0)))
  const decodeMax = Math.max(0, possible - resent.prompt)
  const prompt = Math.min(resent.prompt, possible)
  const decode = Math.min(resent.decode, decodeMax)
  return takeRows(sent, { prompt, decode, results: Math.min(resent.results, prompt + decode) })
}

/** Of what a stage is proven to have done, what lies behind the end of the segments before: who is new computed the rest once more. */
function newOfStages({ segment, work }: SegmentFinding, before: readonly SegmentFinding[]): RowCounts {
  const reached = Math.max(0, ...before.map((other) => other.segment.endPosition(1, 'received')))
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
