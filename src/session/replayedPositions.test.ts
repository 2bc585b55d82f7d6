import { describe, expect, it } from 'vitest'
import type { PeerId } from '../shared/index.ts'
import { replayedPositions } from './replayedPositions.ts'

const span = (peer: string, firstLayer: number, endLayer: number, positions: number) => ({
  peerId: peer as PeerId,
  firstLayer,
  endLayer,
  positions,
})

/** Three stages in the middle of a prompt: 200 positions sent, of which the first has computed 128 and the second 64. */
const before = { sent: 200, stages: [span('a', 0, 10, 128), span('b', 10, 20, 64), span('c', 20, 30, 0)] }

describe('positions that a repair sends again', () => {
  it.each([
    ['from the driver, where the first stage is replaced', [span('d', 0, 10, 0), span('b', 10, 20, 64), span('c', 20, 30, 0)], 200],
    [
      'as many as the stage before had computed, whatever had come back',
      [span('a', 0, 10, 200), span('d', 10, 20, 0), span('c', 20, 30, 64)],
      128,
    ],
    ['to the last stage too', [span('a', 0, 10, 200), span('b', 10, 20, 64), span('d', 20, 30, 0)], 64],
    ['to somebody new who has been sent some meanwhile', [span('a', 0, 10, 200), span('d', 10, 20, 128), span('c', 20, 30, 64)], 128],
    ['the most of them, where several are replaced', [span('d', 0, 10, 0), span('e', 10, 20, 0), span('c', 20, 30, 64)], 200],
    ['to whoever takes other layers than before', [span('a', 0, 15, 0), span('c', 15, 30, 0)], 200],
    ['none where all have kept what they had', [span('a', 0, 10, 200), span('b', 10, 20, 128), span('c', 20, 30, 64)], 0],
  ])('%s', (_, repaired, positions) => {
    expect(replayedPositions(before, repaired)).toBe(positions)
  })
})
