/** The coordinator's economy over the ledger's real rules: holds, settlements, escrow to its end, trust and bans, restarts, a store that fails. */

import { describe, expect, it } from 'vitest'
import { DEFAULT_STARTER_POLICY } from '../../../src/coordinator/accounts/index.ts'
import type { Receipt } from '../../../src/protocol/index.ts'
import type { SessionId } from '../../../src/shared/index.ts'
import { NO_AUDITS } from '../../support/noAudits.ts'
import { peerOf, Ring } from '../verification/ring.ts'
import { CREDIT, fundedWorld, PRICE } from './fundedWorld.ts'
import { CHARGE, CONFIG, EconomyWorld, MemoryStore, MODEL } from './world.ts'

const DAY_MS = 86_400_000
const admit = { type: 'admit', requestId: 'r', modelId: MODEL, promptTokens: 30, maxTokens: 50 } as const

describe('a hold', () => {
  it('[E2] is the price of prompt and answer over all layers, and is there before the session opens', async () => {
    const made = await fundedWorld()
    const held = await made.economy.hold(peerOf('driver'), admit)
    expect(held.ok).toBe(true)
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT - PRICE, hold: PRICE })
    expect(CHARGE).toBeLessThan(PRICE)
  })

  it.each([
    ['spot', 0.5],
    ['standard', 1],
    ['priority', 2],
  ] as const)('[E2] is by the tier that was asked for, %s', async (tier, factor) => {
    const made = await fundedWorld()
    expect((await made.economy.hold(peerOf('driver'), { ...admit, tier })).ok).toBe(true)
    expect(Number((await made.sums('driver')).hold) / Number(PRICE)).toBeCloseTo(factor, 3)
  })

  it('[E2] goes back where the core does not admit the session, or no longer lets it wait', async () => {
    const made = await fundedWorld()
    const held = await made.economy.hold(peerOf('driver'), admit)
    if (!held.ok) throw new Error(held.error.message)
    made.economy.session({ kind: 'refused', sessionId: held.value })
    await made.settle()
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT, hold: 0n })
    expect(made.economy.pending.sessions).toBe(0)
  })

  it('[E2] is refused who has too little, with what is missing and how to get it', async () => {
    const made = new EconomyWorld()
    await made.join(['driver'])
    await made.give('driver', PRICE - 1n)
    const held = await made.economy.hold(peerOf('driver'), admit)
    expect(held).toMatchObject({ ok: false, error: { reason: 'insufficient-credits', retryAfterMs: null } })
    const message = held.ok ? '' : held.error.message
    expect(message).toContain('0.000001 are missing')
    expect(message).toMatch(/Contribute .*, ask for fewer tokens, or ask the operator .*ledger grant account-0 /)
    await made.give('driver', 1n)
    expect((await made.economy.hold(peerOf('driver'), admit)).ok).toBe(true)
  })

  it('[E5] a newcomer gets its starter grant when it first needs one, once', async () => {
    const made = new EconomyWorld({ starters: DEFAULT_STARTER_POLICY })
    await made.join(['driver', 'rich'])
    await made.give('rich', CREDIT)
    for (const name of ['driver', 'driver', 'rich']) expect((await made.economy.hold(peerOf(name), admit)).ok).toBe(true)
    expect(await made.sums('driver')).toMatchObject({ user: DEFAULT_STARTER_POLICY.amount - 2n * PRICE, hold: 2n * PRICE })
    expect(await made.sums('rich')).toMatchObject({ user: CREDIT - PRICE })
  })

  it('[E5] a newcomer that asks several questions at once gets its grant for all of them', async () => {
    const made = new EconomyWorld({ starters: DEFAULT_STARTER_POLICY })
    await made.join(['driver'])
    const held = await Promise.all([1, 2, 3].map(() => made.economy.hold(peerOf('driver'), admit)))
    expect(held.map(({ ok }) => ok)).toEqual([true, true, true])
    expect(await made.sums('driver')).toMatchObject({ hold: 3n * PRICE })
  })

  it('waits for no more than four of one tab at once, and not for a store that does not answer', async () => {
    const made = new EconomyWorld()
    await made.settle()
    made.store.broken = new Error('the database is gone')
    await made.join(['driver'])
    const waiting = Array.from({ length: 4 }, () => made.economy.hold(peerOf('driver'), admit))
    expect(await made.economy.hold(peerOf('driver'), admit)).toMatchObject({ ok: false, error: { reason: 'busy' } })
    await made.wait(11_000)
    for (const held of await Promise.all(waiting)) expect(held).toMatchObject({ ok: false, error: { reason: 'no-accounts' } })
    made.store.broken = null
    await made.wait(31_000)
    // What those four had asked for is held late, and given back.
    await made.give('driver', CREDIT)
    expect((await made.economy.hold(peerOf('driver'), admit)).ok).toBe(true)
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT - PRICE, hold: PRICE })
  })

  it('is nobody’s who has left', async () => {
    const made = await fundedWorld()
    made.economy.left(peerOf('driver'))
    await made.join([])
    expect((await made.economy.hold(peerOf('nobody'), admit)).ok).toBe(false)
  })
})

