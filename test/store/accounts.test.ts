/** Accounts, keys, teams and starter grants: what both databases must do alike. Each describe opens one store, whose tests share it. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { areLinked, type Identity, type KeyScope, keyIdentity, type StarterPolicy } from '../../src/coordinator/accounts/index.ts'
import { type Command, DEFAULT_PRICES, EARNED, grantedUntil } from '../../src/coordinator/ledger/index.ts'
import {
  AccountStore,
  KeyStore,
  LedgerStore,
  PairingStore,
  RecoveryStore,
  StarterStore,
  TeamStore,
  writeBackup,
} from '../../src/coordinator/store/index.ts'
import { nodeClock } from '../../src/node/modelFile.ts'
import { required, type StatementLine, toBase64Url, toHex } from '../../src/shared/index.ts'
import { NOON_MS } from '../support/ledger/commands.ts'
import { type SharedDatabase, shareDatabase, storeKinds } from '../support/ledger/stores.ts'

const DAY_MS = 86_400_000
const ALL: KeyScope = { models: null, pools: null, budget: null, requestsAMinute: null }
const nowhere = { address: null }
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const newIdentity = (): Identity => keyIdentity(randomBytes(65))

describe.each(storeKinds)('accounts on %s', (kind) => {
  /** Time stands where a test puts it; timers run. */
  const clock = { nowMs: () => nowMs, after: nodeClock.after }
  const tools = { clock, randomBytes }
  let nowMs = NOON_MS
  let shared: SharedDatabase
  let ledger: LedgerStore
  let accounts: AccountStore
  let keys: KeyStore
  let teams: TeamStore
  let starters: StarterStore
  let pairing: PairingStore
  let recovery: RecoveryStore

  beforeAll(async () => {
    shared = await shareDatabase(kind)
    ledger = await LedgerStore.open(shared.database, tools)
    accounts = new AccountStore(shared.database, tools)
    keys = new KeyStore(shared.database, tools)
    teams = new TeamStore(shared.database, accounts)
    starters = new StarterStore(shared.database, ledger, tools)
    pairing = new PairingStore(shared.database, ledger, tools)
    recovery = new RecoveryStore(shared.database, tools)
    await ledger.post({ kind: 'price', version: 0, table: DEFAULT_PRICES })
  })
  afterAll(async () => {
    await ledger.close()
    await shared.close()
  })
  beforeEach(() => {
    // Days of their own: a test's pool and months are empty.
    nowMs += 400 * DAY_MS
  })

  const contact = async (address: string | null = null, inviter?: string) =>
    (await accounts.contact(newIdentity(), inviter === undefined ? { address } : { address, inviter })).id
  const issue = (account: string, amount: bigint) =>
    ledger.post({ kind: 'issue', reference: `i-${crypto.randomUUID()}`, account, purse: EARNED, amount, note: '' })
  const linked = async (a: string, b: string) => {
    const ties = await accounts.ties([a, b])
    return areLinked(required(ties.get(a), 'ties'), required(ties.get(b), 'ties'))
  }
  const everything = async () => {
    const lines: string[] = []
    await writeBackup(shared.database, (line) => void lines.push(line))
    return lines.join('\n')
  }

  it('the first contact of a key makes its account, later ones find it, even two at once', async () => {
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
    const id = await contact()
    expect(await accounts.change(id, { name: 'Ann', roles: ['volunteer', 'operator'] })).toMatchObject({
      name: 'Ann',
      roles: ['operator', 'volunteer'],
    })
    await expect(accounts.change(id, { name: ' ' })).rejects.toMatchObject({ reason: 'bad-value' })
    await expect(accounts.change('nobody', { name: 'Ann' })).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[O2] [O4] are counted and found by the beginning of their id or a part of their name, a page at a time, erased ones never', async () => {
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

  it('[O2] the ledger’s totals by kind are zero together, and what accounts can spend is theirs alone', async () => {
    const [ann, bob] = [await contact(), await contact()]
    const before = await ledger.totals()
    await issue(ann, 100n)
    await ledger.post({ kind: 'hold', session: `to-${ann}`, account: ann, amount: 30n, priceVersion: 0, tier: 'standard' })
    const after = await ledger.totals()
    const gain = (of: string) => (after.get(of) ?? 0n) - (before.get(of) ?? 0n)
    expect([gain('issuance'), gain('user'), gain('hold')]).toEqual([-100n, 70n, 30n])
    expect([...after.values()].reduce((all, one) => all + one, 0n)).toBe(0n)
    expect(await ledger.spendable([ann, bob])).toEqual(new Map([[ann, 70n]]))
    await ledger.post({ kind: 'release', session: `to-${ann}` })
  })

  it('public address blocks link for 30 days, private ones and loopback never', async () => {
    const [ann, bob, far] = [await contact('203.0.113.1'), await contact('::ffff:203.0.113.9'), await contact('198.51.100.1')]
    expect([await linked(ann, bob), await linked(ann, far)]).toEqual([true, false])
    for (const address of ['192.168.1.4', '127.0.0.1']) expect(await linked(await contact(address), await contact(address))).toBe(false)
    nowMs += 30 * DAY_MS
    expect(await linked(ann, bob)).toBe(true)
    nowMs += 1
    expect(await linked(ann, bob)).toBe(false)
    expect(await everything()).toContain('203.0.113.0/24')
    await accounts.forgetBlocks()
    expect(await everything()).not.toContain('203.0.113.0/24')
  })

  it('a chain of invitations links its ends, an operator’s invitation nobody', async () => {
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
    const identity = newIdentity()
    const { id } = await accounts.contact(identity, { address: '192.0.2.77' })
    await accounts.change(id, { name: 'Ann Erasable' })
    const { key, text } = await keys.create(id, 'Erasable laptop', ALL)
    const team = await teams.create('Those who stay', ALL)
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

  it('an API key is shown once, kept as a hash, and opens its account until it is revoked', async () => {
    const id = await contact()
    const { key, text } = await keys.create(id, 'laptop', { ...ALL, models: ['m'], requestsAMinute: 4 })
    expect(await everything()).toContain(key.id)
    expect(await everything()).not.toContain(text.slice(-43))
    const request = { model: 'm', pool: 'public' }
    expect(await keys.authorize(text, request)).toMatchObject({
      id: key.id,
      account: id,
      models: ['m'],
      requestsAMinute: 4,
      usedAtMs: null,
    })
    await expect(keys.authorize(text, { ...request, model: 'n' })).rejects.toMatchObject({ reason: 'not-allowed' })
    nowMs += 59_999
    await keys.authorize(text, null)
    expect((await keys.list(id))[0]?.usedAtMs).toBe(nowMs - 59_999)
    nowMs += 1
    await keys.authorize(text, null)
    expect((await keys.list(id))[0]?.usedAtMs).toBe(nowMs)
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
    nowMs += 1_000
    await keys.revoke(key.id, null)
    expect((await keys.list(id))[0]?.revokedAtMs).toBe(revokedAtMs)
    expect((await keys.authorize(other.text, null)).id).toBe(other.key.id)
    await expect(keys.revoke('nothing', null)).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[A9] an account has fifty keys that open something; one that is revoked makes room', async () => {
    const id = await contact()
    const { key } = await keys.create(id, 'first', ALL)
    for (let more = 49; more > 0; more--) await keys.create(id, 'another', ALL)
    await expect(keys.create(id, 'one too many', ALL)).rejects.toMatchObject({ reason: 'bad-value' })
    await keys.revoke(key.id, id)
    await keys.create(id, 'in its place', ALL)
    await expect(keys.create(id, 'one too many', ALL)).rejects.toMatchObject({ reason: 'bad-value' })
  })

  it('a budget bears what fits, however many ask at once; a session counts once, and what it left is free again', async () => {
    const { key } = await keys.create(await contact(), 'k', { ...ALL, budget: 100n })
    const session = (index: number) => `b-${key.id}-${index}`
    const answers = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => keys.reserve(key.id, session(index), 30n)))
    const taken = answers.flatMap(({ status }, index) => (status === 'fulfilled' ? [session(index)] : []))
    expect(taken).toHaveLength(3)
    expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { reason: 'over-budget' } })
    const [first = '', second = ''] = taken
    await keys.reserve(key.id, first, 30n)
    await keys.charge(first, 10n)
    await keys.charge(first, 30n)
    await keys.charge(second, 0n)
    const spent = async () => required((await keys.list(key.account))[0], 'the key').spent
    expect(await spent()).toBe(40n)
    await expect(keys.charge(required(taken[2], 'a session'), 31n)).rejects.toThrow()
    await keys.revoke(key.id, null)
    await expect(keys.reserve(key.id, session(99), 1n)).rejects.toMatchObject({ reason: 'bad-key' })
    expect(await spent()).toBe(40n)
  })

  it('a team: one balance, keys with a budget each, models of the team within those of the key, members who are linked', async () => {
    const [ann, bob, other] = [await contact(), await contact(), await contact()]
    const team = await teams.create('Lab', { models: ['m'], pools: ['trusted'] })
    for (const member of [ann, bob, bob]) await teams.add(team.id, member)
    expect((await teams.list()).find(({ id }) => id === team.id)).toEqual({ ...team, members: [ann, bob].sort() })
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

  const policy: StarterPolicy = { amount: 1_000_000n, poolADay: 5_000_000n, grantsABlock: 2 }

  it('a starter grant: one an account, so many a block and a day, spent within 30 days or posted back', async () => {
    const ann = await contact()
    const grant = await starters.grant(ann, '203.0.113.1', policy)
    expect(grant).toEqual({ amount: 1_000_000n, lastDay: new Date(nowMs + 30 * DAY_MS).toISOString().slice(0, 10) })
    expect(await starters.grant(ann, '198.51.100.1', policy)).toEqual(grant)
    expect((await ledger.balances(ann)).map(({ account, amount }) => [account.purse, amount])).toEqual([
      [grantedUntil(grant.lastDay), 1_000_000n],
    ])
    expect(await starters.issuedToday()).toBe(1_000_000n)
    const inBlock = await Promise.allSettled(
      (await Promise.all([1, 2, 3].map(() => contact()))).map((id) => starters.grant(id, '203.0.113.200', policy)),
    )
    expect(inBlock.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    // Loopback is no block.
    for (let rest = 0; rest < 3; rest++) await starters.grant(await contact(), '127.0.0.1', policy)
    const late = await contact()
    await expect(starters.grant(late, '127.0.0.1', policy)).rejects.toMatchObject({ reason: 'no-grant' })
    nowMs += DAY_MS
    await starters.grant(late, '127.0.0.1', policy)
    nowMs += 29 * DAY_MS
    expect(await starters.expire()).toBe(0)
    nowMs += DAY_MS
    expect(await starters.expire()).toBe(5)
    expect(await ledger.balances(ann)).toEqual([])
    expect(await ledger.balances(late)).toHaveLength(1)
    await expect(starters.grant('nobody', null, policy)).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('a grant that was decided when the ledger failed is posted by the next contact, as it was decided', async () => {
    const ann = await contact()
    const failing = new StarterStore(shared.database, { post: () => Promise.reject(new Error('gone')) }, tools)
    await expect(failing.grant(ann, null, policy)).rejects.toThrow('gone')
    const { lastDay } = await starters.grant(ann, null, { ...policy, poolADay: 0n })
    expect((await ledger.balances(ann)).map(({ account, amount }) => [account.purse, amount])).toEqual([
      [grantedUntil(lastDay), 1_000_000n],
    ])
  })

  it('100 sybils, each requester and volunteer in a ring, gain no transferable credit, and from one house only two grants', async () => {
    const sybils = await Promise.all(Array.from({ length: 100 }, (_, index) => contact(`203.0.${index % 50}.9`)))
    const rich: StarterPolicy = { ...policy, poolADay: 1_000_000_000n }
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

  const newCopy = () => ({ lookup: toHex(randomBytes(16)), iv: toBase64Url(randomBytes(12)), wrapped: toBase64Url(randomBytes(154)) })

  it('[A1] [A2] one locked copy an identity, found under its name alone, replaced by a newer one', async () => {
    const [ann, bob] = [newIdentity(), newIdentity()]
    const { id } = await accounts.contact(ann, nowhere)
    await accounts.contact(bob, nowhere)
    const [first, second] = [newCopy(), newCopy()]
    await recovery.keep(ann, first)
    await recovery.keep(ann, first)
    expect(await recovery.find(first.lookup, null)).toEqual({ ...first, subject: ann.subject })
    await recovery.keep(ann, second)
    await expect(recovery.find(first.lookup, null)).rejects.toMatchObject({ reason: 'unknown-phrase' })
    expect(await recovery.list(id)).toEqual([{ ...second, subject: ann.subject, keptAtMs: nowMs }])
    await expect(recovery.keep(bob, { ...newCopy(), lookup: second.lookup })).rejects.toMatchObject({ reason: 'bad-value' })
    expect(await recovery.find(second.lookup, null)).toEqual({ ...second, subject: ann.subject })
    await expect(recovery.keep(newIdentity(), newCopy())).rejects.toMatchObject({ reason: 'unknown' })
  })

  it('[A3] names of copies are tried ten times a minute from one address block', async () => {
    const identity = newIdentity()
    await accounts.contact(identity, nowhere)
    const copy = newCopy()
    await recovery.keep(identity, copy)
    for (let left = 10; left > 0; left--)
      await expect(recovery.find(newCopy().lookup, `192.0.2.${left}`)).rejects.toMatchObject({ reason: 'unknown-phrase' })
    await expect(recovery.find(copy.lookup, '192.0.2.99')).rejects.toMatchObject({ reason: 'too-many-requests' })
    expect(await recovery.find(copy.lookup, '198.51.100.1')).toMatchObject(copy)
    nowMs += 6_000
    expect(await recovery.find(copy.lookup, '192.0.2.99')).toMatchObject(copy)
  })

  it('a locked copy goes with its identity: to the account that it joins, and for good when that is erased', async () => {
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
    nowMs = third.expiresAtMs - 1
    const late = newIdentity()
    expect(await pairing.join(third.text, late, '192.0.2.3')).toBe(ann)
    const fourth = await pairing.create(ann)
    nowMs = fourth.expiresAtMs
    await expect(join(fourth.text, '192.0.2.3')).rejects.toMatchObject({ reason: 'bad-code' })
  })

  it('a device that joins hands over keys, teams and earned credits of the account that it leaves empty, later pay too, grants never', async () => {
    const device = newIdentity()
    const { id: old } = await accounts.contact(device, nowhere)
    const ann = await contact()
    const { key, text } = await keys.create(old, 'laptop', ALL)
    const team = await teams.create('Both', ALL)
    for (const member of [old, ann]) await teams.add(team.id, member)
    await issue(old, 70n)
    await starters.grant(old, null, policy)
    expect(await pairing.join((await pairing.create(ann)).text, device, null)).toBe(ann)
    expect((await accounts.contact(device, nowhere)).id).toBe(ann)
    expect((await accounts.details(old)).identities).toEqual([])
    expect((await keys.authorize(text, null)).account).toBe(ann)
    expect((await keys.list(ann)).map(({ id }) => id)).toEqual([key.id])
    expect((await teams.list()).find(({ id }) => id === team.id)?.members).toEqual([ann])
    const earned = async (id: string) => (await ledger.balances(id)).find(({ account }) => account.purse === EARNED)?.amount ?? 0n
    expect([await earned(old), await earned(ann)]).toEqual([0n, 70n])
    expect((await ledger.balances(old)).map(({ amount }) => amount)).toEqual([policy.amount])
    await issue(old, 5n)
    nowMs += 1
    await Promise.all([pairing.forward(), pairing.forward()])
    expect([await earned(old), await earned(ann)]).toEqual([0n, 75n])
    expect(await linked(old, ann)).toBe(true)
  })

  it('a device that leaves others behind takes nothing from them', async () => {
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

  it('[E11] a month is read in parts that fit, each from where the one before ended, with the month’s balances', async () => {
    const ann = await contact()
    nowMs = Date.UTC(2050, 4, 31)
    await issue(ann, 1_000n)
    nowMs = Date.UTC(2050, 5, 1)
    for (let at = 0; at < 5; at++) {
      const command = { kind: 'hold', session: `pa-${ann}-${at}`, account: ann, amount: 10n, priceVersion: 0, tier: 'standard' } as const
      await ledger.post(command)
    }
    nowMs = Date.UTC(2050, 6, 1)
    await issue(ann, 7n)
    const parts: number[] = []
    const sequences: number[] = []
    for (let from: number | null = 0; from !== null; ) {
      const page = await ledger.statementPage(ann, '2050-06', from, 2)
      expect(page).toMatchObject({ opening: { available: 1_000n, held: 0n }, closing: { available: 950n, held: 50n } })
      parts.push(page.lines.length)
      sequences.push(...page.lines.map(({ sequence }) => sequence))
      from = page.next
    }
    expect(parts).toEqual([2, 2, 1])
    expect(new Set(sequences).size).toBe(5)
    expect((await ledger.statementPage(await contact(), '2050-06', 0, 100)).lines).toEqual([])
    await expect(ledger.statementPage(ann, '2050-13', 0, 2)).rejects.toMatchObject({ reason: 'not-allowed' })
  })

  it('a month’s statement begins with what was there, and ends with what the next begins with', async () => {
    const ann = await contact()
    const session = (index: number) => `st-${ann}-${index}`
    const work = { decode: 1_000_000n, prompt: 0n, cachedPrompt: 0n }
    nowMs = Date.UTC(2040, 0, 1)
    await issue(ann, 1_000n)
    for (const index of [0, 1, 2]) {
      await ledger.post({ kind: 'hold', session: session(index), account: ann, amount: 10n, priceVersion: 0, tier: 'standard' })
      if (index === 1) nowMs = Date.UTC(2040, 1, 1)
      await ledger.post({ kind: 'settle', session: session(index), part: 0, work, stages: [{ account: 'st-bob', work, newcomer: false }] })
      await ledger.post({ kind: 'release', session: session(index) })
    }
    const read = async (month: string) => {
      const lines: StatementLine[] = []
      const summary = await ledger.statement(ann, month, { opening: () => undefined, line: (line) => void lines.push(line) })
      return { ...summary, lines }
    }
    const [january, february, march] = [await read('2040-01'), await read('2040-02'), await read('2040-03')]
    expect(january.lines.map(({ event }) => event.split('/')[0])).toEqual(['issue', 'hold', 'settle', 'release', 'hold'])
    expect([january.closing, january.spent]).toEqual([{ available: 989n, held: 10n, escrow: 0n, granted: 0n }, 1n])
    expect(february.opening).toEqual(january.closing)
    expect([february.lines.length, february.spent, february.closing.available]).toEqual([5, 2n, 997n])
    expect(march).toMatchObject({ opening: february.closing, closing: february.closing, lines: [] })
    await expect(read('2040-13')).rejects.toMatchObject({ reason: 'not-allowed' })
  })
})
