import { describe, expect, it } from 'vitest'
import type { SessionId } from '../shared/index.ts'
import { candidateBytes, decodeCandidates, encodeCandidates, encodeNamed, type PositionCandidates } from './candidates.ts'
import type { ResultsFrame } from './frames.ts'

const row = (ids: number[], logits: number[], logSumExp = 12.5) => ({
  logSumExp,
  ids: Uint32Array.from(ids),
  logits: Float32Array.from(logits),
})

function frameOf(rows: ReturnType<typeof row>[], topK: number): ResultsFrame {
  return {
    type: 'results',
    sessionId: '00'.repeat(16) as SessionId,
    epoch: 0,
    firstPosition: 10,
    rowCount: 5,
    resultCount: rows.length,
    topK,
    payload: encodeCandidates(rows, topK),
  }
}

describe('candidates', () => {
  it('[F8] come back with the positions of the last rows of the lap', () => {
    const frame = frameOf([row([7, 3], [4, 2]), row([1, 2], [1.5, 1.5], -3)], 2)
    expect(frame.payload.byteLength).toBe(2 * candidateBytes(2))
    expect(decodeCandidates(frame, 8)).toEqual({
      ok: true,
      value: [
        { position: 13, ...row([7, 3], [4, 2]) },
        { position: 14, ...row([1, 2], [1.5, 1.5], -3) },
      ],
    })
    expect(decodeCandidates(frameOf([], 0), 8)).toEqual({ ok: true, value: [] })
  })

  it.each([
    ['an id outside the vocabulary', row([8, 1], [2, 1]), /not in the vocabulary/],
    ['a rising logit', row([1, 2], [1, 2]), /out of order/],
    ['a tie with the higher id first', row([2, 1], [1, 1]), /out of order/],
    ['an id that comes twice', row([1, 1], [2, 1]), /twice/],
    ['a NaN logit', row([1, 2], [2, Number.NaN]), /is NaN/],
    ['an infinite logit', row([1, 2], [Number.POSITIVE_INFINITY, 1]), /is Infinity/],
    ['a NaN logsumexp', row([1, 2], [2, 1], Number.NaN), /logSumExp is NaN/],
  ])('[F15] are refused with %s', (_, bad, message) => {
    const result = decodeCandidates(frameOf([row([0, 1], [1, 0]), bad], 2), 8)
    expect(result).toEqual({ ok: false, error: expect.stringMatching(message) })
  })

  const naming = (ids: number[], logits: number[]) => ({ named: { ids: Uint32Array.from(ids), logits: Float32Array.from(logits) } })
  function decodeNamed(rows: (ReturnType<typeof row> & Pick<PositionCandidates, 'named'>)[]) {
    const named = encodeNamed(rows)
    return decodeCandidates({ ...frameOf(rows, 2), ...(named !== undefined && { named }) }, 8)
  }

  it('[F22] come with the logits of the tokens that their rows named', () => {
    const rows = [
      { ...row([7, 3], [4, 2]), ...naming([7, 5], [4, 2]) },
      { ...row([1, 2], [1.5, 1.5]), ...naming([0, 0], [-8, -8]) },
    ]
    expect(decodeNamed(rows)).toMatchObject({ ok: true, value: rows })
  })

  it.each([
    ['is not in the vocabulary', naming([8], [1]), /not in the vocabulary/],
    ['has no number', naming([5], [Number.NaN]), /is NaN/],
    ['has another logit than among the candidates', naming([3], [2.5]), /contradicts/],
    ['would be among the candidates', naming([5], [3]), /contradicts/],
    ['would be among the candidates by its id', naming([2], [2]), /contradicts/],
  ])('[F22] are refused where a named token %s', (_, named, message) => {
    expect(decodeNamed([{ ...row([7, 3], [4, 2]), ...named }])).toEqual({ ok: false, error: expect.stringMatching(message) })
  })
})
