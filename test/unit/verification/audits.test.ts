/** Draws, challenges, verdicts, escrow: each case to its end, and any mixture of them. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AuditorCandidate, chooseAuditor } from '../../../src/coordinator/verification/auditors.ts'
import { VERIFICATION_DEFAULTS } from '../../../src/coordinator/verification/limits.ts'
import { auditProbability, NO_TRUST } from '../../../src/coordinator/verification/trust.ts'
import { AuditWorld, type SessionPlan } from './auditWorld.ts'
import { peerOf, sessionOf } from './ring.ts'

const ALL = ['a', 'b', 'c', 'd', 'e', 'f']
const DAY_MS = 24 * 3_600_000
const world = (options: ConstructorParameters<typeof AuditWorld>[1] = {}) => new AuditWorld(ALL, options)
const repeat = (count: number, step: () => void) => {
  for (let k = 0; k < count; k++) step()
}
/** With so many sessions behind it each of a, b and c is trusted. */
const trusted = (options: ConstructorParameters<typeof AuditWorld>[1] = {}) => {
  const made = world(options)
  repeat(10, () => made.session())
  return made
}

describe('how often results are audited', () => {
  it('every one of a newcomer, then 1 of n, never less than the floor, twice as often when overdue', () => {
    const of = (validInARow: number, sinceAudit = 0) => auditProbability({ ...NO_TRUST, validInARow, sinceAudit }, VERIFICATION_DEFAULTS)
    expect([of(0), of(9), of(10), of(16), of(17), of(1_000)]).toEqual([1, 1, 0.1, 1 / 16, 0.06, 0.06])
    expect([of(1_000, 16), of(1_000, 17), of(9, 17)]).toEqual([0.06, 0.12, 1])
  })

  it('ten valid results release what lay in escrow, and from then on chance decides', () => {
    const made = world()
    repeat(9, () => made.session())
    expect(made.outcome('a')).toEqual(Array(9).fill('open'))
    made.session()
    expect(made.outcome('a')).toEqual(Array(10).fill('release audited'))
    expect(made.verification.isTrusted('a')).toBe(true)
    const challenges = made.all('challenge').length
    repeat(5, () => made.session())
    expect(made.all('challenge').length).toBe(challenges)
    expect(made.outcome('a').slice(10)).toEqual(Array(5).fill('open'))
  })

  it('what no audit decides is released by rule after a day', () => {
    const made = trusted()
    made.session()
    made.wait(DAY_MS - 20_000)
    expect(made.outcome('b').at(-1)).toBe('open')
    made.wait(30_000)
    expect(made.outcome('b').at(-1)).toBe('release rule')
    expect(made.verification.pending).toEqual({ sessions: 0, claims: 0, audits: 0 })
  })

  it('a stage that was not drawn may drop its log at once, one that was drawn once it has answered', () => {
    const made = trusted()
    const before = made.all('release-log').length
    expect(before).toBe(30)
    made.session()
    expect(made.all('release-log').length).toBe(before + 3)
  })
})

