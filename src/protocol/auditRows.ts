/**
 * AuditRows: what travels over HTTP when a result is audited: a stage's logged rows to the coordinator, their input to an auditor, and the auditor's
 * output back. One format for all three, of a size that both ends know before. Rule V20 of SPEC.md.
 *
 *   u32 magic ‖ table of the input ‖ table of the output
 *   table: u32 row count ‖ u32 bytes of a row ‖ a byte a row: kind (1 prompt, 2 decode) + 4 where it is given ‖ the given rows' bytes
 */

import { assert, err, ok, type Result } from '../shared/index.ts'
import { candidateBytes } from './candidates.ts'
import { type RowEncoding, type RowKind, rowBytes } from './rows.ts'

export interface AuditRow {
  readonly kind: RowKind
  /** Its bytes are here; in a table whose rows have none: they are asked for. */
  readonly given: boolean
  /** As they travelled; none where it is not given. */
  readonly bytes: Uint8Array
}

export interface AuditTable {
  /** Of each row that is given. */
  readonly rowBytes: number
  readonly rows: readonly AuditRow[]
}

export interface AuditRows {
  /** Of consecutive positions. */
  readonly input: AuditTable
  readonly output: AuditTable
}

/** What a table must be like: positions, and bytes of a row. */
export interface TableShape {
  readonly rowCount: number
  readonly rowBytes: number
}

export interface AuditShape {
  readonly input: TableShape
  readonly output: TableShape
}

/** Layers of a model, as far as their rows' sizes follow from them. */
export interface AuditedSpan {
  readonly firstLayer: number
  readonly endLayer: number
  readonly layerCount: number
  readonly width: number
  readonly vocabularySize: number
  readonly rowEncoding: RowEncoding
  readonly topK: number
}

/** Token ids into the first layer and candidates out of the last; rows of activations else. */
export function auditRowBytes(span: AuditedSpan): { readonly input: number; readonly output: number } {
  const activations = rowBytes(span.rowEncoding, span.width)
  const results = candidateBytes(Math.min(span.topK, span.vocabularySize))
  return { input: span.firstLayer === 0 ? 4 : activations, output: span.endLayer === span.layerCount ? results : activations }
}

/** In place of a table that does not travel. */
export const NO_ROWS_SHAPE: TableShape = { rowCount: 0, rowBytes: 0 }
export const NO_AUDIT_ROWS: AuditTable = { rowBytes: 0, rows: [] }

/** "TSA1". */
const MAGIC = 0x31415354
const TABLE_HEADER_BYTES = 8
const PROMPT = 1
const DECODE = 2
const GIVEN = 4

/** The most that rows of that shape may have: all of them given. */
export function auditBytesMax({ input, output }: AuditShape): number {
  return 4 + tableBytes(input, input.rowCount) + tableBytes(output, output.rowCount)
}

export function encodeAuditRows({ input, output }: AuditRows): Uint8Array<ArrayBuffer> {
  const sizes = [input, output].map((table) =>
    tableBytes({ rowCount: table.rows.length, rowBytes: table.rowBytes }, table.rows.filter(({ given }) => given).length),
  )
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 4))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  const end = writeTable(bytes, view, 4, input)
  writeTable(bytes, view, end, output)
  return bytes
}

/** Views of `bytes`. An error names what is not of the expected shape; `output` rows may be missing, `input` rows are all given. */
export function decodeAuditRows(bytes: Uint8Array, shape: AuditShape): Result<AuditRows, string> {
  if (bytes.byteLength < 4) return err(`${bytes.byteLength} bytes are no rows of an audit`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== MAGIC) return err('these are no rows of an audit')
  const input = readTable(bytes, view, 4, shape.input)
  if (!input.ok) return err(`input: ${input.error}`)
  if (input.value.table.rows.some(({ given }) => !given)) return err('input: a row is missing')
  const output = readTable(bytes, view, input.value.end, shape.output)
  if (!output.ok) return err(`output: ${output.error}`)
  if (output.value.end !== bytes.byteLength) return err(`${bytes.byteLength - output.value.end} bytes too many`)
  return ok({ input: input.value.table, output: output.value.table })
}

function tableBytes({ rowCount, rowBytes }: TableShape, given: number): number {
  return TABLE_HEADER_BYTES + rowCount + given * rowBytes
}

function writeTable(bytes: Uint8Array, view: DataView, start: number, { rowBytes, rows }: AuditTable): number {
  view.setUint32(start, rows.length, true)
  view.setUint32(start + 4, rowBytes, true)
  let at = start + TABLE_HEADER_BYTES + rows.length
  for (const [index, row] of rows.entries()) {
    bytes[start + TABLE_HEADER_BYTES + index] = (row.kind === 'prompt' ? PROMPT : DECODE) + (row.given ? GIVEN : 0)
    if (!row.given) continue
    assert(row.bytes.byteLength === rowBytes, `a row of ${row.bytes.byteLength} bytes among those of ${rowBytes}`)
    bytes.set(row.bytes, at)
    at += rowBytes
  }
  return at
}

function readTable(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  shape: TableShape,
): Result<{ readonly table: AuditTable; readonly end: number }, string> {
  const flagsAt = start + TABLE_HEADER_BYTES
  if (flagsAt + shape.rowCount > bytes.byteLength) return err('it breaks off')
  const [rowCount, rowBytes] = [view.getUint32(start, true), view.getUint32(start + 4, true)]
  if (rowCount !== shape.rowCount || rowBytes !== shape.rowBytes)
    return err(`${rowCount} rows of ${rowBytes} bytes; expected ${shape.rowCount} of ${shape.rowBytes}`)
  let at = flagsAt + rowCount
  const rows: AuditRow[] = []
  for (let index = 0; index < rowCount; index++) {
    const flags = bytes[flagsAt + index] ?? 0
    const given = (flags & GIVEN) !== 0
    const kind = flags & ~GIVEN
    if (kind !== PROMPT && kind !== DECODE) return err(`row ${index} is of kind ${kind}`)
    const end = at + (given ? rowBytes : 0)
    if (end > bytes.byteLength) return err('it breaks off')
    rows.push({ kind: kind === PROMPT ? 'prompt' : 'decode', given, bytes: bytes.subarray(at, end) })
    at = end
  }
  return ok({ table: { rowBytes, rows }, end: at })
}
