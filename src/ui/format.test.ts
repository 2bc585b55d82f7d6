import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatMs, formatPercent, formatSeconds, formatSpan, formatSpeed } from './format.ts'

describe('formats', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [98_362_432, '98.4 MB'],
    [999_600, '1.0 MB'],
    [2_048_000_000, '2.0 GB'],
  ])('writes %d bytes as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  it('does not say 100 % before the end, nor divides by nothing', () => {
    expect(formatPercent(999, 1000)).toBe('99 %')
    expect(formatPercent(1000, 1000)).toBe('100 %')
    expect(formatPercent(0, 0)).toBe('0 %')
  })

  it('counts layers from one', () => {
    expect(formatSpan({ firstLayer: 0, endLayer: 15 })).toBe('layers 1–15')
    expect(formatSpan({ firstLayer: 29, endLayer: 30 })).toBe('layer 30')
  })

  it('keeps units and plurals', () => {
    expect(formatMs(4.25)).toBe('4.3 ms')
    expect(formatMs(1234)).toBe('1.2 s')
    expect(formatSeconds(0.2)).toBe('1 s')
    expect(formatSeconds(61)).toBe('2 min')
    expect(formatCount(1, 'tab')).toBe('1 tab')
    expect(formatCount(1200, 'tab')).toBe('1,200 tabs')
    expect(formatSpeed(4.2e8)).toBe('0.42 billion multiply-adds a second')
  })
})
