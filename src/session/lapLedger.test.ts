import { describe, expect, it } from 'vitest'
import type { ResultsFrame } from '../protocol/index.ts'
import type { SessionId } from '../shared/index.ts'
import { LapLedger } from './lapLedger.ts'

const answer = (epoch: number, firstPosition: number, rowCount: number): ResultsFrame => ({
  type: 'results',
  sessionId: '0123456789abcdef0123456789abcdef' as SessionId,
  epoch,
  firstPosition,
  rowCount,
  resultCount: 0,
  topK: 0,
  payload: new Uint8Array(0),
})
const lap = (firstPosition: number, rowCount: number) =>
  ({ firstPosition, ids: new Uint32Array(rowCount), kind: 'decode', resultCount: 0 }) as const

describe('a ledger of laps', () => {
  it('[S13] knows who has not computed rows that took the place of others, whatever late laps say', () => {
    const ledger = new LapLedger({ vocabularySize: 10, topK: 4, stageCount: 3 })
    ledger.submit(lap(0, 6))
    for (const stage of [0, 1]) ledger.heard(stage, 0, 6)
    expect(ledger.accept(answer(0, 0, 6))).toMatchObject({ ok: true })
    const epoch = ledger.truncate(2)
    ledger.submit(lap(2, 2))
    ledger.heard(0, epoch, 4)
    // Of the rows that were taken back.
    ledger.heard(1, 0, 6)
    expect(ledger.slowestStage()).toBe(1)
    ledger.heard(1, epoch, 4)
    expect(ledger.slowestStage()).toBe(2)
  })

  it('[R9] knows who has not computed what is owed in a repaired chain, in which most have it from before', () => {
    const ledger = new LapLedger({ vocabularySize: 10, topK: 4, stageCount: 3 })
    ledger.submit(lap(0, 6))
    ledger.restart(3)
    for (const [stage, nextPosition] of [6, 0, 4].entries()) ledger.opened(stage, nextPosition)
    expect(ledger.slowestStage()).toBe(1)
    expect(ledger.heard(1, 0, 6)).toBe(true)
    expect(ledger.slowestStage()).toBe(2)
    // Rows that waited there when the chain was opened: whoever computes them gets on.
    expect(ledger.heard(0, 0, 6)).toBe(true)
    ledger.restart(3)
    expect(ledger.slowestStage()).toBe(0)
  })

  it('[R9] knows who only says the same again', () => {
    const ledger = new LapLedger({ vocabularySize: 10, topK: 4, stageCount: 2 })
    ledger.submit(lap(0, 6))
    expect(ledger.heard(0, 0, 4)).toBe(true)
    for (const [epoch, end] of [
      [0, 4],
      [0, 2],
      [1, 6],
    ] as const)
      expect(ledger.heard(0, epoch, end)).toBe(false)
    expect(ledger.heard(0, 0, 100)).toBe(true)
    expect(ledger.heard(0, 0, 200)).toBe(false)
  })
})
