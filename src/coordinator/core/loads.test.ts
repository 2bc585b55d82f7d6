/** When a load is late: by silence, and by the rate of what is told. */

import { expect, it } from 'vitest'
import { LOAD_BYTES_PER_SECOND } from './limits.ts'
import { hear, isLate, type Load, newLoad } from './loads.ts'

/** Others have it in 20 s and 20 more. */
const BYTES = 20 * LOAD_BYTES_PER_SECOND
const LATE_MS = 80_000

/** Told every second, from the first on: what part there is after each. */
function told(seconds: number, progressAt: (second: number) => number): Load {
  const load = newLoad(0)
  for (let second = 1; second <= seconds; second++) hear(load, progressAt(second), 1_000 * second)
  return load
}

it('nothing is told: twice as long as others take', () => {
  expect(isLate(newLoad(0), BYTES, LATE_MS)).toBe(false)
  expect(isLate(newLoad(0), BYTES, LATE_MS + 1)).toBe(true)
  expect(isLate(newLoad(0), 0, LATE_MS / 2 + 1)).toBe(true)
})

it.each([
  { seconds: 90, late: false },
  { seconds: 95, late: true },
  { seconds: 1_800, late: true },
])('at a rate that takes $seconds s: $late', ({ seconds, late }) => {
  const atRate = (second: number) => second / seconds
  expect(isLate(told(10, atRate), BYTES, 10_000), 'too soon to tell').toBe(false)
  expect(isLate(told(12, atRate), BYTES, 12_000)).toBe(late)
})

it('counts from its first bytes: kernels may be compiled for a minute before', () => {
  const load = told(80, (second) => Math.max(0, (second - 60) / 60))
  expect(isLate(load, BYTES, 80_000)).toBe(false)
})

it('is late where it stands still, however far it has come', () => {
  const load = told(20, (second) => Math.min(0.9, second / 20))
  expect(isLate(load, BYTES, 20_000)).toBe(false)
  expect(isLate(load, BYTES, 18_000 + LATE_MS + 1)).toBe(true)
})

it('news is a fortieth more than ever before, or the end', () => {
  const load = newLoad(0)
  for (const [progress, atMs, heardMs] of [
    [0.02, 1, 0],
    [0.025, 2, 2],
    [0.04, 3, 2],
    [0, 4, 2],
    [0.049, 5, 2],
    [0.99, 6, 6],
    [1, 7, 7],
    [1, 8, 7],
  ] as const) {
    hear(load, progress, atMs)
    expect(load).toMatchObject({ progress, heardMs })
  }
})
