/** Accounts and their starter grants: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import { areLinked, type StarterPolicy } from '../../src/coordinator/accounts/index.ts'
import { type Command, EARNED, grantedUntil } from '../../src/coordinator/ledger/index.ts'
import { StarterStore } from '../../src/coordinator/store/index.ts'
import { required } from '../../src/shared/index.ts'
import { ALL, accountWorld, DAY_MS, newIdentity, nowhere, POLICY } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

describe.each(storeKinds)('accounts on %s', (kind) => {
  const world = accountWorld(kind)

  it('the first contact of a key makes its account, later ones find it, even two at once', async () => {
    const { accounts, contact } = world()
    const identity = newIdentity()
    const found = await Promise.all(Array.from({ length: 6 }, () => accounts.contact(identity, nowhere)))
    expect(new Set(found.map(({ id }) => id)).size).toBe(1)
    expect(found[0]).toMatchObject({ name: '', roles: ['requester', 'volunteer'] })
    const { id } = await accounts.contact(identity, nowhere)
    expect(await accounts.details(id)).toMatchObject({ id, identities: [identity], teams: [] })
    expect(await contact()).not.toBe(id)
    const ids = new Set<string>()
    await accounts.forEach(({ id }) => void ids.add(id))
    expect(ids.has(id)).toBe(true)
  })

  it('has a name and roles that can be changed', async () => {
    const { accounts, contact } = world()
    const id = await contact()
    expect(await accounts.change(id, { name: 'Ann', roles: ['volunteer', 'operator'] })).toMatchObject({
      name: 'Ann',
      roles: ['operator', 'volunteer'],
    })
    await expect(accounts.change(id, { name: ' ' })).rejects.toMatchObject({ reason: 'bad-value' })
    await expect(accounts.change('nobody', { name: 'Ann' })).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[O2] [O4] are counted and found by the beginning of their id or a part of their name, a page at a time, erased ones never', async () => {
    const { accounts, contact } = world()
    const before = await accounts.count()
    const [ann, anna, gone] = [await contact(), await contact(), await contact()]
    const tag = crypto.randomUUID().slice(0, 8)
    await accounts.change(ann, { name: `Ann ${tag} 100%` })
    await accounts.change(anna, { name: `Anna ${tag} 1000` })
    await accounts.change(gone, { name: `Ann ${tag} gone` })
    await accounts.erase(gone)
    expect(await accounts.count()).toBe(before + 2)
    const found = async (text: string, after: string | null = null, limit = 10) =>
      (await accounts.search(text, after, limit)).map(({ id }) => id)
    const both = [ann, anna].sort()
    expect(await found(`ANN`, null, 1_000)).toEqual(expect.arrayContaining(both))
    expect(await found(`${tag}`)).toEqual(both)
    expect(await found(tag, null, 1)).toEqual(both.slice(0, 1))
    expect(await found(tag, both[0])).toEqual(both.slice(1))
    // What a pattern means to the database is only a character here.
    expect(await found(`${tag} 100%`)).toEqual([ann])
    expect(await found(`${tag}_1`)).toEqual([])
    expect(await found(ann.slice(0, 12).toUpperCase())).toEqual([ann])
    expect(await accounts.record(ann)).toMatchObject({ id: ann })
    await expect(accounts.record(gone)).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('public address blocks link for 30 days, private ones and loopback never', async () => {
    const { clock, accounts, contact, linked, everything } = world()
    const [ann, bob, far] = [await contact('203.0.113.1'), await contact('::ffff:203.0.113.9'), await contact('198.51.100.1')]
    expect([await linked(ann, bob), await linked(ann, far)]).toEqual([true, false])
    for (const address of ['192.168.1.4', '127.0.0.1']) expect(await linked(await contact(address), await contact(address))).toBe(false)
    clock.advance(30 * DAY_MS)
    expect(await linked(ann, bob)).toBe(true)
    clock.advance(1)
    expect(await linked(ann, bob)).toBe(false)
    expect(await everything()).toContain('203.0.113.0/24')
    await accounts.forgetBlocks()
    expect(await everything()).not.toContain('203.0.113.0/24')
  })

  it('a chain of invitations links its ends, an operator’s invitation nobody', async () => {
    const { accounts, contact, linked } = world()
    const first = await contact()
    const second = await contact(null, first)
    const third = await contact(null, second)
    const sibling = await contact(null, first)
    expect([await linked(first, third), await linked(third, sibling)]).toEqual([true, true])
    await accounts.change(first, { roles: ['operator'] })
    expect(await linked(await contact(null, first), await contact(null, first))).toBe(false)
    await expect(contact(null, 'nobody')).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('erased: no name, identity or key of it is anywhere in the store, its ledger lines are, and its key begins anew', async () => {
    const { ledger, accounts, keys, teams, issue, everything } = world()
    const identity = newIdentity()
    const { id } = await accounts.contact(identity, { address: '192.0.2.77' })
    await accounts.change(id, { name: 'Ann Erasable' })
    const { key, text } = await keys.create(id, 'Erasable laptop', ALL)
    const team = await teams.create('Those who stay', ALL, null)
    await teams.add(team.id, id)
    await issue(id, 5n)
    const traces = [identity.subject, 'Ann Erasable', 'Erasable laptop', '192.0.2.0/24']
    for (const trace of traces) expect(await everything()).toContain(trace)
    await accounts.erase(id)
    for (const trace of traces) expect(await everything()).not.toContain(trace)
    expect((await ledger.balances(id)).map(({ amount }) => amount)).toEqual([5n])
    expect((await ledger.events(id, 0, 10)).length).toBe(1)
    await expect(accounts.details(id)).rejects.toMatchObject({ reason: 'unknown' })
    await expect(keys.authorize(text, null)).rejects.toMatchObject({ reason: 'bad-key' })
    expect((await keys.list(id)).find((kept) => kept.id === key.id)).toMatchObject({ name: '' })
    expect((await accounts.contact(identity, nowhere)).id).not.toBe(id)
  })

  it('a starter grant: one an account, so many a block and a day, spent within 30 days or posted back', async () => {
    const { clock, ledger, starters, contact } = world()
    const ann = await contact()
    const grant = await starters.grant(ann, '203.0.113.1', POLICY)
    expect(grant).toEqual({ amount: 1_000_000n, lastDay: new Date(clock.nowMs() + 30 * DAY_MS).toISOString().slice(0, 10) })
    expect(await starters.grant(ann, '198.51.100.1', POLICY)).toEqual(grant)
    expect((await ledger.balances(ann)).map(({ account, amount }) => [account.purse, amount])).toEqual([
      [grantedUntil(grant.lastDay), 1_000_000n],
    ])
    expect(await starters.issuedToday()).toBe(1_000_000n)
    const inBlock = await Promise.allSettled(
      (await Promise.all([1, 2, 3].map(() => contact()))).map((id) => starters.grant(id, '203.0.113.200', POLICY)),
    )
    expect(inBlock.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    // Loopback is no block.
    for (let rest = 0; rest < 3; rest++) await starters.grant(await contact(), '127.0.0.1', POLICY)
    const late = await contact()
    await expect(starters.grant(late, '127.0.0.1', POLICY)).rejects.toMatchObject({ reason: 'no-grant' })
    clock.advance(DAY_MS)
    await starters.grant(late, '127.0.0.1', POLICY)
    clock.advance(29 * DAY_MS)
    expect(await starters.expire()).toBe(0)
    clock.advance(DAY_MS)
    expect(await starters.expire()).toBe(5)
    expect(await ledger.balances(ann)).toEqual([])
    expect(await ledger.balances(late)).toHaveLength(1)
    await expect(starters.grant('nobody', null, POLICY)).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('a grant that was decided when the ledger failed is posted by the next contact, as it was decided', async () => {
    const { database, tools, ledger, starters, contact } = world()
    const ann = await contact()
    const failing = new StarterStore(database, { post: () => Promise.reject(new Error('gone')) }, tools)
    await expect(failing.grant(ann, null, POLICY)).rejects.toThrow('gone')
    const { lastDay } = await starters.grant(ann, null, { ...POLICY, poolADay: 0n })
    expect((await ledger.balances(ann)).map(({ account, amount }) => [account.purse, amount])).toEqual([
      [grantedUntil(lastDay), 1_000_000n],
    ])
  })

  it('100 sybils, each requester and volunteer in a ring, gain no transferable credit, and from one house only two grants', async () => {
    const { ledger, accounts, starters, contact } = world()
    const sybils = await Promise.all(Array.from({ length: 100 }, (_, index) => contact(`203.0.${index % 50}.9`)))
    const rich: StarterPolicy = { ...POLICY, poolADay: 1_000_000_000n }
    const answers = await Promise.allSettled(sybils.map((id, index) => starters.grant(id, `203.0.${index % 25}.9`, rich)))
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(50)
    const work = { decode: 1_000_000_000_000n, prompt: 0n, cachedPrompt: 0n }
    const ring = async (payer: number, round: number) => {
      const [account = '', stage = ''] = [sybils[payer], sybils[(payer + 50) % 100]]
      const session = `ring-${kind}-${payer}-${round}`
      const commands: readonly Command[] = [
        { kind: 'hold', session, account, amount: 500_000n, priceVersion: 0, tier: 'standard' },
        { kind: 'settle', session, part: 0, work, stages: [{ account: stage, work, newcomer: false }] },
        { kind: 'payout', session, account: stage, part: 0 },
      ]
      for (const command of commands) await ledger.post(command)
    }
    const rounds = await Promise.allSettled([...sybils.keys()].flatMap((payer) => [ring(payer, 0), ring(payer, 1)]))
    expect(rounds.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(100)
    const balances = (await Promise.all(sybils.map((id) => ledger.balances(id)))).flat()
    expect(balances.filter(({ account }) => account.purse === EARNED)).toEqual([])
    expect(balances.filter(({ account }) => account.purse === 'granted/never').length).toBeGreaterThan(0)
    const loot = { reference: `loot-${kind}`, to: 'loot', amount: 1n }
    for (const from of sybils.slice(0, 3).concat(sybils.slice(50, 53)))
      await expect(ledger.post({ kind: 'transfer', from, ...loot })).rejects.toMatchObject({ reason: 'insufficient' })
    const ties = await accounts.ties(sybils)
    const [first, second] = [ties.get(required(sybils[0], 'one')), ties.get(required(sybils[50], 'another'))]
    expect(areLinked(required(first, 'ties'), required(second, 'ties'))).toBe(true)
  })
})