describe('verdicts', () => {
  it('a cheat that two auditors confirm loses trust and all that it has in escrow; the honest are paid, both auditors too', () => {
    const made = world()
    repeat(5, () => made.session())
    made.conduct.set('b', 'cheats')
    const paid = made.all('pay-audit').length
    made.session()
    expect(made.verdicts.filter(({ verdict }) => verdict !== 'valid')).toEqual([{ name: 'b', verdict: 'failed' }])
    expect(made.outcome('b')).toEqual(Array(6).fill('refund cheated'))
    expect(made.verification.trustOf('b')).toMatchObject({ validInARow: 0, failures: 1 })
    expect(made.all('pay-audit').length - paid).toBe(4)
    made.conduct.delete('b')
    repeat(4, () => made.session())
    expect(made.outcome('a')).toEqual(Array(10).fill('release audited'))
  })

  it('a second failure bans the key, and nothing of it is audited or paid any more', () => {
    const made = world()
    made.conduct.set('b', 'cheats')
    repeat(3, () => made.session())
    expect(made.all('ban')).toEqual([{ kind: 'ban', holder: 'b' }])
    expect(made.outcome('b')).toEqual(['refund cheated', 'refund cheated', 'refund banned'])
    expect(made.verdicts.filter(({ name }) => name === 'b')).toHaveLength(2)
  })

  it('an auditor that lies is the odd one of three: it loses trust, the audited one nothing', () => {
    const made = world()
    made.conduct.set('e', 'lies-as-auditor')
    repeat(12, () => made.session())
    expect(made.verdicts.every(({ verdict }) => verdict === 'valid')).toBe(true)
    expect(made.verification.trustOf('e').failures).toBe(2)
    // So it is told, of each.
    const span = { firstLayer: 0, endLayer: 10 }
    const contradicted = made.all('contradicted')
    expect(contradicted[0]).toMatchObject({ peerId: peerOf('e'), sessionId: sessionOf('session 0'), span })
    expect(contradicted).toHaveLength(2)
    for (const name of ['a', 'b', 'c']) expect(made.verification.trustOf(name).failures).toBe(0)
  })

  it('an accomplice that agrees with a cheat is the odd one as soon as a third is asked, and the honest auditor is not', () => {
    const made = world()
    made.conduct.set('b', 'cheats')
    made.conduct.set('f', 'accomplice')
    made.session()
    // Chance asks e, then f, then d.
    expect(
      made.all('audit').flatMap(({ auditor, claimId }) => (claimId.endsWith(peerOf('b')) && 'holder' in auditor ? auditor.holder : [])),
    ).toEqual(['e', 'f', 'd'])
    expect(ALL.map((name) => made.verification.trustOf(name).failures)).toEqual([0, 1, 0, 0, 0, 1])
    expect(made.verdicts.find(({ name }) => name === 'b')?.verdict).toBe('failed')
  })

  it('without a third the odd one of stage and two auditors is the one that nobody agrees with', () => {
    const made = new AuditWorld(['a', 'b', 'c', 'd', 'e'])
    made.conduct.set('e', 'lies-as-auditor')
    made.session()
    expect(made.verdicts.every(({ verdict }) => verdict === 'valid')).toBe(true)
    expect(made.verification.trustOf('e').failures).toBeGreaterThan(0)
  })

  it('one auditor alone convicts nobody: without a second the rule decides', () => {
    const made = new AuditWorld(['a', 'b', 'c', 'd'])
    made.conduct.set('d', 'lies-as-auditor')
    made.session()
    expect(made.verdicts.map(({ verdict }) => verdict)).toEqual(['undecided', 'undecided', 'undecided'])
    made.wait(DAY_MS + 20_000)
    expect(made.outcome('a')).toEqual(['release rule'])
    expect(made.all('pay-audit')).toEqual([])
  })

  it('rows that are not those of the receipts are a failure without any auditor', () => {
    const made = world()
    made.conduct.set('b', 'forges')
    made.session()
    expect(made.verdicts.find(({ name }) => name === 'b')).toEqual({ name: 'b', verdict: 'failed' })
    expect(made.outcome('b')).toEqual(['refund cheated'])
  })

  it('an unanswered challenge is an unpaid result; two in a day reset trust, two in three days do not', () => {
    for (const [gapMs, trust] of [
      [0, false],
      [1.5 * DAY_MS, true],
    ] as const) {
      // Everything is drawn, so that it can be left unanswered.
      const made = trusted({ random: () => 0 })
      made.conduct.set('b', 'silent')
      made.session()
      made.wait(61_000)
      expect(made.outcome('b').at(-1)).toBe('refund unanswered')
      expect(made.verification.isTrusted('b')).toBe(true)
      made.wait(gapMs)
      made.session()
      made.wait(61_000)
      expect(made.verification.isTrusted('b')).toBe(trust)
      expect(made.outcome('a').at(-1)).toBe('release audited')
    }
  })

  it('an auditor that is gone is replaced; one that never answers too, and nobody waits for ever', () => {
    const made = world()
    for (const name of ['d', 'e']) made.conduct.set(name, 'lost-as-auditor')
    made.session()
    expect(made.verdicts.map(({ verdict }) => verdict)).toEqual(['valid', 'valid', 'valid'])
    const mute = world({ candidates: () => [] })
    mute.session()
    expect(mute.verdicts.map(({ verdict }) => verdict)).toEqual(['undecided', 'undecided', 'undecided'])
  })

  it('a leave that was announced costs no trust, two that were not do', () => {
    const announced = trusted()
    repeat(3, () => announced.session({ leave: 'announced' }))
    expect(announced.verification.isTrusted('b')).toBe(true)
    const lost = trusted()
    lost.session({ leave: 'lost' })
    expect(lost.verification.isTrusted('b')).toBe(true)
    lost.session({ leave: 'lost' })
    expect(lost.verification.isTrusted('b')).toBe(false)
  })

  it('a stage that leaves is drawn as it leaves: a newcomer cannot drain away from its audits', () => {
    const made = world()
    made.conduct.set('b', 'cheats')
    made.session({ leave: 'announced' })
    expect(made.verdicts.find(({ name }) => name === 'b')?.verdict).toBe('failed')
    expect(made.outcome('b')).toEqual(['refund cheated'])
  })
})

