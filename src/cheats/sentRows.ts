/** What a segment sends, row by row, so that a cheat can put others in their place. All logits at once are no swarm's: they stay as they are. */

import { decodeRows, encodeRows, type RowEncoding, rowBytes } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'
import type { Candidates, Segment, SegmentOutput } from '../worker/engine.ts'

/** One position's: activations as they go over the wire, or candidates. */
export type SentRow =
  | { readonly kind: 'row'; readonly encoding: RowEncoding; readonly bytes: Uint8Array }
  | { readonly kind: 'candidates'; readonly candidates: Candidates }

export function inputRowCount({ input }: Segment): number {
  return input.kind === 'tokens' ? input.ids.length : input.rowCount
}

/** Position of the first row that is sent: candidates are those of the last rows. */
export function firstSentPosition(segment: Segment): number {
  const { output, firstPosition } = segment
  return output.kind === 'rows' ? firstPosition : firstPosition + inputRowCount(segment) - output.resultCount
}

export function takeApart({ output: asked }: Segment, output: SegmentOutput, width: number): SentRow[] {
  if (output.kind === 'candidates') return output.positions.map((candidates) => ({ kind: 'candidates', candidates }))
  assert(output.kind === 'rows' && asked.kind === 'rows', `rows of a segment that asked for ${asked.kind}, and got ${output.kind}`)
  return rowsOf(asked.encoding, output.bytes, width)
}

/** `rows` are alike: as `takeApart` gave them, or others of the same form. */
export function putTogether(rows: readonly SentRow[]): SegmentOutput {
  const positions = rows.flatMap((row) => (row.kind === 'candidates' ? [row.candidates] : []))
  if (positions.length === rows.length) return { kind: 'candidates', positions }
  const parts = rows.flatMap((row) => (row.kind === 'row' ? [row.bytes] : []))
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return { kind: 'rows', bytes }
}

/** `row` as if it were that of `position` and of the form of `like`; null where it can't be. */
export function disguised(row: SentRow, position: number, like: SentRow, width: number): SentRow | null {
  if (row.kind === 'row') return like.kind === 'row' ? reencoded(row, like.encoding, width) : null
  if (like.kind !== 'candidates' || row.candidates.ids.length !== like.candidates.ids.length) return null
  return { kind: 'candidates', candidates: { ...row.candidates, position } }
}

/** The row that came in, as if it were the one that goes out; null of token ids, and where candidates are wanted. */
export function passedOn({ input, output }: Segment, index: number, width: number): SentRow | null {
  if (input.kind !== 'rows' || output.kind !== 'rows') return null
  const stride = rowBytes(input.encoding, width)
  const bytes = input.bytes.subarray(index * stride, (index + 1) * stride)
  return reencoded({ encoding: input.encoding, bytes: bytes.slice() }, output.encoding, width)
}

function reencoded(
  { encoding, bytes }: { readonly encoding: RowEncoding; readonly bytes: Uint8Array },
  to: RowEncoding,
  width: number,
): SentRow {
  return { kind: 'row', encoding: to, bytes: encoding === to ? bytes : encodeRows(to, decodeRows(encoding, bytes, width), width) }
}

function rowsOf(encoding: RowEncoding, bytes: Uint8Array, width: number): SentRow[] {
  const stride = rowBytes(encoding, width)
  return Array.from({ length: bytes.byteLength / stride }, (_, row) => ({
    kind: 'row',
    encoding,
    bytes: bytes.slice(row * stride, (row + 1) * stride),
  }))
}
