/** Locked copies of keys, and devices that join an account: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import { EARNED } from '../../src/coordinator/ledger/index.ts'
import { toBase64Url, toHex } from '../../src/shared/index.ts'
import { ALL, accountWorld, newIdentity, nowhere, POLICY, randomBytes } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

const newCopy = () => ({ lookup: toHex(randomBytes(16)), iv: toBase64Url(randomBytes(12)), wrapped: toBase64Url(randomBytes(154)) })

describe.each(storeKinds)('copies and pairing on %s', (kind) => {
  const world = accountWorld(kind)

  it('[A1] [A2] one locked copy an identity, found under its name alone, replaced by a newer one', async () => {
    const { clock, accounts, recovery } = world()
    const [ann, bob] = [newIdentity(), newIdentity()]
    const { id } = await accounts.contact(ann, nowhere)
    await accounts.contact(bob, nowhere)
    const [first, second] = [newCopy(), newCopy()]
    await recovery.keep(ann, first)
    await recovery.keep(ann, first)
    expect(await recovery.find(first.lookup, null)).toEqual({ ...first, subject: ann.subject })
    await recovery.keep(ann, second)
    await expect(recovery.find(first.lookup, null)).rejects.toMatchObject({ reason: 'unknown-phrase' })
    expect(await recovery.list(id)).toEqual([{ ...second, subject: ann.subject, keptAtMs: clock.nowMs() }])
    await expect(recovery.keep(bob, { ...newCopy(), lookup: second.lookup })).rejects.toMatchObject({ reason: 'bad-value' })
    expect(await recovery.find(second.lookup, null)).toEqual({ ...second, subject: ann.subject })
    await expect(recovery.keep(newIdentity(), newCopy())).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[A3] names of copies are tried ten times a minute from one address block', async () => {
    const { clock, accounts, recovery } = world()
    const identity = newIdentity()
    await accounts.contact(identity, nowhere)
    const copy = newCopy()
    await recovery.keep(identity, copy)
    for (let left = 10; left > 0; left--)
      await expect(recovery.find(newCopy().lookup, `192.0.2.${left}`)).rejects.toMatchObject({ reason: 'unknown-phrase' })
    await expect(recovery.find(copy.lookup, '192.0.2.99')).rejects.toMatchObject({ reason: 'too-many-requests' })
    expect(await recovery.find(copy.lookup, '198.51.100.1')).toMatchObject(copy)
    clock.advance(6_000)
    expect(await recovery.find(copy.lookup, '192.0.2.99')).toMatchObject(copy)
  })

  it('a locked copy goes with its identity: to the account that it joins, and for good when that is erased', async () => {
    const { accounts, pairing, recovery, contact, everything } = world()
    const device = newIdentity()
    await accounts.contact(device, nowhere)
    const copy = newCopy()
    await recovery.keep(device, copy)
    const ann = await contact()
    await pairing.join((await pairing.create(ann)).text, device, '192.0.2.1')
    expect((await recovery.list(ann)).map(({ lookup }) => lookup)).toEqual([copy.lookup])
    expect(await recovery.find(copy.lookup, null)).toMatchObject({ subject: device.subject })
    expect(await everything()).toContain(copy.wrapped)
    await accounts.erase(ann)
    expect(await everything()).not.toContain(copy.wrapped)
    await expect(recovery.find(copy.lookup, null)).rejects.toMatchObject({ reason: 'unknown-phrase' })
  })

  it('a pairing code joins one device to the account, once, even if two come at once', async () => {
    const { accounts, pairing, contact, everything } = world()
    const ann = await contact()
    const { text } = await pairing.create(ann)
    const devices = [newIdentity(), newIdentity()]
    const joined = await Promise.allSettled(devices.map((device) => pairing.join(text.toLowerCase(), device, null)))
    expect(joined.filter(({ status }) => status === 'fulfilled')).toEqual([{ status: 'fulfilled', value: ann }])
    expect(joined.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { reason: 'bad-code' } })
    expect((await accounts.details(ann)).identities).toHaveLength(2)
    expect(await everything()).not.toContain(text.slice(-9))
  })

  it('a pairing code ends: after five wrong tries, after five minutes, with the next one; tries are limited by address', async () => {
    const { clock, pairing, contact } = world()
    const ann = await contact()
    const join = (code: string, address: string) => pairing.join(code, newIdentity(), address)
    const wrong = (code: string) => `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
    const first = (await pairing.create(ann)).text
    for (let left = 5; left > 0; left--) await expect(join(wrong(first), '192.0.2.1')).rejects.toMatchObject({ reason: 'bad-code' })
    await expect(join(first, '192.0.2.1')).rejects.toMatchObject({ reason: 'bad-code' })
    const second = (await pairing.create(ann)).text
    const third = await pairing.create(ann)
    await expect(join(second, '192.0.2.1')).rejects.toMatchObject({ reason: 'bad-code' })
    for (let left = 3; left > 0; left--) await expect(join('x', '192.0.2.2')).rejects.toMatchObject({ reason: 'bad-code' })
    await expect(join(third.text, '192.0.2.3')).rejects.toMatchObject({ reason: 'too-many-requests' })
    clock.moveTo(third.expiresAtMs - 1)
    const late = newIdentity()
    expect(await pairing.join(third.text, late, '192.0.2.3')).toBe(ann)
    const fourth = await pairing.create(ann)
    clock.moveTo(fourth.expiresAtMs)
    await expect(join(fourth.text, '192.0.2.3')).rejects.toMatchObject({ reason: 'bad-code' })
  })

  it('a device that joins hands over keys, teams and earned credits of the account that it leaves empty, later pay too, grants never', async () => {
    const { clock, ledger, accounts, keys, teams, starters, pairing, contact, issue, linked } = world()
    const device = newIdentity()
    const { id: old } = await accounts.contact(device, nowhere)
    const ann = await contact()
    const { key, text } = await keys.create(old, 'laptop', ALL)
    const team = await teams.create('Both', ALL, null)
    for (const member of [old, ann]) await teams.add(team.id, member)
    await issue(old, 70n)
    await starters.grant(old, null, POLICY)
    expect(await pairing.join((await pairing.create(ann)).text, device, null)).toBe(ann)
    expect((await accounts.contact(device, nowhere)).id).toBe(ann)
    expect((await accounts.details(old)).identities).toEqual([])
    expect((await keys.authorize(text, null)).account).toBe(ann)
    expect((await keys.list(ann)).map(({ id }) => id)).toEqual([key.id])
    expect((await teams.list()).find(({ id }) => id === team.id)?.members).toEqual([ann])
    const earned = async (id: string) => (await ledger.balances(id)).find(({ account }) => account.purse === EARNED)?.amount ?? 0n
    expect([await earned(old), await earned(ann)]).toEqual([0n, 70n])
    expect((await ledger.balances(old)).map(({ amount }) => amount)).toEqual([POLICY.amount])
    await issue(old, 5n)
    clock.advance(1)
    await Promise.all([pairing.forward(), pairing.forward()])
    expect([await earned(old), await earned(ann)]).toEqual([0n, 75n])
    expect(await linked(old, ann)).toBe(true)
  })

  it('a device that leaves others behind takes nothing from them', async () => {
    const { ledger, accounts, pairing, contact, issue, linked } = world()
    const [stays, goes] = [newIdentity(), newIdentity()]
    const { id: old } = await accounts.contact(stays, nowhere)
    await pairing.join((await pairing.create(old)).text, goes, null)
    await issue(old, 70n)
    const ann = await contact()
    await pairing.join((await pairing.create(ann)).text, goes, null)
    expect((await accounts.details(old)).identities).toEqual([stays])
    expect((await ledger.balances(old)).map(({ amount }) => amount)).toEqual([70n])
    expect((await accounts.contact(goes, nowhere)).id).toBe(ann)
    expect(await linked(old, ann)).toBe(true)
  })
})