describe('receipts that lie', () => {
  it('[V12] a stage alone against two others loses trust and this result, without an audit', () => {
    const made = trusted()
    made.session({
      bend: (all) =>
        all.map((receipt, place) =>
          place === 2
            ? { ...receipt, received: { ...receipt.received, hash: 'e'.repeat(64) }, sent: { ...receipt.sent, hash: 'd'.repeat(64) } }
            : receipt,
        ),
    })
    expect(made.verification.trustOf('b')).toMatchObject({ validInARow: 0, failures: 1 })
    expect(made.verdicts.at(-1)).toEqual({ name: 'b', verdict: 'failed' })
    expect(made.all('verdict').at(-1)).toMatchObject({ sessionId: sessionOf('session 10'), span: { firstLayer: 10, endLayer: 20 } })
    expect(made.outcome('b')).toHaveLength(10)
    for (const name of ['a', 'c']) expect(made.verification.isTrusted(name)).toBe(true)
  })

  it('[V12] a disputed pair is audited, whatever chance says', () => {
    const made = trusted()
    made.session({
      bend: (all) => all.map((receipt, place) => (place === 2 ? { ...receipt, sent: { ...receipt.sent, hash: 'e'.repeat(64) } } : receipt)),
    })
    expect(made.all('dispute')).toEqual([{ kind: 'dispute', sessionId: sessionOf('session 10'), peerIds: [peerOf('b'), peerOf('c')] }])
    expect(
      made
        .all('challenge')
        .slice(-2)
        .map(({ peerId }) => peerId),
    ).toEqual([peerOf('b'), peerOf('c')])
    for (const name of ALL) expect(made.verification.trustOf(name).failures).toBe(0)
  })
})

describe('who belongs together', () => {
  it('earns neither trust nor release from its own sessions', () => {
    const own = new Set(['a', 'requester'])
    const made = world({ linked: (one, other) => own.has(one) && own.has(other) })
    repeat(12, () => made.session())
    expect(made.outcome('a')).toEqual(Array(12).fill('refund linked'))
    expect(made.verification.trustOf('a')).toEqual(NO_TRUST)
    expect(made.verification.isTrusted('b')).toBe(true)
  })

  it('a hundred identities that serve each other gain nothing', () => {
    const names = Array.from({ length: 100 }, (_, k) => `s${k}`)
    const made = new AuditWorld(names, { linked: (one, other) => one.startsWith('s') && other.startsWith('s') })
    for (let k = 0; k < 100; k++) made.session({ stages: [0, 1, 2].map((step) => `s${(k + step + 1) % 100}`), requester: `s${k}` })
    made.wait(2 * DAY_MS)
    expect([...made.ends.values()].flat()).toEqual(Array(made.ends.size).fill('refund linked'))
    expect(names.every((name) => made.verification.trustOf(name).validInARow === 0)).toBe(true)
  })
})

describe('chooseAuditor', () => {
  const candidate = (name: string, changed: Partial<AuditorCandidate> = {}): AuditorCandidate => ({
    peerId: peerOf(name),
    holder: name,
    kind: 'loaded',
    network: null,
    trusted: true,
    ...changed,
  })
  const result = { peers: new Set([peerOf('a'), peerOf('b')]), holder: 'b', requester: 'r', network: '203.0.113', tried: [] }
  const apart = (one: string, other: string) => one === other
  const choose = (candidates: AuditorCandidate[], changed: Partial<typeof result> = {}) =>
    chooseAuditor(candidates, { ...result, ...changed }, apart, () => 0.99)?.holder ?? null

  it('takes one that has the layers before a spare, a trusted one before a newcomer', () => {
    const [spare, newcomer, proven] = [candidate('s', { kind: 'spare' }), candidate('n', { trusted: false }), candidate('p')]
    expect(choose([spare, newcomer, proven])).toBe('p')
    expect(choose([spare, newcomer])).toBe('n')
    expect(choose([spare])).toBe('s')
  })

  it('takes nobody of the session, of the same public network, or who belongs to one that has a say', () => {
    expect(choose([candidate('a')])).toBeNull()
    expect(choose([candidate('p', { network: '203.0.113' })])).toBeNull()
    expect(choose([candidate('p', { network: '198.51.100' })])).toBe('p')
    expect(choose([candidate('p', { holder: 'r' }), candidate('q', { holder: 'b' })])).toBeNull()
    const tried = [{ ...candidate('p', { network: '198.51.100' }) }]
    expect(choose([candidate('p'), candidate('q', { network: '198.51.100' })], { tried } as object)).toBeNull()
  })
})

