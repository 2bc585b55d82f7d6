/** Who hears of audits: the driver of the session, and whoever listens in the coordinator's process, once there is a verdict. */

import { expect, it } from 'vitest'
import type { AuditDesk, StageAudit } from '../../../src/coordinator/economy/index.ts'
import type { SessionId } from '../../../src/shared/index.ts'
import { NO_AUDITS } from '../../support/noAudits.ts'
import { peerOf } from '../verification/ring.ts'
import { fundedWorld } from './fundedWorld.ts'

/** Whatever is to be audited the peer `d` computes again, and finds right, after `e` has refused. */
const AUDITED_BY_D: AuditDesk = {
  ...NO_AUDITS,
  candidates: () => [
    { peerId: peerOf('e'), kind: 'loaded' },
    { peerId: peerOf('d'), kind: 'spare' },
  ],
  handle(effect, tell) {
    if (effect.kind === 'challenge') tell({ kind: 'answered', claimId: effect.claimId, committed: true })
    if (effect.kind !== 'audit') return
    const isE = 'peerId' in effect.auditor && effect.auditor.peerId === peerOf('e')
    if (isE) tell({ kind: 'auditor-lost', claimId: effect.claimId })
    else tell({ kind: 'audited', claimId: effect.claimId, distance: 0, between: null })
  },
}

it('[V27] the driver is told who computed which stage again, in the order in which they were asked, and so is who listens', async () => {
  const made = await fundedWorld({ audits: AUDITED_BY_D })
  await made.join(['d', 'e'])
  const heard: (StageAudit & { readonly sessionId: SessionId })[] = []
  const stop = made.economy.onAudited((sessionId, audit) => heard.push({ ...audit, sessionId }))
  const { sessionId } = await made.session('driver', ['a', 'b', 'c'])
  const auditors = [
    { kind: 'loaded', peerId: peerOf('e') },
    { kind: 'spare', peerId: peerOf('d') },
  ]
  const expected = ['a', 'b', 'c'].map((name, index) => ({
    sessionId,
    peerId: peerOf(name),
    span: { firstLayer: 10 * index, endLayer: 10 * index + 10 },
    auditors,
    verdict: 'valid',
  }))
  expect(heard).toEqual(expected)
  expect(made.messages('audited', 'driver')).toEqual(expected.map((audit) => ({ type: 'audited', ...audit })))
  // Nobody else is told who audited.
  expect(made.messages('audited')).toHaveLength(3)
  stop()
  await made.session('driver', ['a', 'b', 'c'])
  expect(heard).toHaveLength(3)
})

it('[V27] a result that nobody could audit is told as such, with nobody who audited it', async () => {
  const made = await fundedWorld()
  await made.session('driver', ['a', 'b', 'c'])
  expect(made.messages('audited', 'driver')).toMatchObject(Array(3).fill({ auditors: [], verdict: 'undecided' }))
})
