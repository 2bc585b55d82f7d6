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
  /** What those name, as in their frame: token ids [resultCount, n]. */
  readonly named?: Uint8Array
}

/**
 * One row for each of `part`, views of what the pass gave: activations, or the candidates of the last `resultCount` and no bytes for
 * the others. `output` must be what the segment of `part` asked for: an engine that gives anything else is broken, which asserts.
 */
export function outputRows(grant: Grant, width: number, part: PassRows, output: SegmentOutput): LoggedRow[] {
  const { kind, rowCount, resultCount } = part
  const firstWanted = rowCount - resultCount
  const named = (bytes: Uint8Array | undefined, result: number) => (result < 0 ? {} : namedPart(bytes, resultCount, result, result + 1))
  if (output.kind === 'rows') {
    const stride = rowBytes(grant.rowEncoding, width)
    assert(output.bytes.byteLength === rowCount * stride, `a pass gave ${output.bytes.byteLength} bytes for ${rowCount} rows of ${stride}`)
    const rows: LoggedRow[] = []
    for (let row = 0; row < rowCount; row++)
      rows.push({
        kind,
        wanted: row >= firstWanted,
        bytes: output.bytes.subarray(row * stride, (row + 1) * stride),
        ...named(part.named, row - firstWanted),
      })
    return rows
  }
  assert(output.kind === 'candidates', `a pass gave ${output.kind}`)
  assert(output.positions.length === resultCount, `${output.positions.length} results of ${resultCount}`)
  const topK = output.positions[0]?.ids.length ?? 0
  const stride = candidateBytes(topK)
  const payload = encodeCandidates(output.positions, topK)
  const logits = encodeNamed(output.positions)
  const rows: LoggedRow[] = []
  for (let result = -firstWanted; result < resultCount; result++)
    rows.push({
      kind,
      wanted: result >= 0,
      bytes: payload.subarray(Math.max(0, result) * stride, Math.max(0, result + 1) * stride),
      ...named(logits, result),
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
  return cut(rows, (a, b) => a.kind === b.kind).map(({ first, end, resultCount }) => ({
    type: 'rows',
    sessionId: grant.sessionId,
    epoch,
    firstPosition: firstPosition + first,
    rowCount: end - first,
    kind: rows[first]?.kind ?? 'prompt',
    resultCount,
    encoding: grant.rowEncoding,
    payload: joined(rows.slice(first, end)),
    ...namedOf(rows.slice(first, end)),
  }))
}

/** Frames for the driver, in order: the rows that nobody asked for go with the first of those that were. */
export function resultsFrames(grant: Grant, { epoch, firstPosition, rows }: Rows): ResultsFrame[] {
  return cut(rows, () => true).map(({ first, end, resultCount }) => ({
    type: 'results',
    sessionId: grant.sessionId,
    epoch,
    firstPosition: firstPosition + first,
    rowCount: end - first,
    resultCount,
    topK: resultCount === 0 ? 0 : topKOf(rows[end - 1]?.bytes.byteLength ?? 0),
    payload: joined(rows.slice(first, end)),
    ...namedOf(rows.slice(first, end)),
  }))
}

/** What the frame of these rows says of named tokens. */
function namedOf(rows: readonly LoggedRow[]): Pick<RowsFrame, 'named'> {
  const named = rows.flatMap((row) => row.named ?? [])
  return named.length === 0 ? {} : { named: concatBytes(named) }
}

/** Of what `resultCount` results name, what [first, end) of them do. */
export function namedPart(named: Uint8Array | undefined, resultCount: number, first: number, end: number): Pick<RowsFrame, 'named'> {
  if (named === undefined || first >= end) return {}
  const stride = named.byteLength / resultCount
  return { named: named.subarray(first * stride, end * stride) }
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

/** The rows' bytes one after the other: a view where they lie so already, as those of one pass do. */
function joined(rows: readonly LoggedRow[]): Uint8Array {
  if (rows.length === 1 && rows[0] !== undefined) return rows[0].bytes
  const parts = rows.map(({ bytes }) => bytes).filter(({ byteLength }) => byteLength > 0)
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
