import { describe, expect, it } from 'vitest'
import { blockSize, dequantize } from '../../model/index.ts'
import { fits, formatType, randomWeights, suiteFormats, weightBytes } from './formats.ts'

describe('randomWeights', () => {
  for (const format of suiteFormats) {
    it(`${format}: whole blocks of finite values of moderate size, not all the same`, () => {
      const bytes = randomWeights(format, 8, 256, 7)
      expect(bytes.byteLength).toBe(weightBytes(format, 8, 256))
      const values = dequantize(formatType(format), bytes)
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      expect(values.length).toBe(8 * 256)
      expect(values.every(Number.isFinite)).toBe(true)
      expect(largest).toBeGreaterThan(0.01)
      expect(largest).toBeLessThan(300)
      expect(new Set(values).size).toBeGreaterThan(8)
      expect(randomWeights(format, 8, 256, 7)).toEqual(bytes)
      expect(randomWeights(format, 8, 256, 8)).not.toEqual(bytes)
    })
  }

  it('q4_1: every minimum is a whole multiple of its scale, up to 15 times', () => {
    const values = dequantize('Q4_1', randomWeights('q4_1', 64, 256, 3))
    for (let block = 0; block < values.length; block += 32) {
      const steps = Array.from(values.subarray(block, block + 32))
      const distinct = [...new Set(steps)].sort((a, b) => a - b)
      const scale = Math.min(...distinct.slice(1).map((value, index) => value - (distinct[index] ?? 0)))
      for (const value of steps) expect(Math.abs(value / scale - Math.round(value / scale))).toBeLessThan(1e-6)
    }
  })
})

describe('fits', () => {
  it('asks for whole blocks, and for fours where a block is one value', () => {
    for (const format of suiteFormats) {
      const block = Math.max(4, blockSize(formatType(format)))
      expect(fits(format, 2 * block)).toBe(true)
      expect(fits(format, 2 * block + 2)).toBe(false)
    }
  })
})
