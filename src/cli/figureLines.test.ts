import { describe, expect, it } from 'vitest'
import { figureLines } from './figureLines.ts'

describe('figureLines', () => {
  it('names every figure, also of a group in which some are not known', () => {
    expect(figureLines({ peers: 12, repairs: { count: 0, median: null, p95: null }, refused: {}, throughput: null })).toEqual([
      'peers             12',
      'repairs           count 0, median –, p95 –',
      'refused           –',
      'throughput        –',
    ])
  })

  it('names a group above the lines of what is in it', () => {
    expect(figureLines({ broken: { kind: 'cover', trace: ['one', 'two'], at: { layer: 3 } } })).toEqual([
      'broken',
      '  kind              cover',
      '  trace             one; two',
      '  at                layer 3',
    ])
  })
})
