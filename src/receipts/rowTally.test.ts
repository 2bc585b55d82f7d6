import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowBudget } from './rowBudget.ts'
import { type CountedRow, RowTally } from './rowTally.ts'

const row = fc.record({ kind: fc.constantFrom('prompt' as const, 'decode' as const), wanted: fc.boolean() })
const step = fc.oneof(
  { weight: 4, arbitrary: row.map((passing) => ({ passing })) },
  row.map((dropped) => ({ dropped })),
  fc.nat(20).map((truncateTo) => ({ truncateTo })),
)

function counted(rows: readonly CountedRow[]) {
  const of = (kind: CountedRow['kind']) => rows.filter((one) => one.kind === kind).length
  return { prompt: of('prompt'), decode: of('decode'), results: rows.filter(({ wanted }) => wanted).length }
}

describe('RowTally', () => {
  it('[V8] counts what ever passed, without what stands behind the cut', () => {
    fc.assert(
      fc.property(fc.nat(10), fc.array(step, { maxLength: 40 }), (began, steps) => {
        const budget = new RowBudget()
        const tally = new RowTally(began, budget)
        let first = began
        const passed: CountedRow[] = []
        const standing: CountedRow[] = []
        for (const next of steps) {
          if ('passing' in next) {
            tally.pass(next.passing)
            passed.push(next.passing)
            standing.push(next.passing)
          } else if ('dropped' in next) {
            tally.count(next.dropped)
            passed.push(next.dropped)
          } else {
            tally.truncate(next.truncateTo)
            standing.splice(Math.max(0, next.truncateTo - first))
            first = Math.min(first, next.truncateTo)
          }
        }
        expect([tally.firstPosition, tally.endPosition]).toEqual([first, first + standing.length])
        for (let end = 0; end <= first + standing.length + 1; end++) {
          const [all, behind] = [counted(passed), counted(standing.slice(Math.max(0, end - first)))]
          expect(tally.countsAt(end)).toEqual({
            prompt: all.prompt - behind.prompt,
            decode: all.decode - behind.decode,
            results: all.results - behind.results,
          })
        }
        tally.drop()
        expect(budget.positionBytes).toBe(0)
      }),
    )
  })
})