describe('a settlement', () => {
  it('[E3] pays each stage by its work into escrow, gives the rest of the hold back, and escrow after the rule’s time', async () => {
    const made = await fundedWorld()
    await made.session('driver', ['a', 'b', 'c'])
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT - CHARGE, hold: 0n })
    const before = await made.sums()
    // Newcomers: half of their share goes to verification.
    expect(before.fee).toBe((CHARGE * 100n + 500n) / 1_000n)
    expect(before.escrow + before.fee + before.verification).toBe(CHARGE)
    expect(before.escrow).toBeGreaterThan((CHARGE * 400n) / 1_000n)
    // The last stage has the head, too.
    expect((await made.sums('c')).escrow).toBeGreaterThan((await made.sums('a')).escrow)
    expect(made.messages('release-log').length).toBe(3)
    await made.wait(DAY_MS)
    const after = await made.sums()
    expect(after.escrow).toBe(0n)
    expect(after.user).toBe(CREDIT - CHARGE + before.escrow)
    expect(made.economy.pending).toEqual({ sessions: 0, claims: 0 })
    expect(made.log).toEqual([])
  })

  it('[E2] never charges above the hold, whatever was computed', async () => {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a', 'b', 'c'], 30, 50)
    const ring = new Ring(grant).submit('prompt', 30).flow()
    for (let round = 0; round < 20; round++) ring.submit('decode', 40).flow().truncate(30)
    await made.sign(ring.finals())
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(16_000)
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT - PRICE, hold: 0n })
  })

  it('costs nothing where nobody signs anything', async () => {
    const made = await fundedWorld()
    await made.session('driver', ['a', 'b', 'c'], { bend: () => [] })
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT, hold: 0n })
    expect(made.economy.pending).toEqual({ sessions: 0, claims: 0 })
  })

  it('asks for what is missing, and hears who answers', async () => {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a', 'b', 'c'])
    const ring = new Ring(grant).submit('prompt', 30).flow().submit('decode', 20).flow(0, 15).flow(1, 10).flow(2, 5).flow(3, 5)
    await made.sign(ring.finals())
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'cancelled', sawFailure: false })
    await made.settle()
    const asked = made.messages('ask-receipt')
    expect(asked.length).toBeGreaterThan(0)
    for (const { name, message } of made.told) {
      if (message.type !== 'ask-receipt') continue
      const place = [grant.driver, ...grant.stages.map(({ peerId }) => peerId)].indexOf(peerOf(name))
      await made.sign([ring.receipt(place, { end: message.endPosition })])
    }
    await made.wait(16_000)
    expect((await made.sums('b')).escrow).toBeGreaterThan(0n)
  })

  it('[E6] an answer that the network failed costs its requester nothing, and the reserve pays its stages', async () => {
    const made = await fundedWorld({ reserveADay: CREDIT })
    await made.session('driver', ['a', 'b', 'c'], { sawFailure: true })
    const sums = await made.sums()
    expect(sums).toMatchObject({ user: CREDIT, hold: 0n, fee: 0n, verification: 0n })
    expect(sums.escrow).toBeGreaterThan(0n)
    expect(sums.reserve).toBe(CREDIT - sums.escrow)
    await made.wait(DAY_MS + 3_600_000)
    const next = await made.sums()
    expect(next).toMatchObject({ escrow: 0n, user: CREDIT + sums.escrow })
    // Filled up again, by as much as it paid.
    expect(next.reserve).toBe(CREDIT)
  })

  it('[E6] the reserve pays no more than it has', async () => {
    const made = await fundedWorld({ reserveADay: 10n })
    await made.session('driver', ['a', 'b', 'c'], { sawFailure: true })
    await made.session('driver', ['a', 'b', 'c'], { sawFailure: true })
    expect(await made.sums()).toMatchObject({ user: CREDIT, hold: 0n, escrow: 10n, reserve: 0n })
    await made.wait(DAY_MS)
    expect((await made.sums()).escrow).toBe(0n)
    expect(made.log).toEqual([])
  })

  it('[E1] stages of one account share an escrow; it is that account’s, and linked to a requester of the same', async () => {
    const made = new EconomyWorld()
    await made.join(['driver'])
    await made.join(['a', 'b'], 'farm')
    await made.join(['c'])
    await made.give('driver', CREDIT)
    await made.session('driver', ['a', 'b', 'c'])
    expect(await made.account('farm')).not.toBe(await made.account('c'))
    expect((await made.sums('farm')).escrow).toBeGreaterThan((await made.sums('c')).escrow)
    await made.wait(DAY_MS)
    expect(await made.sums('farm')).toMatchObject({ escrow: 0n })
    expect((await made.sums('farm')).user).toBeGreaterThan(0n)
    // Who pays itself gets it back, a fee less.
    const own = new EconomyWorld()
    await own.join(['driver', 'a', 'b', 'c'], 'farm')
    await own.give('farm', CREDIT)
    await own.session('driver', ['a', 'b', 'c'])
    const sums = await own.sums('farm')
    expect(sums).toMatchObject({ hold: 0n, escrow: 0n })
    expect(sums.user).toBeLessThan(CREDIT)
    expect(own.store.events.some(({ command }) => command.kind === 'refund')).toBe(true)
  })

  it('[E9][V24] a stage that reports too much is told so, is paid nothing, and banned the second time', async () => {
    const made = await fundedWorld()
    const twice = (receipts: readonly Receipt[]) =>
      receipts.map((receipt): Receipt => {
        if (receipt.peerId !== peerOf('c') || receipt.party.kind !== 'stage') return receipt
        const more = { prompt: 60, decode: 40, results: 40 }
        return { ...receipt, party: { ...receipt.party, computed: more }, received: { ...receipt.received, ...more } }
      })
    await made.session('driver', ['a', 'b', 'c'], { bend: twice })
    expect((await made.sums('c')).escrow).toBe(0n)
    expect((await made.sums('a')).escrow).toBeGreaterThan(0n)
    expect(made.failed).toEqual([])
    await made.session('driver', ['a', 'b', 'c'], { bend: twice })
    expect(made.failed).toEqual([{ name: 'c', reason: 'banned' }])
    const told = { role: 'stage', span: { firstLayer: 20, endLayer: 30 }, verdict: 'failed' } as const
    expect(made.messages('verdict', 'c')).toMatchObject([1, 2].map((failures) => ({ ...told, standing: { validInARow: 0, failures } })))
    expect(made.messages('verdict', 'a').map(({ verdict }) => verdict)).toEqual(['undecided', 'undecided'])
    await made.wait(2_000)
    expect(made.messages('account', 'c').at(-1)?.standing).toMatchObject({ failures: 2 })
    expect(made.store.trusted.get(await made.account('c'))).toMatchObject({ failures: 2 })
    // The key stays banned, also with the coordinator that comes next.
    const next = new EconomyWorld({ store: made.store })
    await next.join(['c', 'a'])
    expect(next.failed).toEqual([{ name: 'c', reason: 'banned' }])
  })
})

