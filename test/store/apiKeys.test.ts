/** API keys, their budgets, and teams that share them: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import { required } from '../../src/shared/index.ts'
import { ALL, accountWorld } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

describe.each(storeKinds)('API keys on %s', (kind) => {
  const world = accountWorld(kind)

  it('an API key is shown once, kept as a hash, and opens its account until it is revoked', async () => {
    const { clock, keys, contact, everything } = world()
    const id = await contact()
    const { key, text } = await keys.create(id, 'laptop', { ...ALL, models: ['m'], requestsAMinute: 4 })
    expect(await everything()).toContain(key.id)
    expect(await everything()).not.toContain(text.slice(-43))
    const request = { model: 'm', pool: 'public' } as const
    expect(await keys.authorize(text, request)).toMatchObject({
      id: key.id,
      account: id,
      models: ['m'],
      requestsAMinute: 4,
      usedAtMs: null,
    })
    await expect(keys.authorize(text, { ...request, model: 'n' })).rejects.toMatchObject({ reason: 'not-allowed' })
    clock.advance(59_999)
    await keys.authorize(text, null)
    expect((await keys.list(id))[0]?.usedAtMs).toBe(clock.nowMs() - 59_999)
    clock.advance(1)
    await keys.authorize(text, null)
    expect((await keys.list(id))[0]?.usedAtMs).toBe(clock.nowMs())
    for (let left = 2; left > 0; left--) await keys.authorize(text, null)
    await expect(keys.authorize(text, null)).rejects.toMatchObject({ reason: 'too-many-requests' })
    const other = await keys.create(id, 'other', ALL)
    const mixed = `${text.slice(0, 'tabswarm_'.length + 16)}${other.text.slice(-44)}`
    for (const wrong of [mixed, `${text}x`, '', `tabswarm_${'0'.repeat(16)}${text.slice(-44)}`])
      await expect(keys.authorize(wrong, null)).rejects.toMatchObject({ reason: 'bad-key' })
    await expect(keys.revoke(key.id, await contact())).rejects.toMatchObject({ reason: 'unknown' })
    await keys.authorize(other.text, null)
    await keys.revoke(key.id, id)
    await expect(keys.authorize(text, null)).rejects.toMatchObject({ reason: 'bad-key' })
    const { revokedAtMs } = required((await keys.list(id))[0], 'the key')
    clock.advance(1_000)
    await keys.revoke(key.id, null)
    expect((await keys.list(id))[0]?.revokedAtMs).toBe(revokedAtMs)
    expect((await keys.authorize(other.text, null)).id).toBe(other.key.id)
    await expect(keys.revoke('nothing', null)).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[A9] an account has fifty keys that open something; one that is revoked makes room', async () => {
    const { keys, contact } = world()
    const id = await contact()
    const { key } = await keys.create(id, 'first', ALL)
    for (let more = 49; more > 0; more--) await keys.create(id, 'another', ALL)
    await expect(keys.create(id, 'one too many', ALL)).rejects.toMatchObject({ reason: 'bad-value' })
    await keys.revoke(key.id, id)
    await keys.create(id, 'in its place', ALL)
    await expect(keys.create(id, 'one too many', ALL)).rejects.toMatchObject({ reason: 'bad-value' })
  })

  it('a budget bears what fits, however many ask at once; a session counts once, and what it left is free again', async () => {
    const { keys, contact } = world()
    const { key } = await keys.create(await contact(), 'k', { ...ALL, budget: 100n })
    const session = (index: number) => `b-${key.id}-${index}`
    const answers = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => keys.reserve(key.id, session(index), 30n)))
    const taken = answers.flatMap(({ status }, index) => (status === 'fulfilled' ? [session(index)] : []))
    expect(taken).toHaveLength(3)
    expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { reason: 'over-budget' } })
    const [first = '', second = ''] = taken
    await keys.reserve(key.id, first, 30n)
    await keys.giveBack(first, 20n)
    await keys.giveBack(first, 0n)
    await keys.giveBack(second, 30n)
    const spent = async () => required((await keys.list(key.account))[0], 'the key').spent
    expect(await spent()).toBe(40n)
    await expect(keys.giveBack(required(taken[2], 'a session'), 31n)).rejects.toThrow()
    await keys.revoke(key.id, null)
    await expect(keys.reserve(key.id, session(99), 1n)).rejects.toMatchObject({ reason: 'bad-key' })
    expect(await spent()).toBe(40n)
  })

  it('what is reserved for many sessions is moved to each, once it is there, and spends nothing more', async () => {
    const { keys, contact } = world()
    const { key } = await keys.create(await contact(), 'k', { ...ALL, budget: 100n })
    const session = (name: string) => `m-${key.id}-${name}`
    await keys.reserve(key.id, session('all'), 100n)
    await keys.move(session('all'), session('one'), 60n)
    await expect(keys.move(session('all'), session('two'), 41n)).rejects.toThrow()
    await expect(keys.move(session('none'), session('two'), 1n)).rejects.toThrow()
    const spent = async () => required((await keys.list(key.account))[0], 'the key').spent
    expect(await spent()).toBe(100n)
    await keys.giveBack(session('one'), 50n)
    await keys.giveBack(session('all'), 40n)
    await expect(keys.move(session('all'), session('two'), 0n)).rejects.toThrow()
    expect(await spent()).toBe(10n)
  })

  it('a team: one balance, keys with a budget each, models of the team within those of the key, members who are linked', async () => {
    const { keys, teams, contact, linked } = world()
    const [ann, bob, other] = [await contact(), await contact(), await contact()]
    const team = await teams.create('Lab', { models: ['m'], pools: ['trusted'] }, null)
    for (const member of [ann, bob, bob]) await teams.add(team.id, member)
    expect((await teams.list()).find(({ id }) => id === team.id)).toEqual({ ...team, members: [ann, bob].sort(), owners: [] })
    expect([await linked(ann, bob), await linked(ann, team.id), await linked(ann, other)]).toEqual([true, true, false])
    const one = await keys.create(team.id, 'one', ALL)
    const two = await keys.create(team.id, 'two', { ...ALL, budget: 5n })
    expect(await keys.authorize(one.text, { model: 'm', pool: 'trusted' })).toMatchObject({ account: team.id, models: null })
    await expect(keys.authorize(one.text, { model: 'm', pool: 'public' })).rejects.toMatchObject({ reason: 'not-allowed' })
    await teams.setBudget(team.id, one.key.id, 7n)
    await teams.setBudget(team.id, two.key.id, null)
    expect((await keys.list(team.id)).map(({ budget }) => budget)).toEqual([7n, null])
    const foreign = await keys.create(other, 'k', ALL)
    await expect(teams.setBudget(team.id, foreign.key.id, 1n)).rejects.toMatchObject({ reason: 'unknown' })
    await expect(teams.add(ann, bob)).rejects.toMatchObject({ reason: 'unknown' })
    await expect(teams.add(team.id, 'nobody')).rejects.toMatchObject({ reason: 'unknown' })
  })
})
