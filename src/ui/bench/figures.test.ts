import { describe, expect, it } from 'vitest'
import { formatBandwidth, formatError, formatRate, formatRatio, formatShare, formatSpread, formatTime } from './figures.ts'

describe('measured figures', () => {
  it('takes the unit in which three digits suffice', () => {
    expect(formatTime(0.0421)).toBe('42.1 µs')
    expect(formatTime(3.456)).toBe('3.46 ms')
    expect(formatTime(123.4)).toBe('123 ms')
    expect(formatTime(2345)).toBe('2.35 s')
    expect(formatBandwidth(873.4)).toBe('873 GB/s')
    expect(formatBandwidth(3350)).toBe('3.35 TB/s')
    expect(formatRate(0.42)).toBe('0.42 GFLOP/s')
    expect(formatRate(51_234)).toBe('51.2 TFLOP/s')
  })

  it('shows shares as percent, small ones with a digit', () => {
    expect(formatShare(0.623)).toBe('62 %')
    expect(formatShare(0.0042)).toBe('0.4 %')
  })

  it('shows spread as half the distance of the quartiles', () => {
    expect(formatSpread(2, 1.9, 2.1)).toBe('± 5.0 %')
  })

  it('keeps small ratios and errors apart from nothing', () => {
    expect(formatRatio(0.034)).toBe('0.034 ×')
    expect(formatRatio(0.00041)).toBe('0.00041 ×')
    expect(formatRatio(0.0000123)).toBe('1.2e-5 ×')
    expect(formatError(1.23e-7)).toBe('1.2e-7')
    expect(formatError(0)).toBe('0')
  })
})
