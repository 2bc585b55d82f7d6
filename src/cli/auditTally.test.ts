/** What `audit` counts: by hand, of a few effects. */

import { describe, expect, it } from 'vitest'
import type { VerificationEffect } from '../coordinator/verification/index.ts'
import type { PeerId, SessionId } from '../shared/index.ts'
import { AuditTally } from './auditTally.ts'

const [cheat, honest, auditor] = ['cheat', 'honest', 'auditor'] as PeerId[] as [PeerId, PeerId, PeerId]
const session = 'session' as SessionId

function tallyOf(...effects: readonly object[]): AuditTally {
  const tally = new AuditTally()
  for (const effect of effects) tally.take(effect as VerificationEffect, (peerId) => `account of ${peerId}`)
  return tally
}

const rows = { prompt: 30, decode: 10, results: 10 }
const settle = {
  kind: 'settle',
  sessionId: session,
  claims: [cheat, honest].map((peerId) => ({ claimId: peerId, peerId, lines: [{ peerId, firstLayer: 0, endLayer: 5, rows }] })),
}
const challenge = { kind: 'challenge', claimId: cheat, peerId: cheat, firstLayer: 0, endLayer: 5, firstPosition: 0, endPosition: 40 }
const audit = { kind: 'audit', claimId: cheat, auditor: { kind: 'loaded', peerId: auditor, holder: 'account of auditor' }, against: null }
const failed = { kind: 'verdict', claimId: cheat, peerId: cheat, verdict: 'failed', reason: 'two auditors agree' }
const lost = (holder: string) => ({ kind: 'trust', holder, record: { failures: 1 } })

describe('what audit counts', () => {
  it('audits by kind, and their rows and layers beside those of sessions', () => {
    const tally = tallyOf(settle, challenge, audit, audit)
    expect([tally.audits, tally.auditsByKind.loaded, tally.open]).toEqual([2, 2, 1])
    expect(tally.extraComputePercent).toBe(100)
  })

  it('whose trust was lost and why, also that of an auditor, and who else was blamed', () => {
    const found = tallyOf(settle, challenge, audit, failed, lost('account of cheat'))
    expect([found.failuresOf(cheat), found.failuresOfOthers([cheat]), found.reasonOf(cheat), found.open]).toEqual([
      1,
      0,
      'two auditors agree',
      0,
    ])
    const blamed = tallyOf(settle, lost('account of honest'))
    expect([blamed.failuresOf(cheat), blamed.failuresOfOthers([cheat]), blamed.reasonOf(cheat)]).toEqual([0, 1, null])
    const odd = tallyOf(challenge, audit, lost('account of auditor'))
    expect(odd.reasonOf(auditor)).toBe('as an auditor it was contradicted by two others')
  })
})
