import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { median, normalizedError, pairedRatios, quantile, quartiles } from './statistics.ts'

const times = fc.array(fc.double({ min: 1e-3, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 })

describe('quantile', () => {
  it('takes the middle of an odd count, and between the two middles of an even one', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(quartiles([1, 2, 3, 4, 5])).toEqual([2, 4])
  })

  it('lies within the values, rises with p, and leaves its input as it was', () => {
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), (values, p) => {
        const before = [...values]
        const value = quantile(values, p)
        expect(value).toBeGreaterThanOrEqual(Math.min(...values))
        expect(value).toBeLessThanOrEqual(Math.max(...values))
        expect(quantile(values, p / 2)).toBeLessThanOrEqual(value)
        expect(values).toEqual(before)
      }),
    )
  })

  it('asserts on nothing to take it of', () => {
    expect(() => median([])).toThrow('of 0 values')
  })
})

describe('pairedRatios', () => {
  it('are theirs over ours, pair by pair: what slows a whole pair changes nothing', () => {
    const ratios = pairedRatios([1, 10, 1], [2, 20, 3])
    expect(ratios).toEqual([2, 2, 3])
    expect(median(ratios)).toBe(2)
  })

  it('asserts on samples that are no pairs', () => {
    expect(() => pairedRatios([1], [])).toThrow('1 and 0 samples')
  })
})

describe('normalizedError', () => {
  it('is the squared error over the power', () => {
    expect(normalizedError([1, 3], [1, 2])).toBeCloseTo(1 / 5)
    expect(normalizedError([0], [0])).toBe(0)
  })

  it('is NaN for a NaN anywhere, which no bound admits', () => {
    expect(normalizedError([Number.NaN, 1], [1, 1])).toBeNaN()
    expect(normalizedError([0, 1], [0, 1]) <= 1e-10).toBe(true)
  })
})
