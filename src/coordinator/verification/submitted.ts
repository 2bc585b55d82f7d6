/**
 * How many rows of a segment are new: what the requester pays for. By the driver's word, which can't call more of them repeats than there
 * can be; where it is gone or contradicted, by what a stage is proven to have done. Rules V13 and V14 of SPEC.md.
 */

import { type RowCounts, rowTotal } from '../../protocol/index.ts'
import type { SegmentFinding, StageWork } from './proveWork.ts'
import { combine, mostRows, NO_ROWS, takeRows } from './rows.ts'

export function submittedRows(finding: SegmentFinding, before: SegmentFinding | null): RowCounts {
  const { segment, liars } = finding
  const byDriver = liars.has(0) ? NO_ROWS : newOfDriver(finding, before)
  if (segment.hasFinal(0) && !liars.has(0)) return byDriver
  return combine(byDriver, newOfStages(finding, before), Math.max)
}

function newOfDriver({ segment }: SegmentFinding, before: SegmentFinding | null): RowCounts {
  const sent = segment.most(0, 'sent')
  const resent = mostRows(segment.of(0).map(({ party }) => (party.kind === 'driver' ? party.resent : NO_ROWS)))
  // Only what had been sent before can be sent again: positions from where stage 0 begins to where the segment before ended.
  const possible = before === null ? 0 : Math.max(0, before.segment.endPosition(0, 'sent') - (segment.firstPosition(0, 'sent') ?? 0))
  const decodeMax = Math.max(0, possible - resent.prompt)
  const prompt = Math.min(resent.prompt, possible)
  const decode = Math.min(resent.decode, decodeMax)
  return takeRows(sent, { prompt, decode, results: Math.min(resent.results, prompt + decode) })
}

/** Who stayed computed nothing twice. Where nobody stayed, what lay behind the end of the segment before is new. */
function newOfStages({ segment, work }: SegmentFinding, before: SegmentFinding | null): RowCounts {
  const stayed = work.filter((stage) => before === null || before.work.some((other) => isSame(other, stage)))
  if (stayed.length > 0) return mostRows(stayed.map(({ proven }) => proven))
  const most = mostRows(work.map(({ proven }) => proven))
  const old = Math.max(0, (before?.segment.endPosition(1, 'received') ?? 0) - (segment.firstPosition(1, 'received') ?? 0))
  const fresh = Math.max(0, rowTotal(most) - old)
  const decode = Math.min(most.decode, fresh)
  return { decode, prompt: fresh - decode, results: Math.min(most.results, fresh) }
}

function isSame(one: StageWork, other: StageWork): boolean {
  return one.peerId === other.peerId && one.firstLayer === other.firstLayer && one.endLayer === other.endLayer
}
