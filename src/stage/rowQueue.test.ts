import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RowsFrame } from '../protocol/index.ts'
import type { SessionId } from '../shared/index.ts'
import { RowQueue } from './rowQueue.ts'

function frame(firstPosition: number, rowCount: number): RowsFrame {
  const ids = Uint32Array.from({ length: rowCount }, (_, row) => firstPosition + row)
  const common = { sessionId: '1'.repeat(32) as SessionId, epoch: 0, kind: 'decode', resultCount: 1, encoding: 'tokens' } as const
  return { type: 'rows', ...common, firstPosition, rowCount, payload: new Uint8Array(ids.buffer) }
}

const step = fc.oneof(
  fc.record({ push: fc.integer({ min: 1, max: 6 }), dropped: fc.nat(3) }),
  fc.integer({ min: 1, max: 5 }).map((take) => ({ take })),
  fc.nat(12).map((truncate) => ({ truncate })),
)

describe('RowQueue', () => {
  it('gives rows in order, each once, but for those that were truncated', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const queue = new RowQueue()
        let first = 0
        let waiting: number[] = []
        for (const next of steps) {
          if ('push' in next) {
            const position = first + waiting.length
            const rowCount = Math.max(1, next.push - next.dropped)
            queue.push(frame(position, next.push), rowCount)
            waiting = [...waiting, ...Array.from({ length: rowCount }, (_, row) => position + row)]
          } else if ('truncate' in next) {
            expect(queue.truncate(next.truncate)).toBe(Math.max(0, waiting.length - next.truncate))
            waiting = waiting.slice(0, next.truncate)
          } else if (waiting.length > 0) {
            const taken = queue.take(next.take)
            const ids = taken.input.kind === 'tokens' ? [...taken.input.ids] : []
            expect(ids).toEqual(waiting.slice(0, taken.rowCount))
            expect(taken.firstPosition).toBe(waiting[0])
            waiting = waiting.slice(taken.rowCount)
            first += taken.rowCount
          }
          expect(queue.rowCount).toBe(waiting.length)
          expect(queue.nextKind === null).toBe(waiting.length === 0)
        }
      }),
    )
  })
})
