import { describe, expect, it } from 'vitest'
import { lastCheckpoint, servedEnd } from './checkpoints.ts'

describe('checkpoints', () => {
  it('[V9] lie at each position that is a multiple of 256', () => {
    expect([0, 255, 256, 257, 511, 512].map(lastCheckpoint)).toEqual([0, 0, 256, 256, 256, 512])
  })

  it('[V10] a stage serves 1,280 positions beyond the last acknowledgement, and no more', () => {
    expect([0, 1].map(servedEnd)).toEqual([1_280, 1_281])
  })
})
