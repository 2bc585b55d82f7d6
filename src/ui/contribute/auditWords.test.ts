import { describe, expect, it } from 'vitest'
import type { AuditVerdict } from '../../peer/index.ts'
import type { SessionId } from '../../shared/index.ts'
import { alarmOf, describeStanding, describeVerdict } from './auditWords.ts'

const verdict = (changed: Partial<AuditVerdict> = {}): AuditVerdict => ({
  atMs: 0,
  sessionId: '5'.repeat(32) as SessionId,
  role: 'stage',
  span: { firstLayer: 0, endLayer: 15 },
  verdict: 'valid',
  reason: 'an auditor agrees',
  ...changed,
})
const standing = (validInARow: number, failures = 0) => ({ validInARow, failures, trustedFrom: 10 })

describe('how an account stands', () => {
  it('says what a newcomer waits for, and that a trusted one is audited now and then', () => {
    expect(describeStanding(standing(9))).toContain('Until 10 have passed in a row, every answer')
    expect(describeStanding(standing(10))).toContain('is trusted')
    expect(describeStanding(standing(10))).not.toContain('Until')
  })

  it('warns once something was found wrong', () => {
    expect(describeStanding(standing(3))).not.toContain('shut')
    expect(describeStanding(standing(3, 1))).toContain('1 result of it was found wrong; one more may shut it out')
    expect(describeStanding(standing(30, 1))).toContain('is trusted')
  })
})

describe('a verdict', () => {
  it('says of which layers, or of what else, and how it ended', () => {
    expect(describeVerdict(verdict())).toBe('layers 1–15: passed')
    expect(describeVerdict(verdict({ verdict: 'unanswered' }))).toContain('not answered in time, and not paid')
    expect(describeVerdict(verdict({ role: 'auditor', verdict: 'failed' }))).toBe('layers 1–15, computed for an audit: found wrong')
    expect(describeVerdict(verdict({ role: 'driver', span: null, verdict: 'failed' }))).toContain('as the asker: found wrong')
  })
})

describe('an alarm', () => {
  const failed = verdict({ verdict: 'failed', reason: 'two auditors agree with each other' })

  it('is raised by a failure alone, and says why, what follows and what to do', () => {
    expect(alarmOf([verdict(), verdict({ verdict: 'unanswered' }), verdict({ verdict: 'undecided' })], standing(3))).toBeNull()
    const alarm = alarmOf([failed, verdict()], standing(1, 1))
    expect(alarm?.title).toBe('An audit found this tab’s work wrong')
    const text = alarm?.lines.join(' ')
    for (const part of ['layers 1–15', 'two auditors agree', 'pays nothing', 'in escrow went back', 'A second time', 'update its driver'])
      expect(text).toContain(part)
  })

  it('ends when the account is trusted again', () => {
    expect(alarmOf([failed], standing(9, 1))).not.toBeNull()
    expect(alarmOf([failed], standing(10, 1))).toBeNull()
  })

  it('tells an auditor and an asker what it was for them', () => {
    expect(alarmOf([{ ...failed, role: 'auditor' }], standing(0, 1))?.title).toContain('computed an audit wrong')
    const asker = alarmOf([{ ...failed, role: 'driver', span: null }], standing(0, 1))
    expect(asker?.title).toContain('signed')
    expect(asker?.lines.join(' ')).not.toContain('driver')
  })
})