describe('roles', () => {
  it('[E12] who is no requester is refused and nothing is held, who is no volunteer is told so when it pledges; as they are at that moment', async () => {
    const made = await fundedWorld()
    const [driver, stage] = [await made.account('driver'), await made.account('a')]
    made.store.rolesOf.set(driver, ['volunteer'])
    made.store.rolesOf.set(stage, ['requester'])
    expect(await made.economy.hold(peerOf('driver'), admit)).toMatchObject({
      ok: false,
      error: { reason: 'not-allowed', retryAfterMs: null },
    })
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT, hold: 0n })
    for (const name of ['a', 'b', 'driver']) await made.economy.pledged(peerOf(name))
    expect(made.failed).toEqual([{ name: 'a', reason: 'no-volunteer' }])
    made.store.rolesOf.set(driver, ['requester'])
    made.store.rolesOf.set(stage, ['volunteer'])
    expect((await made.economy.hold(peerOf('driver'), admit)).ok).toBe(true)
    await made.economy.pledged(peerOf('a'))
    expect(made.failed).toHaveLength(1)
    await made.economy.pledged(peerOf('nobody'))
    expect(made.failed).toHaveLength(1)
  })
})

describe('balances', () => {
  it('[E7] are told once they are known, then after each change, at most once a second', async () => {
    const made = await fundedWorld()
    await made.wait(2_000)
    expect(made.messages('account', 'a')).toHaveLength(1)
    expect(made.messages('account', 'a')[0]).toMatchObject({ spendable: '0', escrow: '0', earned: '0' })
    const before = made.messages('account', 'driver').length
    for (let count = 0; count < 5; count++) await made.open('driver', ['a', 'b', 'c'])
    await made.wait(900)
    expect(made.messages('account', 'driver').length - before).toBeLessThanOrEqual(1)
    await made.wait(1_100)
    const last = made.messages('account', 'driver').at(-1)
    expect(last).toMatchObject({ spendable: (CREDIT - 5n * PRICE).toString(), held: (5n * PRICE).toString() })
    await made.session('driver', ['a', 'b', 'c'])
    await made.wait(DAY_MS)
    await made.wait(2_000)
    const paid = (await made.sums('a')).user
    expect(made.messages('account', 'a').at(-1)).toMatchObject({ spendable: `${paid}`, earned: `${paid}`, escrow: '0' })
  })
})

