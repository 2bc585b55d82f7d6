import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowBudget } from '../receipts/index.ts'
import { ActivationLog, type LoggedRow } from './activationLog.ts'

const row = fc.record({
  kind: fc.constantFrom('prompt' as const, 'decode' as const),
  wanted: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 20 }),
  named: fc.constant(null),
})
const step = fc.oneof(
  row.map((added) => ({ row: added })),
  fc.nat(20).map((length) => ({ truncateTo: length })),
)

describe('ActivationLog', () => {
  it('holds the rows of exactly what was not truncated, whatever came between', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const budget = new RowBudget()
        const log = new ActivationLog(budget)
        const model: LoggedRow[] = []
        for (const next of steps) {
          if ('row' in next) {
            expect(log.append(next.row)).toEqual(next.row)
            model.push(next.row)
          } else {
            const length = Math.min(next.truncateTo, model.length)
            log.truncate(length)
            model.length = length
          }
        }
        expect(log.length).toBe(model.length)
        expect(log.rows(0, log.length)).toEqual(model)
        expect(budget.bytesUsed).toBe(model.reduce((sum, { bytes }) => sum + bytes.byteLength, 0))
        log.drop()
        expect(budget.bytesUsed).toBe(0)
      }),
    )
  })

  it('keeps no rows beyond the bound, and has no holes', () => {
    const budget = new RowBudget(25)
    const log = new ActivationLog(budget)
    const rows = [10, 10, 10, 5].map((length, index) => ({
      kind: 'decode' as const,
      wanted: true,
      bytes: new Uint8Array(length).fill(index),
      named: null,
    }))
    for (const added of rows) log.append(added)
    expect([log.keptLength, log.length]).toEqual([2, 4])
    expect(log.rows(0, 2)).toEqual(rows.slice(0, 2))
    expect(() => log.rows(0, 3)).toThrow(/kept/)
    expect(budget.bytesUsed).toBe(20)
  })

  it('keeps rows again once truncation has made room', () => {
    const log = new ActivationLog(new RowBudget(20))
    for (let position = 0; position < 3; position++) log.append({ kind: 'decode', wanted: true, bytes: new Uint8Array(10), named: null })
    log.truncate(1)
    log.append({ kind: 'decode', wanted: true, bytes: new Uint8Array(10), named: null })
    expect([log.keptLength, log.length]).toEqual([2, 2])
  })
})
