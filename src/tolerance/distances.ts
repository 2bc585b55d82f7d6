/** How far two engines' rows of the same spans are apart, by the comparison that audits use: row by row, and of an audit's slice the worst row. */

import { candidatesDistance, rowsDistance } from '../coordinator/verification/index.ts'
import type { Span } from '../model/index.ts'
import { decodeRows, rowBytes } from '../protocol/index.ts'
import { assert, required } from '../shared/index.ts'
import type { RecordedSession } from './recording.ts'
import type { Outputs, SpanOutput } from './replay.ts'

export interface Places {
  readonly spans: readonly Span[]
  /** Of rows of activations. */
  readonly width: number
  /** Consecutive rows that one audit compares; what is left at a session's end belongs to the last one. */
  readonly sliceRows: number
}

/** One span of one session at two engines. */
export interface Compared {
  /** Index of the session. */
  readonly session: number
  /** Index of the span. */
  readonly span: number
  readonly encoding: RecordedSession['encoding']
  /** Of each row. */
  readonly rows: readonly number[]
  /** Rows whose bytes are equal. */
  readonly equalRows: number
  /** Of each slice the worst row's. */
  readonly slices: readonly number[]
}

/** Of the sessions that both have computed. */
export function compareOutputs(
  { spans, width, sliceRows }: Places,
  sessions: readonly RecordedSession[],
  one: Outputs,
  other: Outputs,
): Compared[] {
  return [...one].flatMap(([session, outputs]) => {
    const others = other.get(session)
    if (others === undefined) return []
    const { encoding } = required(sessions[session], `session ${session}`)
    return spans.map((_, span): Compared => {
      const own = required(outputs[span], `span ${span} of session ${session}`)
      const rows = rowDistances(own, required(others[span], `span ${span} of session ${session}`), encoding, width)
      return {
        session,
        span,
        encoding,
        rows,
        equalRows: rows.filter((distance) => distance === 0).length,
        slices: slicesOf(rows, sliceRows),
      }
    })
  })
}

function rowDistances(one: SpanOutput, other: SpanOutput, encoding: RecordedSession['encoding'], width: number): number[] {
  if (one.kind === 'candidates' && other.kind === 'candidates') {
    assert(one.positions.length === other.positions.length, `${one.positions.length} results against ${other.positions.length}`)
    return one.positions.map((own, index) => candidatesDistance([own], other.positions.slice(index, index + 1)).worst)
  }
  assert(one.kind === 'rows' && other.kind === 'rows', `${one.kind} against ${other.kind}`)
  assert(one.bytes.byteLength === other.bytes.byteLength, `${one.bytes.byteLength} bytes against ${other.bytes.byteLength}`)
  const [a, b] = [decodeRows(encoding, one.bytes, width), decodeRows(encoding, other.bytes, width)]
  return Array.from({ length: one.bytes.byteLength / rowBytes(encoding, width) }, (_, row) => {
    const [from, end] = [row * width, (row + 1) * width]
    return rowsDistance(a.subarray(from, end), b.subarray(from, end), width).worst
  })
}

function slicesOf(rows: readonly number[], sliceRows: number): number[] {
  const count = Math.max(1, Math.floor(rows.length / sliceRows))
  return Array.from({ length: count }, (_, slice) =>
    Math.max(...rows.slice(slice * sliceRows, slice === count - 1 ? rows.length : (slice + 1) * sliceRows)),
  )
}