describe('a coordinator that starts again', () => {
  it('[E8] gives back what dead sessions held, and brings their escrow to its end', async () => {
    const made = await fundedWorld()
    await made.session('driver', ['a', 'b', 'c'])
    await made.open('driver', ['a', 'b', 'c'])
    const { hold, escrow } = await made.sums()
    expect([hold > 0n, escrow > 0n]).toEqual([true, true])
    // It dies here.
    const next = new EconomyWorld({ store: made.store })
    await next.join(['a'])
    expect(await next.sums()).toMatchObject({ hold: 0n, escrow })
    expect(next.economy.pending).toEqual({ sessions: 0, claims: 3 })
    await next.wait(DAY_MS)
    expect((await next.sums()).escrow).toBe(0n)
    expect(next.log).toEqual([])
  })

  it('[E8] leaves on a shared database what another coordinator may still see to', async () => {
    class SharedStore extends MemoryStore {
      override readonly isShared = true
    }
    const made = await fundedWorld()
    await made.session('driver', ['a', 'b', 'c'])
    await made.open('driver', ['a', 'b', 'c'])
    const shared: MemoryStore = Object.assign(new SharedStore(made.clock), { book: made.store.book, events: made.store.events })
    const next = new EconomyWorld({ store: shared })
    await next.wait(3 * 3_600_000)
    expect((await next.sums()).hold).toBe(PRICE)
    await next.wait(2 * 3_600_000)
    expect((await next.sums()).hold).toBe(0n)
    expect((await next.sums()).escrow).toBeGreaterThan(0n)
    await next.wait(DAY_MS)
    expect((await next.sums()).escrow).toBe(0n)
  })

  it('ends in order: holds go back, and the store is closed behind everything', async () => {
    const made = await fundedWorld()
    await made.open('driver', ['a', 'b', 'c'])
    await made.economy.close()
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT, hold: 0n })
    expect(made.store.closed).toBe(true)
  })
})

describe('a store that fails for a while', () => {
  it('loses nothing: what could not be written is tried again, in order', async () => {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a', 'b', 'c'])
    const ring = new Ring(grant).submit('prompt', 30).flow().submit('decode', 20).flow()
    await made.sign(ring.finals())
    made.store.broken = new Error('the database is gone')
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(40_000)
    expect((await made.sums()).hold).toBe(PRICE)
    made.store.broken = null
    await made.wait(40_000)
    expect(await made.sums('driver')).toMatchObject({ user: CREDIT - CHARGE, hold: 0n })
    expect((await made.sums()).escrow).toBeGreaterThan(0n)
  })

  it('without any store nobody is admitted, and nobody else is kept from anything', async () => {
    const lost = Promise.reject(new Error('no store'))
    lost.catch(() => undefined)
    const made = new EconomyWorld()
    const { Economy } = await import('../../../src/coordinator/economy/index.ts')
    const ports = { tell: () => undefined, fail: () => undefined }
    const shared = {
      models: new Map([[MODEL, CONFIG]]),
      starters: DEFAULT_STARTER_POLICY,
      reserveADay: 0n,
      verification: {},
      clock: made.clock,
    }
    const economy = new Economy(
      {
        ...shared,
        store: lost,
        audits: NO_AUDITS,
        canaries: null,
        newSessionId: () => 'ab'.repeat(16) as SessionId,
        random: Math.random,
        randomBytes: (count) => new Uint8Array(count),
        verify: async () => true,
        log: (line) => made.log.push(line),
      },
      ports,
    )
    economy.identified({ peerId: peerOf('driver'), publicKey: new Uint8Array(65), accountKey: null, address: null })
    const held = economy.hold(peerOf('driver'), admit)
    for (let turns = 0; turns < 10; turns++) {
      made.clock.advance(2_000)
      economy.tick()
      await made.settle()
    }
    expect(await held).toMatchObject({ ok: false, error: { reason: 'no-accounts' } })
    expect(made.log.join()).toContain('nobody is admitted')
    await economy.close()
  })
})
