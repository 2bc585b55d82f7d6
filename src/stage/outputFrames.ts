/** What a stage sends downstream: the rows of one pass, or of its log, as frames that are cut so that each fits. */

import {
  candidateBytes,
  encodeCandidates,
  encodeNamed,
  FRAME_BYTES_MAX,
  type Grant,
  HEADER_BYTES,
  type ResultsFrame,
  ROWS_MAX,
  type RowKind,
  type RowsFrame,
  rowBytes,
  topKOf,
} from '../protocol/index.ts'
import { assert, concatBytes } from '../shared/index.ts'
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
  /** What those name, as in their frame: token ids [resultCount, n]; null: nothing. */
  readonly named: Uint8Array | null
}

/**
 * One row for each of `part`, views of what the pass gave: activations, or the candidates of the last `resultCount` and no bytes for
 * the others. `output` must be what the segment of `part` asked for: an engine that gives anything else is broken, which asserts.
 */
export function outputRows(grant: Grant, width: number, part: PassRows, output: SegmentOutput): LoggedRow[] {
  const { kind, rowCount, resultCount } = part
  const firstWanted = rowCount - resultCount
  if (output.kind === 'rows') {
    const stride = rowBytes(grant.rowEncoding, width)
    assert(output.bytes.byteLength === rowCount * stride, `a pass gave ${output.bytes.byteLength} bytes for ${rowCount} rows of ${stride}`)
    const rows: LoggedRow[] = []
    for (let row = 0; row < rowCount; row++)
      rows.push({
        kind,
        wanted: row >= firstWanted,
        bytes: output.bytes.subarray(row * stride, (row + 1) * stride),
        named: namedPart(part.named, resultCount, Math.max(0, row - firstWanted), row - firstWanted + 1),
      })
    return rows
  }
  assert(output.kind === 'candidates', `a pass gave ${output.kind}`)
  assert(output.positions.length === resultCount, `${output.positions.length} results of ${resultCount}`)
  const topK = output.positions[0]?.ids.length ?? 0
  const stride = candidateBytes(topK)
  const payload = encodeCandidates(output.positions, topK)
  const logits = encodeNamed(output.positions) ?? null
  const rows: LoggedRow[] = []
  for (let result = -firstWanted; result < resultCount; result++)
    rows.push({
      kind,
      wanted: result >= 0,
      bytes: payload.subarray(Math.max(0, result) * stride, Math.max(0, result + 1) * stride),
      named: namedPart(logits, resultCount, Math.max(0, result), result + 1),
    })
  return rows
}

export interface Rows {
  readonly epoch: number
  readonly firstPosition: number
  readonly rows: readonly LoggedRow[]
}

/** Frames for the next stage, in order. */
export function rowsFrames(grant: Grant, { epoch, firstPosition, rows }: Rows): RowsFrame[] {
  return cut(rows, (a, b) => a.kind === b.kind).map((part) => {
    const { first, end, resultCount } = part
    const frame: RowsFrame = {
      type: 'rows',
      sessionId: grant.sessionId,
      epoch,
      firstPosition: firstPosition + first,
      rowCount: end - first,
      kind: rows[first]?.kind ?? 'prompt',
      resultCount,
      encoding: grant.rowEncoding,
      payload: joined(rows, part),
    }
    return withNamed(frame, rows, part)
  })
}

/** Frames for the driver, in order: the rows that nobody asked for go with the first of those that were. */
export function resultsFrames(grant: Grant, { epoch, firstPosition, rows }: Rows): ResultsFrame[] {
  return cut(rows, () => true).map((part) => {
    const { first, end, resultCount } = part
    const frame: ResultsFrame = {
      type: 'results',
      sessionId: grant.sessionId,
      epoch,
      firstPosition: firstPosition + first,
      rowCount: end - first,
      resultCount,
      topK: resultCount === 0 ? 0 : topKOf(rows[end - 1]?.bytes.byteLength ?? 0),
      payload: joined(rows, part),
    }
    return withNamed(frame, rows, part)
  })
}

/** The part's frame with what its rows say of named tokens. */
function withNamed<F extends RowsFrame | ResultsFrame>(frame: F, rows: readonly LoggedRow[], { end, resultCount }: Part): F {
  // The wanted come last, and name as many each.
  if (resultCount === 0 || rows[end - 1]?.named == null) return frame
  return { ...frame, named: concatBytes(rows.slice(end - resultCount, end).flatMap(({ named }) => named ?? [])) }
}

/** Of what `resultCount` results name, what [first, end) of them do. */
export function namedPart(named: Uint8Array | null, resultCount: number, first: number, end: number): Uint8Array | null {
  if (named === null || first >= end) return null
  const stride = named.byteLength / resultCount
  return named.subarray(first * stride, end * stride)
}

interface Part {
  readonly first: number
  readonly end: number
  readonly resultCount: number
}

/** Parts that fit a frame each: of alike rows, of which the last ones are wanted. */
function cut(rows: readonly LoggedRow[], alike: (a: LoggedRow, b: LoggedRow) => boolean): Part[] {
  const parts: Part[] = []
  let [first, bytes, resultCount] = [0, 0, 0]
  for (const [index, row] of rows.entries()) {
    const before = rows[index - 1]
    const rowBytes = row.bytes.byteLength + (row.named?.byteLength ?? 0)
    const tooMuch = index - first === ROWS_MAX || bytes + rowBytes > PAYLOAD_BYTES_MAX
    if (before !== undefined && index > first && (tooMuch || !alike(before, row) || !mayFollow(before, row))) {
      parts.push({ first, end: index, resultCount })
      first = index
      bytes = 0
      resultCount = 0
    }
    bytes += rowBytes
    if (row.wanted) resultCount++
  }
  if (rows.length > 0) parts.push({ first, end: rows.length, resultCount })
  return parts
}

/** Those that are wanted come last, and name as many tokens each. */
function mayFollow(before: LoggedRow, row: LoggedRow): boolean {
  return !before.wanted || (row.wanted && before.named?.byteLength === row.named?.byteLength)
}

/** The bytes of a part's rows one after the other: a view where they lie so already, as those of one pass do. */
function joined(rows: readonly LoggedRow[], { first, end: after }: Part): Uint8Array {
  const only = rows[first]
  if (after - first === 1 && only !== undefined) return only.bytes
  const parts = rows.slice(first, after).flatMap(({ bytes }) => (bytes.byteLength > 0 ? [bytes] : []))
  const [start] = parts
  if (start === undefined) return new Uint8Array(0)
  let end = start.byteOffset
  for (const { buffer, byteOffset, byteLength } of parts) {
    if (buffer !== start.buffer || byteOffset !== end) return concatBytes(parts)
    end += byteLength
  }
  return new Uint8Array(start.buffer, start.byteOffset, end - start.byteOffset)
}

/** How many rows of [first, end) are among the last `resultCount` of the part. */
export function wantedOf(part: { readonly rowCount: number; readonly resultCount: number }, first: number, end: number): number {
  return Math.max(0, end - Math.max(first, part.rowCount - part.resultCount))
}
