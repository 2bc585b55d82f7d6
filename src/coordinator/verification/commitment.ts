/** Whether rows that a challenged stage hands over are those that its receipt committed to. Rule V7 of SPEC.md. */

import { EMPTY_HASH, type LinkTally, type RowKind, rowHashInput } from '../../protocol/index.ts'
import { fromHex, type Sha256, toHex } from '../../shared/index.ts'

export interface HandedRow {
  readonly kind: RowKind
  readonly bytes: Uint8Array
}

/** `rows` of the tally's positions, first … end. */
export async function isCommitted(rows: readonly HandedRow[], tally: LinkTally, sha256: Sha256): Promise<boolean> {
  if (rows.length !== tally.endPosition - tally.firstPosition) return false
  let hash: Uint8Array = fromHex(EMPTY_HASH)
  for (const [index, { kind, bytes }] of rows.entries()) hash = await sha256(rowHashInput(hash, tally.firstPosition + index, kind, bytes))
  return toHex(hash) === tally.hash
}
