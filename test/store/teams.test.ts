/** Teams, their owners and members, and invitations to them: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import { INVITATIONS_MAX } from '../../src/coordinator/accounts/index.ts'
import { TEAMS_MAX } from '../../src/shared/index.ts'
import { ALL, accountWorld, DAY_MS, newIdentity, nowhere } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

describe.each(storeKinds)('teams on %s', (kind) => {
  const world = accountWorld(kind)

  it('[T1] who makes a team owns it; an owner makes others owners, and one is always left', async () => {
    const { teams, accounts, contact } = world()
    const [ann, bob] = [await contact(), await contact()]
    await accounts.change(bob, { name: 'Bob' })
    const { id } = await teams.create('Lab', { models: ['m'], pools: null }, ann)
    await teams.add(id, bob)
    expect([await teams.roleOf(id, ann), await teams.roleOf(id, bob), await teams.roleOf(id, await contact())]).toEqual([
      'owner',
      'member',
      null,
    ])
    expect(await teams.of(bob)).toEqual([{ id, name: 'Lab', models: ['m'], pools: null, isOwner: false, memberCount: 2 }])
    expect(await teams.members(id)).toEqual([
      { account: ann, name: '', isOwner: true },
      { account: bob, name: 'Bob', isOwner: false },
    ])
    for (const leave of [() => teams.remove(id, ann), () => teams.add(id, ann, 'member')])
      await expect(leave()).rejects.toMatchObject({ reason: 'not-allowed' })
    await teams.add(id, bob, 'owner')
    await teams.remove(id, ann)
    expect([await teams.roleOf(id, ann), await teams.roleOf(id, bob), await teams.of(ann)]).toEqual([null, 'owner', []])
    await expect(teams.remove(id, ann)).rejects.toMatchObject({ reason: 'unknown' })
    await expect(teams.add(id, id)).rejects.toMatchObject({ reason: 'bad-value' })
    await accounts.erase(id)
    expect([await teams.roleOf(id, bob), await teams.of(bob)]).toEqual([null, []])
  })

  it('[T1] an account is in so many teams', async () => {
    const { teams, contact } = world()
    const ann = await contact()
    for (let more = TEAMS_MAX; more > 0; more--) await teams.create(`Team ${more}`, ALL, ann)
    await expect(teams.create('One too many', ALL, ann)).rejects.toMatchObject({ reason: 'bad-value' })
    const [left] = await teams.of(ann)
    await teams.add(left?.id ?? '', await contact(), 'owner')
    await teams.remove(left?.id ?? '', ann)
    const both = await Promise.allSettled(['One', 'Other'].map((name) => teams.create(name, ALL, ann)))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await teams.list()).some(({ name }) => name === 'One too many')).toBe(false)
  })

  it('[T4] what its keys may is changed for those that there are', async () => {
    const { teams, keys, contact } = world()
    const { id } = await teams.create('Lab', ALL, await contact())
    const { text } = await keys.create(id, 'ci', ALL)
    await keys.authorize(text, { model: 'n', pool: 'public' })
    await teams.change(id, { name: 'Laboratory', models: ['m'], pools: ['trusted'] })
    expect(await teams.team(id)).toEqual({ id, name: 'Laboratory', models: ['m'], pools: ['trusted'] })
    await expect(keys.authorize(text, { model: 'n', pool: 'trusted' })).rejects.toMatchObject({ reason: 'not-allowed' })
    await keys.authorize(text, { model: 'm', pool: 'trusted' })
    await expect(teams.change(id, { name: ' ', models: null, pools: null })).rejects.toMatchObject({ reason: 'bad-value' })
    await expect(teams.change(await contact(), { name: 'x', models: null, pools: null })).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[T3] an invitation works once, for a week, bears five wrong tries, and ends when it is taken back or who made it goes', async () => {
    const { clock, teams, invitations, contact, everything } = world()
    const [ann, bob] = [await contact(), await contact()]
    const { id } = await teams.create('Lab', ALL, ann)
    const accept = async (code: string, address: string | null = null) => invitations.accept(code, await contact(), address)
    const refused = { reason: 'bad-code' }
    const wrong = (code: string) => `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
    const one = await invitations.create(id, ann)
    const two = await invitations.create(id, ann)
    expect(await everything()).not.toContain(one.text.slice(-9))
    expect(one.expiresAtMs - clock.nowMs()).toBe(7 * DAY_MS)
    const both = await Promise.allSettled([accept(one.text.toLowerCase()), accept(one.text)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await teams.invitationCount(id)).toBe(1)
    for (let left = 5; left > 0; left--) await expect(accept(wrong(two.text), '192.0.2.1')).rejects.toMatchObject(refused)
    await expect(accept(two.text, '192.0.2.2')).rejects.toMatchObject(refused)
    for (let left = 4; left > 0; left--) await expect(accept('x', '192.0.2.1')).rejects.toMatchObject(refused)
    await expect(accept('x', '192.0.2.9')).rejects.toMatchObject({ reason: 'too-many-requests' })
    const three = await invitations.create(id, ann)
    await invitations.takeBack(id)
    await expect(accept(three.text)).rejects.toMatchObject(refused)
    await teams.add(id, bob, 'owner')
    const four = await invitations.create(id, ann)
    const five = await invitations.create(id, bob)
    await teams.remove(id, ann)
    await expect(accept(four.text)).rejects.toMatchObject(refused)
    clock.moveTo(five.expiresAtMs - 1)
    expect((await accept(five.text)).team).toBe(id)
    const six = await invitations.create(id, bob)
    clock.moveTo(six.expiresAtMs)
    expect(await teams.invitationCount(id)).toBe(0)
    await expect(accept(six.text)).rejects.toMatchObject(refused)
    await expect(invitations.create(ann, ann)).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[T3] so many invitations to a team are open at once, and made a minute', async () => {
    const { clock, teams, invitations, contact } = world()
    const { id } = await teams.create('Lab', ALL, null)
    for (let more = 10; more > 0; more--) await invitations.create(id, null)
    await expect(invitations.create(id, null)).rejects.toMatchObject({ reason: 'too-many-requests' })
    for (let more = INVITATIONS_MAX - 10; more > 0; more--) {
      clock.advance(6_000)
      await invitations.create(id, null)
    }
    clock.advance(60_000)
    await expect(invitations.create(id, null)).rejects.toMatchObject({ reason: 'bad-value' })
    await invitations.takeBack(id)
    expect((await invitations.accept((await invitations.create(id, null)).text, await contact(), null)).team).toBe(id)
  })

  it('[T5] an invitation ties for good: the whole families, the team’s own account too, also after both have left', async () => {
    const { teams, invitations, contact, linked } = world()
    const [ann, bob, cem, dora, stranger] = [await contact(), await contact(), await contact(), await contact(), await contact()]
    const first = await teams.create('First', ALL, ann)
    const accepted = await invitations.accept((await invitations.create(first.id, ann)).text, bob, null)
    expect(accepted).toEqual({ team: first.id, tied: [bob] })
    const second = await teams.create('Second', ALL, cem)
    await invitations.accept((await invitations.create(second.id, cem)).text, dora, null)
    // Bob joins a second family, and brings the first.
    const { tied } = await invitations.accept((await invitations.create(second.id, cem)).text, bob, null)
    expect([...tied].sort()).toEqual([ann, bob, first.id].sort())
    await teams.remove(first.id, bob)
    await teams.remove(second.id, bob)
    for (const other of [ann, cem, dora, first.id, second.id]) expect(await linked(bob, other)).toBe(true)
    expect(await linked(ann, dora)).toBe(true)
    for (const one of [ann, bob, dora, first.id]) expect(await linked(one, stranger)).toBe(false)
  })

  it('[T5] what an operator invites to, and makes, ties its members only as long as they are', async () => {
    const { accounts, teams, invitations, contact, linked } = world()
    const [chief, bob, cem] = [await contact(), await contact(), await contact()]
    await accounts.change(chief, { roles: ['operator'] })
    const { id } = await teams.create('Company', ALL, chief)
    await invitations.accept((await invitations.create(id, chief)).text, bob, null)
    await invitations.accept((await invitations.create(id, null)).text, cem, null)
    expect([await linked(bob, cem), await linked(bob, id)]).toEqual([true, true])
    await teams.remove(id, bob)
    expect([await linked(bob, cem), await linked(bob, id), await linked(bob, chief)]).toEqual([false, false, false])
  })

  it('[T5] nobody sheds a family by another device’s account, nor a removed device', async () => {
    const { accounts, devices, teams, invitations, pairing, contact, linked } = world()
    const [ann, fresh] = [await contact(), await contact()]
    const device = newIdentity()
    const { id: bob } = await accounts.contact(device, nowhere)
    const { id } = await teams.create('Lab', ALL, ann)
    await invitations.accept((await invitations.create(id, ann)).text, bob, null)
    await pairing.join((await pairing.create(fresh)).text, device, null)
    expect([await linked(fresh, ann), await teams.roleOf(id, fresh), await teams.roleOf(id, bob)]).toEqual([true, 'member', null])
    await devices.remove(fresh, device.subject)
    const { id: alone } = await accounts.contact(device, nowhere)
    expect([await linked(alone, ann), await teams.roleOf(id, alone)]).toEqual([true, null])
  })

  it('a device that brings the account of a team’s owner makes the other its owner, and its invitations go on', async () => {
    const { accounts, teams, invitations, pairing, contact } = world()
    const device = newIdentity()
    const { id: old } = await accounts.contact(device, nowhere)
    const ann = await contact()
    const { id } = await teams.create('Lab', ALL, old)
    await teams.add(id, ann)
    const { text } = await invitations.create(id, old)
    await pairing.join((await pairing.create(ann)).text, device, null)
    expect([await teams.roleOf(id, ann), await teams.roleOf(id, old)]).toEqual(['owner', null])
    expect((await invitations.accept(text, await contact(), null)).team).toBe(id)
  })
})
