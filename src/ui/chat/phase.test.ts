import { describe, expect, it } from 'vitest'
import type { AskProgress } from '../../peer/index.ts'
import { fakeStage } from '../testing/fakeRuntime.ts'
import { phaseInWords } from './phase.ts'

const base: AskProgress = {
  sessionId: null,
  phase: 'queued',
  ahead: null,
  promptDone: 32,
  promptTokens: 62,
  text: '',
  completionTokens: 5,
  route: [],
  firstLink: null,
  lastLapMs: null,
  repairs: [],
}

describe('phases in words', () => {
  it('says each phase, and counts what is known', () => {
    const route = [fakeStage('a', 0, 10), fakeStage('b', 10, 20), fakeStage('c', 20, 30)]
    expect(phaseInWords(null)).toBe('Sending')
    expect(phaseInWords(base)).toBe('Waiting for a place')
    expect(phaseInWords({ ...base, ahead: 0 })).toBe('Waiting for a place, next in line')
    expect(phaseInWords({ ...base, ahead: 1 })).toBe('Waiting for a place, 1 question before yours')
    expect(phaseInWords({ ...base, phase: 'connecting' })).toBe('Connecting')
    expect(phaseInWords({ ...base, phase: 'connecting', route })).toBe('Connecting to 3 tabs')
    expect(phaseInWords({ ...base, phase: 'reading' })).toBe('Reading your prompt, 32 of 62 tokens')
    expect(phaseInWords({ ...base, phase: 'answering' })).toBe('Answering, 5 tokens')
    expect(phaseInWords({ ...base, phase: 'answering', lastLapMs: 42.4 })).toBe('Answering, 5 tokens, 42 ms a lap')
  })

  it('says that a lost tab is being replaced, and what that takes, until it is', () => {
    const lost = {
      stageIndexes: [1],
      reason: 'stage-lost',
      message: 'gone',
      positions: 84,
      replayedPositions: null,
      completionTokens: 5,
      lostMs: 1,
    }
    const under = { ...lost, grantedMs: 2, openedMs: null, doneMs: null }
    const progress = { ...base, phase: 'answering' as const }
    expect(phaseInWords({ ...progress, repairs: [under] })).toBe('Repairing: a tab was lost, others compute 84 positions again')
    expect(phaseInWords({ ...progress, repairs: [{ ...under, openedMs: 3, replayedPositions: 90 }] })).toMatch(
      /compute 90 positions again$/,
    )
    expect(phaseInWords({ ...progress, repairs: [{ ...under, openedMs: 3, doneMs: 4 }] })).toBe('Answering, 5 tokens')
    expect(phaseInWords({ ...progress, repairs: [{ ...under, reason: 'draining' }] })).toMatch(/^Handing over/)
  })
})
