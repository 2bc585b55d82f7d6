import { describe, expect, it } from 'vitest'
import { LapTimes } from './lapTimes.ts'

const lap = (lapMs: number, rowCount = 1) => ({ kind: 'decoded', rowCount, lapMs }) as const

describe('LapTimes', () => {
  it('[C31] tells how many laps of one row there were, and their median', () => {
    const laps = new LapTimes()
    expect(laps.report()).toBeNull()
    for (const lapMs of [9, 1, 8, 2, 7, 3, 6, 4]) laps.handle(lap(lapMs))
    laps.handle(lap(0.5, 3))
    laps.handle({ kind: 'prompt', done: 5, total: 5 })
    expect(laps.report()).toEqual({ count: 8, medianMs: 4 })
  })

  it('[C31] forgets those over an earlier chain', () => {
    const laps = new LapTimes()
    laps.handle(lap(1))
    laps.handle({ kind: 'repair', repair: { phase: 'opened', replayedPositions: 0 } })
    expect(laps.report()).toBeNull()
    laps.handle(lap(5))
    expect(laps.report()).toEqual({ count: 1, medianMs: 5 })
  })

  it('keeps the latest 256', () => {
    const laps = new LapTimes()
    for (let lapMs = 0; lapMs < 1_000; lapMs++) laps.handle(lap(lapMs))
    expect(laps.report()).toEqual({ count: 256, medianMs: 744 + 127 })
  })
})
