import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ROWS_MAX, WINDOW_ROWS } from './limits.ts'
import { ReceiveWindow } from './receiveWindow.ts'

describe('ReceiveWindow', () => {
  it('[W1][W3] takes rows up to the announced number and not one more', () => {
    const window = new ReceiveWindow()
    expect(window.rows).toBe(WINDOW_ROWS)
    expect(window.receive(WINDOW_ROWS)).toBe(true)
    expect(window.receive(1)).toBe(false)
  })

  it('[W2][W5] never falls, and a sender that waits always has room for the largest frame', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: ROWS_MAX }), { maxLength: 100 }), (frames) => {
        const window = new ReceiveWindow()
        let announced = window.rows
        let sent = 0
        for (const rowCount of frames) {
          expect(announced - sent).toBeGreaterThanOrEqual(ROWS_MAX)
          sent += rowCount
          expect(window.receive(rowCount)).toBe(true)
          const raised = window.consume(rowCount)
          if (raised !== null) {
            expect(raised).toBeGreaterThan(announced)
            announced = raised
          }
        }
      }),
    )
  })
})
