/** What one pass gave for one session, as frames for its downstream: cut so that each fits a frame, and logged by position. */

import {
  candidateBytes,
  encodeCandidates,
  FRAME_BYTES_MAX,
  type Grant,
  HEADER_BYTES,
  type ResultsFrame,
  type RowKind,
  type RowsFrame,
  rowBytes,
} from '../protocol/index.ts'
import { assert } from '../shared/index.ts'
import type { SegmentOutput } from '../worker/engine.ts'
import type { LoggedRow } from './activationLog.ts'

const PAYLOAD_BYTES_MAX = FRAME_BYTES_MAX - HEADER_BYTES

/** Consecutive rows of one session that went through one pass. */
export interface PassRows {
  readonly epoch: number
  readonly kind: RowKind
  readonly firstPosition: number
  readonly rowCount: number
  /** Of the last rows. */
  readonly resultCount: number
}

export interface OutputFrames {
  readonly frames: readonly (RowsFrame | ResultsFrame)[]
  /** One a row, views of the frames' payloads. */
  readonly rows: readonly LoggedRow[]
}

/** `output` must be what the segment of `part` asked for: an engine that gives anything else is broken, which asserts. */
export function outputFrames(grant: Grant, width: number, part: PassRows, output: SegmentOutput): OutputFrames {
  if (output.kind === 'rows') return activationFrames(grant, width, part, output.bytes)
  assert(output.kind === 'candidates', `a pass gave ${output.kind}`)
  assert(output.positions.length === part.resultCount, `${output.positions.length} results of ${part.resultCount}`)
  return resultFrames(grant, part, output.positions)
}

function activationFrames(grant: Grant, width: number, part: PassRows, bytes: Uint8Array): OutputFrames {
  const { epoch, kind, firstPosition, rowCount, resultCount } = part
  const stride = rowBytes(grant.rowEncoding, width)
  assert(bytes.byteLength === rowCount * stride, `a pass gave ${bytes.byteLength} bytes for ${rowCount} rows of ${stride}`)
  const rowsMax = Math.max(1, Math.floor(PAYLOAD_BYTES_MAX / stride))
  const frames: RowsFrame[] = []
  for (let first = 0; first < rowCount; first += rowsMax) {
    const end = Math.min(rowCount, first + rowsMax)
    frames.push({
      type: 'rows',
      sessionId: grant.sessionId,
      epoch,
      firstPosition: firstPosition + first,
      rowCount: end - first,
      kind,
      resultCount: wantedOf(part, first, end),
      encoding: grant.rowEncoding,
      payload: bytes.subarray(first * stride, end * stride),
    })
  }
  assert(resultCount <= rowCount, `${resultCount} results of ${rowCount} rows`)
  const rows = Array.from({ length: rowCount }, (_, row) => ({ kind, bytes: bytes.subarray(row * stride, (row + 1) * stride) }))
  return { frames, rows }
}

type Positions = Extract<SegmentOutput, { kind: 'candidates' }>['positions']

function resultFrames(grant: Grant, part: PassRows, positions: Positions): OutputFrames {
  const { epoch, kind, firstPosition, rowCount, resultCount } = part
  const topK = positions[0]?.ids.length ?? 0
  const stride = candidateBytes(topK)
  const payload = encodeCandidates(positions, topK)
  const wantedMax = Math.max(1, Math.floor(PAYLOAD_BYTES_MAX / stride))
  const frames: ResultsFrame[] = []
  // The rows that nobody asked for go with the first of those that were.
  for (let first = 0; first < rowCount; ) {
    const end = Math.min(rowCount, Math.max(first, rowCount - resultCount) + wantedMax)
    const wanted = wantedOf(part, first, end)
    const firstResult = end - wanted - (rowCount - resultCount)
    frames.push({
      type: 'results',
      sessionId: grant.sessionId,
      epoch,
      firstPosition: firstPosition + first,
      rowCount: end - first,
      resultCount: wanted,
      topK: wanted === 0 ? 0 : topK,
      payload: wanted === 0 ? new Uint8Array(0) : payload.subarray(firstResult * stride, (firstResult + wanted) * stride),
    })
    first = end
  }
  const rows = Array.from({ length: rowCount }, (_, row) => {
    const result = row - (rowCount - resultCount)
    return { kind, bytes: result < 0 ? new Uint8Array(0) : payload.subarray(result * stride, (result + 1) * stride) }
  })
  return { frames, rows }
}

/** How many rows of [first, end) are among the last `resultCount` of the part. */
export function wantedOf(part: { readonly rowCount: number; readonly resultCount: number }, first: number, end: number): number {
  return Math.max(0, end - Math.max(first, part.rowCount - part.resultCount))
}
