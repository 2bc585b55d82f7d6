/**
 * Pass plan: how a batch is cut into runs. A run is what the kernels compute at once: rows of one kind and one span, at most 8
 * decode rows or PROMPT_ROWS prompt rows. Pure; how rows are grouped never changes their bits (ARCHITECTURE, batch invariance).
 */

import { GROUP_ROWS_MAX } from '../../kernels/index.ts'
import { type Span, sameSpan } from '../../model/index.ts'
import type { RowKind } from '../../protocol/index.ts'
import { segmentRows } from '../batch.ts'
import type { Segment } from '../engine.ts'
import { PROMPT_ROWS } from './memory.ts'

/** Consecutive rows of one segment within a run. */
export interface Piece {
  readonly segmentIndex: number
  /** First of the segment's rows. */
  readonly segmentRow: number
  /** First of the run's rows. */
  readonly runRow: number
  readonly rowCount: number
}

export interface Run {
  readonly kind: RowKind
  readonly span: Span
  readonly pieces: readonly Piece[]
  readonly rowCount: number
}

/** One row whose logits are wanted. */
export interface ResultRow {
  readonly segmentIndex: number
  /** Among the segment's results. */
  readonly resultIndex: number
  readonly runRow: number
}

/** Runs of all segments: decode first, each kind in the order of the batch. `spans[i]` is segment i's. */
export function planRuns(segments: readonly Segment[], spans: readonly Span[]): Run[] {
  const runs: Run[] = []
  for (const kind of ['decode', 'prompt'] as const) {
    const rowsMax = kind === 'decode' ? GROUP_ROWS_MAX : PROMPT_ROWS
    for (const [segmentIndex, segment] of segments.entries()) {
      const span = spans[segmentIndex]
      if (segment.kind !== kind || span === undefined) continue
      for (let segmentRow = 0; segmentRow < segmentRows(segment); ) {
        const last = runs.at(-1)
        const fits = last?.kind === kind && sameSpan(last.span, span) && last.rowCount < rowsMax
        const run = fits ? last : { kind, span, pieces: [], rowCount: 0 }
        const rowCount = Math.min(segmentRows(segment) - segmentRow, rowsMax - run.rowCount)
        const grown: Run = {
          ...run,
          pieces: [...run.pieces, { segmentIndex, segmentRow, runRow: run.rowCount, rowCount }],
          rowCount: run.rowCount + rowCount,
        }
        if (fits) runs[runs.length - 1] = grown
        else runs.push(grown)
        segmentRow += rowCount
      }
    }
  }
  return runs
}

/** The run's rows whose logits are wanted, in groups that the head computes at once. */
export function planHeadGroups(run: Run, segments: readonly Segment[]): ResultRow[][] {
  const groups: ResultRow[][] = []
  for (const piece of run.pieces) {
    const segment = segments[piece.segmentIndex]
    if (segment === undefined || segment.output.kind === 'rows') continue
    const firstResult = segmentRows(segment) - segment.output.resultCount
    for (let row = 0; row < piece.rowCount; row++) {
      const resultIndex = piece.segmentRow + row - firstResult
      if (resultIndex < 0) continue
      const last = groups.at(-1)
      const result = { segmentIndex: piece.segmentIndex, resultIndex, runRow: piece.runRow + row }
      if (last !== undefined && last.length < GROUP_ROWS_MAX) last.push(result)
      else groups.push([result])
    }
  }
  return groups
}