describe('[V29] the coordinator’s own engine', () => {
  const own = { candidates: () => [], hasOwnEngine: () => true, hasCanaries: () => true }
  const asked = (made: AuditWorld, name: string) =>
    made.all('audit').flatMap(({ auditor, claimId }) => {
      if (!claimId.endsWith(peerOf(name))) return []
      return 'peerId' in auditor ? auditor.holder : auditor.arithmetic
    })

  it('computes only what its own gateway has seen', () => {
    const made = world(own)
    made.session({ ownGateway: true })
    expect(['a', 'b', 'c'].map((name) => asked(made, name))).toEqual([['fast'], ['fast'], ['fast']])
    expect(made.verdicts.map(({ verdict }) => verdict)).toEqual(['valid', 'valid', 'valid'])
    made.session({ ownGateway: false })
    expect(made.all('audit')).toHaveLength(3)
    expect(made.verdicts.slice(3).map(({ verdict }) => verdict)).toEqual(['undecided', 'undecided', 'undecided'])
  })

  it('convicts by its reference, whatever its fast arithmetic has found alone', () => {
    const made = world(own)
    made.conduct.set('b', 'cheats')
    made.session({ ownGateway: true })
    expect(asked(made, 'b')).toEqual(['fast', 'reference'])
    expect(made.verdicts).toContainEqual({ name: 'b', verdict: 'failed' })
    expect(made.verification.trustOf('b').failures).toBe(1)
    // The coordinator is paid nothing.
    expect(made.all('pay-audit')).toEqual([])
  })

  it('confirms what one peer alone has found, and is asked after peers', () => {
    const made = new AuditWorld(['a', 'b', 'c', 'd'], { hasOwnEngine: () => true })
    made.conduct.set('b', 'cheats')
    made.session({ ownGateway: true })
    expect(asked(made, 'b')).toEqual(['d', 'fast'])
    expect(made.verdicts).toContainEqual({ name: 'b', verdict: 'failed' })
    expect(made.all('pay-audit').filter(({ claimId }) => claimId.endsWith(peerOf('b')))).toMatchObject([{ peerId: peerOf('d') }])
  })

  it('decides by its reference between a peer that lies and the stage', () => {
    const made = new AuditWorld(['a', 'b', 'c', 'd'], { hasOwnEngine: () => true })
    made.conduct.set('d', 'lies-as-auditor')
    made.session({ ownGateway: true })
    expect(asked(made, 'a')).toEqual(['d', 'fast', 'reference'])
    expect(made.verdicts.every(({ verdict }) => verdict === 'valid')).toBe(true)
    expect(made.verification.trustOf('d').failures).toBeGreaterThan(0)
  })

  it('is asked also where four peers were lost before', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
    const made = new AuditWorld(names, { hasOwnEngine: () => true })
    for (const name of names.slice(3)) made.conduct.set(name, 'lost-as-auditor')
    made.session({ ownGateway: true })
    expect(asked(made, 'a')).toHaveLength(5)
    expect(asked(made, 'a').at(-1)).toBe('fast')
  })
})

describe('[V30] canaries', () => {
  const own = { candidates: () => [], hasOwnEngine: () => true, hasCanaries: () => true }

  it('are wanted for each peer of another’s session that nobody could audit, or where nobody could confirm what one found', () => {
    const made = world(own)
    made.session()
    expect(made.all('canary').map(({ peerId }) => peerId)).toEqual(['a', 'b', 'c'].map(peerOf))
    const one = new AuditWorld(['a', 'b', 'c', 'd'], { hasCanaries: () => true })
    one.conduct.set('b', 'cheats')
    one.session()
    expect(one.all('canary').map(({ peerId }) => peerId)).toEqual([peerOf('b')])
  })

  it('are not wanted where there can be none, where peers have decided, and for sessions that the coordinator may replay itself', () => {
    const without = world({ candidates: () => [] })
    without.session()
    expect(without.all('canary')).toEqual([])
    const decided = world({ hasCanaries: () => true })
    decided.session()
    expect(decided.all('canary')).toEqual([])
    const replayed = world({ ...own, hasOwnEngine: () => false })
    replayed.session({ ownGateway: true })
    expect(replayed.all('canary')).toEqual([])
  })

  it('are audited whole, also of those that chance would have left out', () => {
    const made = trusted()
    const before = made.all('challenge').length
    made.session({ ownGateway: true })
    expect(made.all('challenge').length).toBe(before)
    made.session({ ownGateway: true, isCanary: true })
    expect(made.all('challenge').length).toBe(before + 3)
  })

  it('that find a cheat take back all that it has in escrow, from other sessions too; those that find none release it', () => {
    const made = world(own)
    made.conduct.set('b', 'cheats')
    repeat(10, () => made.session())
    expect(made.outcome('b')).toEqual(Array(10).fill('open'))
    repeat(10, () => made.session({ ownGateway: true, isCanary: true }))
    expect(made.outcome('b').slice(0, 10)).toEqual(Array(10).fill('refund cheated'))
    expect(made.all('ban')).toEqual([{ kind: 'ban', holder: 'b' }])
    expect(made.outcome('a')).toEqual(Array(20).fill('release audited'))
  })
})

