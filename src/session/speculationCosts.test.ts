import { describe, expect, it } from 'vitest'
import { LapCosts } from './speculationCosts.ts'

function timesOf(laps: readonly (readonly [rowCount: number, lapMs: number])[]): LapCosts {
  const times = new LapCosts()
  for (const [rowCount, lapMs] of laps) times.observe(rowCount, lapMs)
  return times
}

const plain = (count: number, lapMs: number) => Array.from({ length: count }, () => [1, lapMs] as const)

describe('LapCosts', () => {
  it('says nothing before three laps of one row, then their median', () => {
    expect(timesOf(plain(2, 10)).oneRowMs).toBeNull()
    expect(
      timesOf([
        [1, 10],
        [1, 900],
        [1, 12],
      ]).oneRowMs,
    ).toBe(12)
  })

  it('says nothing of a clock that stands still', () => {
    expect(timesOf(plain(5, 0)).oneRowMs).toBeNull()
  })

  it('learns what rows cost, from long laps more than from short ones', () => {
    // 16 rows at 40 ms: 0.2 laps a row; one lap of two rows says 2.
    const times = timesOf([...plain(3, 10), [16, 40], [2, 30]])
    expect(times.lapsOf(1)).toBe(1)
    expect(times.lapsOf(16)).toBeCloseTo(4)
    expect(times.lapsOf(6)).toBeCloseTo(2)
  })

  it('does not believe one short lap against what is usual', () => {
    const before = timesOf(plain(3, 10)).lapsOf(2)
    expect(timesOf([...plain(3, 10), [2, 500]]).lapsOf(2)).toBe(before)
    expect(timesOf([...plain(3, 10), [2, 500], [4, 500], [4, 500]]).lapsOf(2)).toBeGreaterThan(1.9)
  })

  it('never takes rows for cheaper than free, nor for dearer than laps of their own', () => {
    expect(timesOf([...plain(3, 10), [9, 5]]).lapsOf(9)).toBe(1)
    expect(timesOf([...plain(3, 10), [9, 900]]).lapsOf(9)).toBe(9)
  })

  it('forgets what rows took long ago, but not what they took in all', () => {
    const unknown = timesOf(plain(3, 10))
    const free = [...plain(3, 10), [9, 10] as const]
    expect(timesOf([...free, ...plain(31, 10)]).lapsOf(9)).toBe(1)
    const later = timesOf([...free, ...plain(32, 10)])
    expect(later.lapsOf(9)).toBe(unknown.lapsOf(9))
    expect(later.paidRowLaps).toBe(0)
    expect(unknown.paidRowLaps).toBeGreaterThan(0)
  })
})
