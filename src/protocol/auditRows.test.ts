/** Rows of an audit as bytes: what is written is read again, and nothing else is. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AuditRow, type AuditRows, type AuditShape, auditBytesMax, decodeAuditRows, encodeAuditRows } from './auditRows.ts'

const rowBytes = fc.integer({ min: 0, max: 12 })
const rowsOf = (bytes: number, given: fc.Arbitrary<boolean>): fc.Arbitrary<AuditRow[]> =>
  fc.array(
    fc
      .record({ kind: fc.constantFrom('prompt' as const, 'decode' as const), given })
      .chain((row) =>
        fc
          .uint8Array({ minLength: row.given ? bytes : 0, maxLength: row.given ? bytes : 0 })
          .map((content) => ({ ...row, bytes: content })),
      ),
    { maxLength: 9 },
  )
const table = (given: fc.Arbitrary<boolean>) => rowBytes.chain((bytes) => rowsOf(bytes, given).map((rows) => ({ rowBytes: bytes, rows })))
const anyRows: fc.Arbitrary<AuditRows> = fc.record({ input: table(fc.constant(true)), output: table(fc.boolean()) })

const shapeOf = ({ input, output }: AuditRows): AuditShape => ({
  input: { rowCount: input.rows.length, rowBytes: input.rowBytes },
  output: { rowCount: output.rows.length, rowBytes: output.rowBytes },
})

describe('rows of an audit', () => {
  it('[V20] what is written is read again, in no more bytes than the shape allows', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const bytes = encodeAuditRows(rows)
        expect(bytes.byteLength).toBeLessThanOrEqual(auditBytesMax(shapeOf(rows)))
        expect(decodeAuditRows(bytes, shapeOf(rows))).toEqual({ ok: true, value: rows })
      }),
    )
  })

  it('[V20] another shape is refused: other counts, other sizes, a missing input row', () => {
    const rows: AuditRows = {
      input: { rowBytes: 2, rows: [{ kind: 'prompt', given: true, bytes: Uint8Array.of(1, 2) }] },
      output: { rowBytes: 1, rows: [{ kind: 'prompt', given: true, bytes: Uint8Array.of(3) }] },
    }
    const bytes = encodeAuditRows(rows)
    const shape = shapeOf(rows)
    expect(decodeAuditRows(bytes, shape).ok).toBe(true)
    expect(decodeAuditRows(bytes, { ...shape, input: { rowCount: 2, rowBytes: 2 } }).ok).toBe(false)
    expect(decodeAuditRows(bytes, { ...shape, output: { rowCount: 1, rowBytes: 2 } }).ok).toBe(false)
    const missing = { ...rows, input: { rowBytes: 2, rows: [{ kind: 'prompt' as const, given: false, bytes: new Uint8Array(0) }] } }
    expect(decodeAuditRows(encodeAuditRows(missing), shape)).toEqual({ ok: false, error: 'input: a row is missing' })
  })

  it('[V20] any bytes are decoded or refused, and what is decoded is written as it was', () => {
    fc.assert(
      fc.property(anyRows, fc.nat(), fc.nat(255), fc.integer({ min: -3, max: 3 }), (rows, at, value, longer) => {
        const whole = encodeAuditRows(rows)
        const bytes = new Uint8Array(Math.max(0, whole.byteLength + longer))
        bytes.set(whole.subarray(0, bytes.byteLength))
        if (bytes.byteLength > 0) bytes[at % bytes.byteLength] = value
        const decoded = decodeAuditRows(bytes, shapeOf(rows))
        if (decoded.ok) expect(encodeAuditRows(decoded.value)).toEqual(bytes)
      }),
      { numRuns: 2_000 },
    )
  })
})
