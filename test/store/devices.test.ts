/** The devices of an account, and what its owner may take along: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import { DEVICES_MAX } from '../../src/shared/index.ts'
import { ALL, accountWorld, DAY_MS, newIdentity, nowhere } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

describe.each(storeKinds)('devices on %s', (kind) => {
  const world = accountWorld(kind)

  /** An account of two devices, the first made a day before the second. */
  async function pair() {
    const made = world()
    const { clock, accounts, pairing } = made
    const [laptop, phone] = [newIdentity(), newIdentity()]
    const { id } = await accounts.contact(laptop, nowhere)
    clock.advance(DAY_MS)
    await pairing.join((await pairing.create(id)).text, phone, null)
    return { ...made, id, laptop, phone }
  }

  it('[A10] are listed with their name, since when and when last; a name is given and taken away by their account alone', async () => {
    const { clock, accounts, devices, contact, id, laptop, phone } = await pair()
    const pairedMs = clock.nowMs()
    clock.advance(5_000)
    await accounts.contact(phone, nowhere)
    await devices.rename(id, phone.subject, 'Ann’s phone')
    const [first, second] = await devices.list(id)
    expect(first).toEqual({
      subject: laptop.subject,
      name: '',
      addedAtMs: pairedMs - DAY_MS,
      seenAtMs: pairedMs - DAY_MS,
      removedAtMs: null,
    })
    expect(second).toEqual({
      subject: phone.subject,
      name: 'Ann’s phone',
      addedAtMs: pairedMs,
      seenAtMs: pairedMs + 5_000,
      removedAtMs: null,
    })
    await expect(devices.rename(await contact(), phone.subject, 'mine')).rejects.toMatchObject({ reason: 'unknown' })
    await expect(devices.rename(id, phone.subject, ' ')).rejects.toMatchObject({ reason: 'bad-value' })
    await devices.rename(id, phone.subject, '')
    expect((await devices.list(id))[1]?.name).toBe('')
  })

  it('[A11] a removed device speaks for an empty account of its own, linked to the one before, is told so, and knows no way back', async () => {
    const { clock, accounts, devices, pairing, keys, issue, linked, ledger, id, laptop, phone } = await pair()
    await issue(id, 70n)
    const { text } = await keys.create(id, 'laptop', ALL)
    const known = await pairing.create(id)
    await devices.rename(id, phone.subject, 'Ann’s phone')
    expect(await devices.remove(id, phone.subject)).toEqual(phone)
    const removedMs = clock.nowMs()
    const { id: alone } = await accounts.contact(phone, nowhere)
    expect(alone).not.toBe(id)
    expect(await devices.list(alone)).toMatchObject([{ subject: phone.subject, name: '', removedAtMs: removedMs }])
    expect((await devices.list(id)).map(({ subject }) => subject)).toEqual([laptop.subject])
    expect([await ledger.balances(alone), (await ledger.balances(id)).map(({ amount }) => amount)]).toEqual([[], [70n]])
    expect((await keys.authorize(text, null)).account).toBe(id)
    expect(await linked(id, alone)).toBe(true)
    await expect(pairing.join(known.text, phone, null)).rejects.toMatchObject({ reason: 'bad-code' })
    await devices.removalNoted(phone)
    expect(await devices.list(alone)).toMatchObject([{ removedAtMs: null }])
    await pairing.join((await pairing.create(id)).text, phone, null)
    expect((await accounts.contact(phone, nowhere)).id).toBe(id)
  })

  it('[A11] neither the only device of an account is removed, nor another account’s', async () => {
    const { accounts, devices, contact, id, laptop, phone } = await pair()
    await expect(devices.remove(await contact(), phone.subject)).rejects.toMatchObject({ reason: 'unknown' })
    await devices.remove(id, laptop.subject)
    await expect(devices.remove(id, phone.subject)).rejects.toMatchObject({ reason: 'not-allowed' })
    expect((await accounts.contact(phone, nowhere)).id).toBe(id)
  })

  it('[A11] of two devices that remove each other at once one stays', async () => {
    const { devices, id, laptop, phone } = await pair()
    const both = await Promise.allSettled([laptop, phone].map(({ subject }) => devices.remove(id, subject)))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await devices.list(id)).toHaveLength(1)
  })

  it(`[A10] an account has ${DEVICES_MAX} devices at most; a code is not used up by one too many`, async () => {
    const { clock, accounts, devices, pairing, contact } = world()
    const id = await contact()
    const join = async (device = newIdentity()) => {
      clock.advance(60_000)
      await pairing.join((await pairing.create(id)).text, device, null)
    }
    for (let more = DEVICES_MAX - 1; more > 0; more--) await join()
    clock.advance(60_000)
    const { text } = await pairing.create(id)
    const late = newIdentity()
    await expect(pairing.join(text, late, null)).rejects.toMatchObject({ reason: 'bad-value' })
    const [one] = await devices.list(id)
    await devices.remove(id, one?.subject ?? '')
    await join(late)
    expect((await accounts.contact(late, nowhere)).id).toBe(id)
  })

  it('[A12] an export has the account’s facts, keys and every posting to it, page after page', async () => {
    const { accounts, devices, exports, keys, teams, issue, id, laptop, phone } = await pair()
    await accounts.change(id, { name: 'Ann' })
    await devices.rename(id, laptop.subject, 'old laptop')
    const team = await teams.create('Lab', ALL, id)
    for (let more = 51; more > 0; more--) {
      const { key } = await keys.create(id, `key ${more}`, ALL)
      await keys.revoke(key.id, id)
    }
    await Promise.all(Array.from({ length: 205 }, () => issue(id, 1n)))
    const [facts] = (await exports.facts(id)).records
    expect(facts).toMatchObject({
      id,
      name: 'Ann',
      devices: [{ key: laptop.subject, name: 'old laptop' }, { key: phone.subject }],
      teams: [{ id: team.id, name: 'Lab', isOwner: true }],
    })
    const firstKeys = await exports.keys(id, 0)
    expect([firstKeys.records.length, firstKeys.next]).toEqual([50, 50])
    expect(await exports.keys(id, 50)).toMatchObject({ records: [{ name: 'key 1', revoked: expect.any(String) }], next: null })
    const first = await exports.lines(id, 0)
    const rest = await exports.lines(id, first.next ?? 0)
    expect([first.records.length, rest.records.length, rest.next]).toEqual([200, 5, null])
    const lines = [...first.records, ...rest.records]
    expect(new Set(lines.map(({ sequence }) => sequence)).size).toBe(205)
    expect(new Set(lines.map(({ account, credits }) => `${account} ${credits}`))).toEqual(new Set([`user:${id}::earned 0.000001`]))
    await expect(exports.facts('nobody')).rejects.toMatchObject({ reason: 'unknown' })
  })
})
