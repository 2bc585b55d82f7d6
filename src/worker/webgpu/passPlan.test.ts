import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Segment } from '../engine.ts'
import { PROMPT_ROWS } from './memory.ts'
import { planHeadGroups, planRuns } from './passPlan.ts'

const whole = { firstLayer: 0, endLayer: 4 }
const half = { firstLayer: 0, endLayer: 2 }

function segment(slot: number, kind: 'prompt' | 'decode', rowCount: number, resultCount: number): Segment {
  return {
    slot,
    kind,
    firstPosition: 0,
    input: { kind: 'tokens', ids: new Uint32Array(rowCount) },
    output: { kind: 'candidates', resultCount, topK: 1 },
  }
}

const batches = fc.array(
  fc.record({
    kind: fc.constantFrom('prompt', 'decode'),
    rows: fc.integer({ min: 1, max: 300 }),
    results: fc.nat(300),
    whole: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
)

describe('planRuns', () => {
  it('puts every row into one run of its kind and span, in order, within the bounds', () => {
    fc.assert(
      fc.property(batches, (list) => {
        const segments = list.map(({ kind, rows, results }, slot) =>
          segment(slot, kind as 'prompt' | 'decode', rows, Math.min(rows, results)),
        )
        const spans = list.map((each) => (each.whole ? whole : half))
        const next = segments.map(() => 0)
        for (const run of planRuns(segments, spans)) {
          expect(run.rowCount).toBeLessThanOrEqual(run.kind === 'decode' ? 8 : PROMPT_ROWS)
          let runRow = 0
          for (const piece of run.pieces) {
            expect(segments[piece.segmentIndex]?.kind).toBe(run.kind)
            expect(spans[piece.segmentIndex]).toEqual(run.span)
            expect([piece.segmentRow, piece.runRow]).toEqual([next[piece.segmentIndex], runRow])
            next[piece.segmentIndex] = piece.segmentRow + piece.rowCount
            runRow += piece.rowCount
          }
          expect(runRow).toBe(run.rowCount)
        }
        expect(next).toEqual(list.map(({ rows }) => rows))
      }),
    )
  })

  it('asks the head for the last results of each segment, in groups of 8', () => {
    fc.assert(
      fc.property(batches, (list) => {
        const segments = list.map(({ kind, rows, results }, slot) =>
          segment(slot, kind as 'prompt' | 'decode', rows, Math.min(rows, results)),
        )
        const spans = segments.map(() => whole)
        const found = segments.map((): number[] => [])
        for (const run of planRuns(segments, spans)) {
          for (const group of planHeadGroups(run, segments)) {
            expect(group.length).toBeLessThanOrEqual(8)
            for (const row of group) {
              const piece = run.pieces.find((each) => row.runRow >= each.runRow && row.runRow < each.runRow + each.rowCount)
              expect(piece?.segmentIndex).toBe(row.segmentIndex)
              found[row.segmentIndex]?.push(row.resultIndex)
            }
          }
        }
        expect(found).toEqual(list.map(({ rows, results }) => Array.from({ length: Math.min(rows, results) }, (_, index) => index)))
      }),
    )
  })
})
