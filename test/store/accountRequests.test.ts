/** What tabs ask of their accounts and teams, through the desks and real databases: who may what, and what of it the store keeps. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_STARTER_POLICY, keyIdentity } from '../../src/coordinator/accounts/index.ts'
import { Economy } from '../../src/coordinator/economy/index.ts'
import { EARNED } from '../../src/coordinator/ledger/index.ts'
import { type CoordinatorStore, openStore } from '../../src/coordinator/store/index.ts'
import { checkLedger, type LedgerCheckPorts } from '../../src/peer/ledgerCheck.ts'
import {
  type AccountAnswerTo,
  type AccountAsk,
  type AccountAskOf,
  type LedgerHead,
  parseClientMessage,
  parseServerMessage,
  type ServerMessage,
} from '../../src/protocol/index.ts'
import { type PeerId, required, toHex } from '../../src/shared/index.ts'
import { type SharedDatabase, shareDatabase, storeKinds } from '../support/ledger/stores.ts'
import { NO_AUDITS } from '../support/noAudits.ts'
import { clock, sha256, verify } from '../unit/coordinator/serverWorld.ts'

const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const newReference = () => toHex(randomBytes(16))

describe.each(storeKinds)('requests about accounts on %s', (kind) => {
  let shared: SharedDatabase
  let store: CoordinatorStore
  let economy: Economy
  const told: { readonly peerId: PeerId; readonly message: ServerMessage }[] = []

  beforeAll(async () => {
    shared = await shareDatabase(kind)
    await shared.database.close()
    store = await openStore(shared.place, { clock, randomBytes })
    economy = new Economy(
      {
        store: Promise.resolve(store),
        models: new Map(),
        starters: DEFAULT_STARTER_POLICY,
        reserveADay: 0n,
        verification: {},
        audits: NO_AUDITS,
        canaries: null,
        newSessionId: () => {
          throw new Error('nobody asks here')
        },
        random: Math.random,
        randomBytes,
        clock,
        verify,
        log: () => undefined,
      },
      { tell: (peerId, message) => void told.push({ peerId, message }), fail: () => undefined },
    )
  })
  afterAll(async () => {
    await economy.close()
    await shared.remove()
  })

  /** A tab of a device, of a new one where none is named. What it asks and is answered is what the wire takes. */
  async function join(accountKey = randomBytes(65)) {
    const peerId = toHex(randomBytes(16)) as PeerId
    economy.identified({ peerId, publicKey: randomBytes(65), accountKey, address: null })
    const tell = async (ask: AccountAsk): Promise<ServerMessage> => {
      const message = parseClientMessage(JSON.stringify({ type: 'account-request', requestId: 'r', ask }))
      if (!message.ok || message.value.type !== 'account-request') throw new Error(JSON.stringify(message))
      await economy.request(peerId, message.value)
      const last = told.findLast((one) => one.peerId === peerId && ['account-answer', 'refused'].includes(one.message.type))
      const answer = parseServerMessage(JSON.stringify(last?.message))
      if (!answer.ok) throw new Error(answer.error)
      return answer.value
    }
    const ask = async <Kind extends AccountAsk['kind']>(one: AccountAskOf<Kind>): Promise<AccountAnswerTo<Kind>> => {
      const message = await tell(one)
      if (message.type !== 'account-answer') throw new Error(JSON.stringify(message))
      return message.answer as AccountAnswerTo<Kind>
    }
    const refusal = async (one: AccountAsk): Promise<string> => {
      const message = await tell(one)
      return message.type === 'refused' ? message.reason : message.type
    }
    const identity = keyIdentity(accountKey)
    const account = async () => (await store.accounts.contact(identity, { address: null })).id
    return { accountKey, key: identity.subject, ask, refusal, account, id: await account() }
  }

  const ALL = { models: null, pools: null }
  const issue = (account: string, amount: bigint) =>
    store.ledger.post({ kind: 'issue', reference: `i-${crypto.randomUUID()}`, account, purse: EARNED, amount, note: '' })

  it('[T1] [T2] a team is its owners’ to manage: members see what they may, strangers nothing', async () => {
    const [ann, bob, eve] = [await join(), await join(), await join()]
    const { team } = await ann.ask<'create-team'>({ kind: 'create-team', name: 'Lab', models: ['m'], pools: ['trusted'] })
    const teamId = team.id
    const { code } = await ann.ask<'invite'>({ kind: 'invite', teamId })
    await bob.ask<'accept-invitation'>({ kind: 'accept-invitation', code })
    const listed = { id: teamId, name: 'Lab', models: ['m'], pools: ['trusted'], memberCount: 2, spendable: '0' }
    expect((await ann.ask<'teams'>({ kind: 'teams' })).teams).toEqual([{ ...listed, isOwner: true }])
    expect((await bob.ask<'teams'>({ kind: 'teams' })).teams).toEqual([{ ...listed, isOwner: false }])
    expect((await eve.ask<'teams'>({ kind: 'teams' })).teams).toEqual([])
    const seen = await ann.ask<'team'>({ kind: 'team', teamId })
    expect(seen.members?.map(({ accountId, isOwner }) => [accountId, isOwner])).toEqual([
      [ann.id, true],
      [bob.id, false],
    ])
    expect(await bob.ask<'team'>({ kind: 'team', teamId })).toEqual({ kind: 'team', members: null, invitations: 0 })
    const scope = { budget: null, requestsAMinute: null, ...ALL }
    const forOwners: readonly AccountAsk[] = [
      { kind: 'change-team', teamId, name: 'Mine', ...ALL },
      { kind: 'invite', teamId },
      { kind: 'take-back-invitations', teamId },
      { kind: 'change-member', teamId, accountId: bob.id, isOwner: true },
      { kind: 'remove-member', teamId, accountId: ann.id },
      { kind: 'key-budget', teamId, keyId: '0'.repeat(16), budget: '1' },
      { kind: 'keys', teamId },
      { kind: 'create-key', teamId, name: 'k', ...scope },
      { kind: 'revoke-key', teamId, keyId: '0'.repeat(16) },
    ]
    for (const one of forOwners) expect(await bob.refusal(one)).toBe('not-allowed')
    const forMembers: readonly AccountAsk[] = [
      { kind: 'team', teamId },
      { kind: 'fund-team', teamId, amount: '1', reference: newReference() },
    ]
    for (const one of [...forOwners, ...forMembers]) expect(await eve.refusal(one)).toBe('unknown')
    expect(await ann.refusal({ kind: 'remove-member', teamId, accountId: ann.id })).toBe('not-allowed')
    expect(await ann.refusal({ kind: 'change-member', teamId, accountId: eve.id, isOwner: true })).toBe('unknown')
    await ann.ask<'change-member'>({ kind: 'change-member', teamId, accountId: bob.id, isOwner: true })
    await bob.ask<'remove-member'>({ kind: 'remove-member', teamId, accountId: ann.id })
    expect(await ann.refusal({ kind: 'keys', teamId })).toBe('unknown')
    expect((await bob.ask<'team'>({ kind: 'team', teamId })).members?.length).toBe(1)
  })

  it('[T1] who may not ask for answers makes no team', async () => {
    const ann = await join()
    await store.accounts.change(ann.id, { roles: ['volunteer'] })
    expect(await ann.refusal({ kind: 'create-team', name: 'Lab', ...ALL })).toBe('not-allowed')
    await store.accounts.change(ann.id, { roles: ['requester'] })
    expect((await ann.ask<'create-team'>({ kind: 'create-team', name: 'Lab', ...ALL })).team.name).toBe('Lab')
  })

  it('[T4] a team’s keys are made, given a budget and revoked by its owner, and are not those of the owner’s account', async () => {
    const ann = await join()
    const { team } = await ann.ask<'create-team'>({ kind: 'create-team', name: 'Lab', ...ALL })
    const of = { teamId: team.id }
    const made = await ann.ask<'create-key'>({
      kind: 'create-key',
      ...of,
      name: 'ci',
      models: ['m'],
      pools: ['trusted'],
      budget: '5',
      requestsAMinute: 3,
    })
    expect(await store.keys.authorize(made.text, { model: 'm', pool: 'trusted' })).toMatchObject({ account: team.id, budget: 5n })
    expect((await ann.ask<'keys'>({ kind: 'keys' })).keys).toEqual([])
    expect(await ann.refusal({ kind: 'revoke-key', keyId: made.key.id })).toBe('unknown')
    await ann.ask<'key-budget'>({ kind: 'key-budget', ...of, keyId: made.key.id, budget: '7' })
    expect((await ann.ask<'keys'>({ kind: 'keys', ...of })).keys).toMatchObject([{ name: 'ci', pools: ['trusted'], budget: '7' }])
    await ann.ask<'change-team'>({ kind: 'change-team', ...of, name: 'Lab', models: ['n'], pools: null })
    await expect(store.keys.authorize(made.text, { model: 'm', pool: 'trusted' })).rejects.toMatchObject({ reason: 'not-allowed' })
    await ann.ask<'revoke-key'>({ kind: 'revoke-key', ...of, keyId: made.key.id })
    expect((await ann.ask<'keys'>({ kind: 'keys', ...of })).keys).toEqual([])
  })

  it('[T6] earned credits are given to a team once, granted ones never', async () => {
    const [ann, bob] = [await join(), await join()]
    const { team } = await ann.ask<'create-team'>({ kind: 'create-team', name: 'Lab', ...ALL })
    const { code } = await ann.ask<'invite'>({ kind: 'invite', teamId: team.id })
    await bob.ask<'accept-invitation'>({ kind: 'accept-invitation', code })
    for (const { id } of [ann, bob]) await issue(id, 100n)
    const reference = newReference()
    const fund = (amount: string) => ({ kind: 'fund-team' as const, teamId: team.id, amount, reference })
    for (const who of [ann, ann, bob]) await who.ask<'fund-team'>(fund('60'))
    expect((await bob.ask<'teams'>({ kind: 'teams' })).teams[0]?.spendable).toBe('120')
    expect((await store.ledger.balances(ann.id)).map(({ amount }) => amount)).toEqual([40n])
    await store.starters.grant(ann.id, null)
    expect(await ann.refusal({ ...fund('41'), reference: newReference() })).toBe('bad-value')
    await store.ledger.audit()
  })

  it('[A10] [A11] a device is named and removed by another, and knows it until it says so', async () => {
    const laptop = await join()
    const phone = await join()
    const { code } = await laptop.ask<'pair'>({ kind: 'pair' })
    await phone.ask<'join'>({ kind: 'join', code })
    await laptop.ask<'name-device'>({ kind: 'name-device', publicKey: phone.key, name: 'phone' })
    const { devices, own, removedAtMs } = await laptop.ask<'devices'>({ kind: 'devices' })
    expect(devices.map(({ publicKey, name, isConnected }) => [publicKey, name, isConnected])).toEqual([
      [laptop.key, '', true],
      [phone.key, 'phone', true],
    ])
    expect([own, removedAtMs]).toEqual([laptop.key, null])
    await laptop.ask<'remove-device'>({ kind: 'remove-device', publicKey: phone.key })
    expect(await phone.account()).not.toBe(laptop.id)
    const later = await join(phone.accountKey)
    expect(await later.ask<'devices'>({ kind: 'devices' })).toMatchObject({ own: phone.key, removedAtMs: expect.any(Number) })
    expect((await later.ask<'export'>({ kind: 'export', part: 'facts', from: 0 })).records[0]).toMatchObject({ id: await phone.account() })
    await later.ask<'removal-noted'>({ kind: 'removal-noted' })
    expect(await phone.ask<'devices'>({ kind: 'devices' })).toMatchObject({ removedAtMs: null })
  })

  it('[E13] [E14] an account checks that its lines are in the ledger, and that each head extends the last: a change of either is told', async () => {
    const ann = await join()
    for (let more = 17; more > 0; more--) await issue(ann.id, 1n)
    let kept: LedgerHead | null = null
    const ports: LedgerCheckPorts = {
      askHead: (seen) => ann.ask<'ledger-head'>({ kind: 'ledger-head', seen }),
      askLines: (from, size) => ann.ask<'proven-lines'>({ kind: 'proven-lines', from, size }),
      vault: {
        read: async () => kept,
        write: async (head) => {
          kept = head
        },
        forget: async () => {
          kept = null
        },
      },
      sha256,
      verify,
    }
    const check = (changed: Partial<LedgerCheckPorts> = {}) => checkLedger(ann.id, { ...ports, ...changed })
    const first = await check()
    expect(first).toMatchObject({ kind: 'right', seen: null, lines: 17 })
    await issue(ann.id, 1n)
    const second = await check()
    expect(second).toMatchObject({ kind: 'right', seen: first.head, lines: 18 })
    const head = required<LedgerHead>(second.head ?? undefined, 'a head')
    const broken = async (changed: Partial<LedgerCheckPorts>) => {
      expect(await check(changed)).toMatchObject({ kind: 'broken' })
      expect(kept).toEqual(head)
    }
    const sawOther = (seen: LedgerHead) => ({ vault: { ...ports.vault, read: async () => seen } })
    await broken(sawOther({ ...head, size: head.size - 1, root: 'ab'.repeat(32) }))
    await broken(sawOther({ ...head, size: head.size + 1 }))
    await broken(sawOther({ ...head, publicKey: 'A'.repeat(87) }))
    await broken({ askHead: async (seen) => ({ ...(await ports.askHead(seen)), head: { ...head, root: 'ab'.repeat(32) } }) })
    await broken({
      askLines: async (from, size) => {
        const page = await ports.askLines(from, size)
        return { ...page, lines: page.lines.map((line) => ({ ...line, text: line.text.replace('"1"', '"2"') })) }
      },
    })
    const stranger = await join()
    await broken({
      askLines: (from, size) =>
        ann
          .ask<'proven-lines'>({ kind: 'proven-lines', from, size })
          .then((page) => ({ ...page, lines: page.lines.map((line) => ({ ...line, text: line.text.replaceAll(ann.id, stranger.id) })) })),
    })
    expect((await stranger.ask<'proven-lines'>({ kind: 'proven-lines', from: 0, size: head.size })).lines).toEqual([])
    expect((await check()).kind).toBe('right')
  })

  it('[A12] [A13] an account is exported, then erased: its devices begin anew, its lines stay under its id', async () => {
    const ann = await join()
    await store.accounts.change(ann.id, { name: 'Ann Erasable' })
    const { key, text } = await ann.ask<'create-key'>({
      kind: 'create-key',
      name: 'laptop',
      models: null,
      budget: null,
      requestsAMinute: null,
    })
    await issue(ann.id, 5n)
    const part = async (name: 'facts' | 'keys' | 'ledger') => (await ann.ask<'export'>({ kind: 'export', part: name, from: 0 })).records
    expect(await part('facts')).toMatchObject([{ id: ann.id, name: 'Ann Erasable', devices: [{ key: ann.key }] }])
    expect(await part('keys')).toMatchObject([{ id: key.id, name: 'laptop' }])
    expect(await part('ledger')).toMatchObject([{ account: `user:${ann.id}::earned`, credits: '0.000005' }])
    expect(JSON.stringify(await part('keys'))).not.toContain(text.slice(-43))
    await ann.ask<'erase'>({ kind: 'erase' })
    expect(await ann.account()).not.toBe(ann.id)
    expect(await part('facts')).toMatchObject([{ id: await ann.account(), name: '' }])
    expect(await part('ledger')).toEqual([])
    await expect(store.keys.authorize(text, null)).rejects.toMatchObject({ reason: 'bad-key' })
    expect((await store.ledger.balances(ann.id)).map(({ amount }) => amount)).toEqual([5n])
  })
})
