import { MantineProvider } from '@mantine/core'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import { RatioBars, scaleOf } from './ratioBars.tsx'

describe('ratio bars', () => {
  it('makes twice as fast and half as fast equally long', () => {
    const scale = scaleOf([
      { ratio: 4, quartiles: null },
      { ratio: 0.25, quartiles: null },
    ])
    expect(scale(4)).toBe(1)
    expect(scale(0.25)).toBe(0)
    expect(scale(2) - scale(1)).toBeCloseTo(scale(1) - scale(0.5), 9)
  })

  it('keeps the line at 1 × in sight where all are faster, and quartiles inside', () => {
    const scale = scaleOf([{ ratio: 30, quartiles: [20, 40] }])
    expect(scale(1)).toBeGreaterThan(0)
    expect(scale(40)).toBe(1)
  })

  it('says each figure as text', () => {
    const bars = <RatioBars label="against" ratios={[{ id: 'a', label: 'Mat-vec q4_1', ratio: 2.134, quartiles: [2, 2.2] }]} />
    expect(renderToStaticMarkup(<MantineProvider>{bars}</MantineProvider>)).toMatch(/Mat-vec q4_1.*2\.13 ×/)
  })
})
