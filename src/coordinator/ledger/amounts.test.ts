import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatCredits, parseCredits } from '../../shared/index.ts'
import { largestRemainder } from './amounts.ts'

describe('amounts', () => {
  it('parts by largest remainder add up, and none is a micro-credit off its exact share', () => {
    const weights = fc
      .array(fc.bigInt({ min: 0n, max: 10n ** 20n }), { minLength: 1, maxLength: 12 })
      .filter((list) => list.some((one) => one > 0n))
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), weights, (total, list) => {
        const parts = largestRemainder(total, list)
        const sum = list.reduce((a, b) => a + b, 0n)
        expect(parts.reduce((a, b) => a + b, 0n)).toBe(total)
        parts.forEach((part, index) => {
          const off = part * sum - total * (list[index] ?? 0n)
          expect(-sum < off && off < sum).toBe(true)
        })
      }),
    )
  })

  it('what is left over goes to the largest remainders, ties to the earlier', () => {
    expect(largestRemainder(100n, [1n, 1n, 1n])).toEqual([34n, 33n, 33n])
    expect(largestRemainder(10n, [82n, 10n, 8n])).toEqual([8n, 1n, 1n])
  })

  it('credits are exact decimals, there and back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 17n }), (amount) => void expect(parseCredits(formatCredits(amount))).toBe(amount)),
    )
    expect(formatCredits(-12_500_000n)).toBe('-12.5')
    for (const text of ['', '0', '-1', '1.1234567', '1e3', '١']) expect(parseCredits(text)).toBeNull()
  })
})
