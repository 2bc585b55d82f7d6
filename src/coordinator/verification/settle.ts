/**
 * What is payable of a whole session, over all its segments: each row once to who computed it for each layer, replays out of what the
 * stage earned that left. Amounts are rows by kind and layers; prices are the ledger's matter. Rules V13 and V14 of SPEC.md.
 */

import type { RowCounts } from '../../protocol/index.ts'
import { type PeerId, required } from '../../shared/index.ts'
import type { Linked } from './locate.ts'
import { proveWork, type SegmentFinding, type StageWork } from './proveWork.ts'
import { addRows, combine, leastRows, NO_ROWS, takeRows } from './rows.ts'
import type { Segment } from './segment.ts'
import { submittedRows } from './submitted.ts'

/**
 * What a replayed row takes of a computed one. Replays run many rows at a time, as a prompt does: that is what a row of a prompt costs, and the
 * operator's default weights ask for a quarter of a decode row's price for one of a prompt.
 */
const REPLAY_SHARE = { prompt: 1, decode: 0.25 } as const

export interface SessionSegment {
  readonly segment: Segment
  /** Peers of the segment before that the coordinator itself saw leave, or drain. */
  readonly left: ReadonlySet<PeerId>
}

/** Rows that a peer is paid for, over each of these layers. */
export interface WorkLine {
  readonly peerId: PeerId
  readonly firstLayer: number
  readonly endLayer: number
  readonly rows: RowCounts
}

export interface Settlement {
  /** Rows of the session that the requester pays for, at each layer at most. */
  readonly submitted: RowCounts
  /** By layers. Peers that are not here get nothing. */
  readonly lines: readonly WorkLine[]
  /** In the order of revisions, with what each stage's word was worth and why. */
  readonly findings: readonly SegmentFinding[]
}

/** In the order of revisions. */
export function settle(segments: readonly SessionSegment[], linked: Linked): Settlement {
  const findings = segments.map(({ segment }) => proveWork(segment, linked))
  const fresh = findings.map((finding, index) => submittedRows(finding, findings.slice(0, index)))
  const borders = new Set(findings.flatMap(({ work }) => work.flatMap(({ firstLayer, endLayer }) => [firstLayer, endLayer])))
  const layers = [...borders].sort((a, b) => a - b)
  const strips = layers.slice(0, -1).flatMap((firstLayer, index) => {
    const endLayer = required(layers[index + 1], 'the end of a strip of layers')
    const earned = earnedOf(segments, findings, fresh, firstLayer)
    return [...earned].map(([peerId, rows]) => ({ peerId, firstLayer, endLayer, rows }))
  })
  return { submitted: fresh.reduce(addRows, NO_ROWS), lines: joinStrips(strips), findings }
}

/** What each peer gets for one layer. In sum never more than was submitted. */
function earnedOf(
  segments: readonly SessionSegment[],
  findings: readonly SegmentFinding[],
  fresh: readonly RowCounts[],
  layer: number,
): Map<PeerId, RowCounts> {
  const earned = new Map<PeerId, RowCounts>()
  const of = (peerId: PeerId) => earned.get(peerId) ?? NO_ROWS
  let open = NO_ROWS
  let before: StageWork | null = null
  for (const [index, { work }] of findings.entries()) {
    const stage = required(
      work.find(({ firstLayer, endLayer }) => firstLayer <= layer && layer < endLayer),
      `who holds layer ${layer}`,
    )
    open = addRows(open, fresh[index] ?? NO_ROWS)
    const own = leastRows(stage.proven, open)
    open = takeRows(open, own)
    earned.set(stage.peerId, addRows(of(stage.peerId), own))
    if (before !== null && before.peerId !== stage.peerId && segments[index]?.left.has(before.peerId)) {
      const replay = leastRows(replayPrice(takeRows(stage.proven, own)), of(before.peerId))
      earned.set(before.peerId, takeRows(of(before.peerId), replay))
      earned.set(stage.peerId, addRows(of(stage.peerId), replay))
    }
    before = stage
  }
  return earned
}

function replayPrice(rows: RowCounts): RowCounts {
  // Candidates are not computed again.
  return { prompt: Math.ceil(REPLAY_SHARE.prompt * rows.prompt), decode: Math.ceil(REPLAY_SHARE.decode * rows.decode), results: 0 }
}

/** One line where neighboring strips of a peer are alike; none of nothing. */
function joinStrips(strips: readonly WorkLine[]): WorkLine[] {
  const lines: WorkLine[] = []
  for (const strip of strips.filter(({ rows }) => rows.prompt + rows.decode > 0)) {
    const at = lines.findIndex(
      ({ peerId, endLayer, rows }) => peerId === strip.peerId && endLayer === strip.firstLayer && areSame(rows, strip.rows),
    )
    const known = lines[at]
    if (known === undefined) lines.push(strip)
    else lines[at] = { ...known, endLayer: strip.endLayer }
  }
  return lines
}

function areSame(one: RowCounts, other: RowCounts): boolean {
  const apart = combine(one, other, (a, b) => Math.abs(a - b))
  return apart.prompt + apart.decode + apart.results === 0
}
