import { describe, expect, it } from 'vitest'
import { chooseExperts } from './feedForward.ts'

describe('chooseExperts', () => {
  it('takes the best of the softmax, scaled to a sum of 1', () => {
    const scores = Float32Array.of(0.5, 2, -1, 1.25)
    const powers = [...scores].map(Math.exp)
    const total = powers.reduce((sum, power) => sum + power, 0)
    const probabilities = powers.map((power) => power / total)
    const chosen = chooseExperts(scores, 2)
    expect(chosen.map(({ expert }) => expert)).toEqual([1, 3])
    const sum = (probabilities[1] ?? 0) + (probabilities[3] ?? 0)
    expect(chosen[0]?.share).toBeCloseTo((probabilities[1] ?? 0) / sum, 12)
    expect((chosen[0]?.share ?? 0) + (chosen[1]?.share ?? 0)).toBeCloseTo(1, 12)
  })

  it('gives equal scores to the lower index', () => {
    expect(chooseExperts(Float32Array.of(1, 3, 3, 3, 1), 2).map(({ expert }) => expert)).toEqual([1, 2])
    expect(chooseExperts(new Float32Array(5), 3)).toEqual([0, 1, 2].map((expert) => ({ expert, share: 1 / 3 })))
  })

  it('stays finite for scores beyond the reach of exp, and hands NaN on', () => {
    expect(chooseExperts(Float32Array.of(1e30, -1e30, 0), 2)).toEqual([
      { expert: 0, share: 1 },
      { expert: 2, share: 0 },
    ])
    expect(chooseExperts(Float32Array.of(Number.NaN, 1), 1)[0]?.share).toBeNaN()
  })
})
