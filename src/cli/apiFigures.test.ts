import { expect, it } from 'vitest'
import { type ApiSample, apiFigures, percentilesOf } from './apiFigures.ts'

const answered = (firstMs: number, tokensPerSecond: number): ApiSample => ({ kind: 'answered', firstMs, tokens: 10, tokensPerSecond })

it('percentiles are values that were measured, by nearest rank, of one value too', () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index)
  expect(percentilesOf(values)).toEqual({ p50: 100, p90: 180, p99: 198 })
  expect(percentilesOf(values, 'falling')).toEqual({ p50: 101, p90: 21, p99: 3 })
  expect(percentilesOf([7.26])).toEqual({ p50: 7.3, p90: 7.3, p99: 7.3 })
  expect(percentilesOf([])).toBeNull()
})

it('figures count what was answered, its tokens over all the time, and errors by their code', () => {
  const failed = ['busy', 'busy', 'cut-off'].map((code): ApiSample => ({ kind: 'failed', code }))
  expect(apiFigures([answered(1, 50), ...failed, answered(3, 100)], 4_000)).toEqual({
    requests: 5,
    answered: 2,
    tokens: 20,
    firstTextMs: { p50: 1, p90: 3, p99: 3 },
    tokensPerSecond: { p50: 100, p90: 50, p99: 50 },
    tokensPerSecondInAll: 5,
    errors: { busy: 2, 'cut-off': 1 },
  })
})

it('there are no times of nothing', () => {
  expect(apiFigures([{ kind: 'failed', code: 'offline' }], 1)).toMatchObject({ answered: 0, firstTextMs: null, tokensPerSecond: null })
})