describe('an answer that the network failed', () => {
  it('is free on the word of the coordinator or of two strangers among the stages, never on one’s or the driver’s', () => {
    const made = world({ linked: (one, other) => [one, other].every((name) => ['b', 'c'].includes(name)) })
    const payerOf = (failure: SessionPlan['failure']) => {
      made.session({ ...(failure === undefined ? {} : { failure }) })
      return made.all('settle').at(-1)?.payer
    }
    expect([payerOf(undefined), payerOf('coordinator')]).toEqual(['requester', 'reserve'])
    expect(payerOf([peerOf('a'), peerOf('b')])).toBe('reserve')
    expect(payerOf([peerOf('a')])).toBe('requester')
    expect(payerOf([peerOf('b'), peerOf('c')])).toBe('requester')
    expect(payerOf([peerOf('a'), peerOf('driver')])).toBe('requester')
  })
})

describe('any history', () => {
  const plan = fc.record({
    order: fc.shuffledSubarray(ALL, { minLength: 3, maxLength: 3 }),
    leave: fc.constantFrom(undefined, undefined, undefined, 'announced', 'lost'),
    requester: fc.constantFrom('requester', 'a'),
    missing: fc.constantFrom(-1, -1, -1, 0, 1, 2, 3),
    waitMs: fc.constantFrom(0, 0, 1_000, 70_000, DAY_MS / 2),
  })
  const conduct = fc.constantFrom('honest', 'honest', 'honest', 'cheats', 'silent', 'lies-as-auditor', 'lost-as-auditor', 'forges')

  it('ends every claim once, leaves escrow empty, and never takes an honest peer’s trust', () => {
    fc.assert(
      fc.property(
        fc.array(plan, { minLength: 1, maxLength: 12 }),
        fc.array(conduct, { minLength: 2, maxLength: 2 }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999 })),
        (plans, bad, chance) => {
          const made = world({ random: () => chance.next().value ?? 0 })
          // Two of six may be bad: no honest one ever has two liars for auditors.
          for (const [index, how] of bad.entries()) made.conduct.set(ALL[index] ?? '', how as 'honest')
          if (bad.filter((how) => how === 'lies-as-auditor').length > 1) made.conduct.set('b', 'honest')
          for (const { order, leave, requester, missing, waitMs } of plans) {
            made.session({
              stages: order,
              requester,
              ...(leave === undefined ? {} : { leave }),
              bend: (all) => all.filter((_, place) => place !== missing),
            })
            made.wait(waitMs)
          }
          made.wait(DAY_MS + 700_000)
          expect(made.verification.pending).toEqual({ sessions: 0, claims: 0, audits: 0 })
          for (const [claimId, ends] of made.ends) expect([claimId, ends.length]).toEqual([claimId, 1])
          expect(made.all('settle')).toHaveLength(plans.length)
          for (const name of ALL) {
            const how = made.conduct.get(name) ?? 'honest'
            if (how === 'honest' || how === 'lost-as-auditor' || how === 'silent') expect(made.verification.trustOf(name).failures).toBe(0)
            if (how !== 'honest' || plans.some(({ leave }) => leave === 'lost')) continue
            const valid = made.all('trust').flatMap(({ holder, record }) => (holder === name ? [record.validInARow] : []))
            expect(valid).toEqual([...valid].sort((one, other) => one - other))
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  it('goes on after the coordinator has started again: what its ledger holds in escrow is settled by rule', () => {
    const claims = [3, 1, 2].map((k) => ({ claimId: `c${k}`, holder: 'a', settledMs: k, pending: true }))
    const made = world({ claims, trust: [['a', { ...NO_TRUST, validInARow: 20 }]] })
    for (const { claimId } of claims) made.ends.set(claimId, [])
    expect(made.verification.isTrusted('a')).toBe(true)
    made.tell({ kind: 'tick' })
    expect([...made.ends.values()]).toEqual(Array(3).fill(['release rule']))
  })
})
