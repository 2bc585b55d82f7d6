import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Truncations } from './truncations.ts'

describe('Truncations', () => {
  it('keeps of each epoch what no later truncation has forgotten', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 20 }), (lengths) => {
        const truncations = new Truncations(0, 100)
        for (const [index, length] of lengths.entries()) expect(truncations.add(index + 1, length)).toBe(true)
        expect(truncations.epoch).toBe(lengths.length)
        expect(truncations.length).toBe(Math.min(100, ...lengths))
        for (let epoch = 0; epoch <= lengths.length; epoch++) {
          expect(truncations.lengthSince(epoch)).toBe(Math.min(Number.POSITIVE_INFINITY, ...lengths.slice(epoch)))
        }
      }),
    )
  })

  it('takes none twice, and tells after an open only what came since', () => {
    const truncations = new Truncations(3, 50)
    expect(truncations.add(3, 10)).toBe(false)
    expect(truncations.add(4, 20)).toBe(true)
    expect(truncations.add(2, 5)).toBe(false)
    expect(truncations.length).toBe(20)
    truncations.reopen(40)
    expect(truncations.length).toBe(40)
    expect(() => truncations.lengthSince(5)).toThrow()
  })
})
