/** How far two tables of one stretch are from each other: the worst row decides. Some rows at a time, so that a long audit holds nobody up. */

import {
  type AuditRow,
  type AuditTable,
  decodeCandidates,
  decodeRows,
  type PositionCandidates,
  type RowEncoding,
  topKOf,
} from '../../protocol/index.ts'
import { equalBytes } from '../../shared/index.ts'
import { candidatesDistance, rowsDistance } from '../verification/index.ts'
import { VALUES_AT_ONCE } from './limits.ts'

/** What the rows are. */
export type RowMeaning =
  | { readonly kind: 'rows'; readonly encoding: RowEncoding; readonly width: number }
  | { readonly kind: 'candidates'; readonly vocabularySize: number }

/** Infinite where a row is no row of its kind, or is there on one side alone. `pause` lets others have their turn. */
export async function tableDistance(one: AuditTable, other: AuditTable, meaning: RowMeaning, pause: () => Promise<void>): Promise<number> {
  if (one.rows.length !== other.rows.length) return Number.POSITIVE_INFINITY
  let worst = 0
  const rowsAtOnce = Math.max(1, Math.floor(VALUES_AT_ONCE / (meaning.kind === 'rows' ? meaning.width : topKOf(one.rowBytes))))
  for (const [index, row] of one.rows.entries()) {
    if (index > 0 && index % rowsAtOnce === 0) await pause()
    worst = Math.max(worst, rowDistance(row, other.rows[index], meaning))
  }
  return worst
}

function rowDistance(one: AuditRow, other: AuditRow | undefined, meaning: RowMeaning): number {
  if (one.given !== other?.given) return Number.POSITIVE_INFINITY
  if (equalBytes(one.bytes, other.bytes)) return 0
  if (meaning.kind === 'candidates') {
    const [here, there] = [candidatesOf(one.bytes, meaning.vocabularySize), candidatesOf(other.bytes, meaning.vocabularySize)]
    return here === null || there === null ? Number.POSITIVE_INFINITY : candidatesDistance(here, there).worst
  }
  const { encoding, width } = meaning
  const [here, there] = [valuesOf(encoding, one.bytes, width), valuesOf(encoding, other.bytes, width)]
  return here === null || there === null ? Number.POSITIVE_INFINITY : rowsDistance(here, there, width).worst
}

/** Null: no encoder writes that. */
function valuesOf(encoding: RowEncoding, bytes: Uint8Array, width: number): Float32Array | null {
  try {
    return decodeRows(encoding, bytes, width)
  } catch {
    return null
  }
}

function candidatesOf(payload: Uint8Array, vocabularySize: number): readonly PositionCandidates[] | null {
  const row = { firstPosition: 0, rowCount: 1, resultCount: 1, topK: topKOf(payload.byteLength), payload }
  const decoded = decodeCandidates(row, vocabularySize)
  return decoded.ok ? decoded.value : null
}
