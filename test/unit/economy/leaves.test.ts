/** A stage that leaves in mid-session: whether it had said so is what it costs. */

import { expect, it } from 'vitest'
import type { AuditDesk } from '../../../src/coordinator/economy/index.ts'
import { VERIFICATION_DEFAULTS } from '../../../src/coordinator/verification/index.ts'
import { NO_AUDITS } from '../../support/noAudits.ts'
import { grantOf, peerOf, Ring } from '../verification/ring.ts'
import { fundedWorld } from './fundedWorld.ts'
import type { EconomyWorld } from './world.ts'

const STAGES = ['a', 'b', 'c']
const TRUSTED = VERIFICATION_DEFAULTS.newcomerResults
const AUDITED_BY_D: AuditDesk = {
  ...NO_AUDITS,
  candidates: () => [{ peerId: peerOf('d'), kind: 'loaded' }],
  handle(effect, tell) {
    if (effect.kind === 'challenge') tell({ kind: 'answered', claimId: effect.claimId, committed: true })
    if (effect.kind === 'audit') tell({ kind: 'audited', claimId: effect.claimId, distance: 0, between: null })
  },
}

/** A session that `b` leaves and `x` goes on with. */
async function sessionWithoutB(made: EconomyWorld, announced: boolean): Promise<void> {
  const grant = await made.open('driver', STAGES)
  const before = new Ring(grant).submit('prompt', 30).flow().submit('decode', 10).flow()
  const finals = before.finals()
  // Who says that it leaves signs as it goes; who is lost signs no more.
  await made.sign(announced ? finals : finals.filter(({ peerId }) => peerId !== peerOf('b')))
  const { sessionId, driver, maxPositions } = grant
  const next = grantOf(STAGES.with(1, 'x'), { sessionId, driver, maxPositions, revision: 1 })
  made.economy.session({ kind: 'repaired', grant: next, left: [{ peerId: peerOf('b'), announced }] })
  await made.sign(new Ring(next, before).flow().submit('decode', 10).flow().finals())
  made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
  await made.wait(16_000)
}

async function trustedWorld(): Promise<EconomyWorld> {
  const made = await fundedWorld({ audits: AUDITED_BY_D })
  await made.join(['d', 'x'])
  for (let session = 0; session < TRUSTED; session++) await made.session('driver', STAGES)
  await made.wait(2_000)
  expect(standingOf(made)).toMatchObject({ validInARow: TRUSTED, failures: 0 })
  return made
}

const standingOf = (made: EconomyWorld) => made.messages('account', 'b').at(-1)?.standing

it('an announced leave costs no trust, however often', async () => {
  const made = await trustedWorld()
  for (let leave = 0; leave < 4; leave++) await sessionWithoutB(made, true)
  await made.wait(2_000)
  expect(standingOf(made)?.validInARow).toBeGreaterThanOrEqual(TRUSTED)
  expect(made.store.trusted.get(await made.account('b'))?.strikesMs).toEqual([])
  // What it had computed before it left is paid.
  const paid = made.store.events.flatMap(({ command }) => (command.kind === 'settle' ? command.stages : []))
  expect(paid.slice(-4).map(({ account }) => account)).toContain(await made.account('b'))
})

it('two that were not announced, within a day, begin the row of audits anew', async () => {
  const made = await trustedWorld()
  await sessionWithoutB(made, false)
  await made.wait(2_000)
  expect(standingOf(made)?.validInARow).toBeGreaterThanOrEqual(TRUSTED)
  await sessionWithoutB(made, false)
  await made.wait(2_000)
  expect(standingOf(made)).toMatchObject({ validInARow: 0, failures: 0 })
})
