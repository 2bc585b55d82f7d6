/** Whose account a request is about, and what becomes of a browser's peers when its key joins another account. */

import { describe, expect, it } from 'vitest'
import { ACCOUNT_RATE, ACCOUNTS_AT_ONCE } from '../../../src/coordinator/economy/limits.ts'
import type { AccountAsk, RecoveryCopy } from '../../../src/protocol/index.ts'
import { toBase64Url, utf8Encode } from '../../../src/shared/index.ts'
import { peerOf } from '../verification/ring.ts'
import { EconomyWorld } from './world.ts'

const copyOf = (owner: string): RecoveryCopy => {
  return { lookup: '0'.repeat(32), publicKey: toBase64Url(utf8Encode(owner)), iv: 'A'.repeat(16), wrapped: 'A'.repeat(206) }
}

async function world() {
  const made = new EconomyWorld()
  await made.join(['page', 'worker'], 'browser')
  await made.join(['other'])
  const ask = (name: string, asked: AccountAsk, requestId = 'r') =>
    made.economy.request(peerOf(name), { type: 'account-request', requestId, ask: asked })
  return { made, ask, refusals: () => made.messages('refused').map(({ reason }) => reason) }
}

describe('requests about an account', () => {
  it('[A1] a copy is taken from a peer that the very key has certified', async () => {
    const { made, ask, refusals } = await world()
    await ask('page', { kind: 'keep-copy', copy: copyOf('browser') }, 'mine')
    expect(made.messages('account-answer', 'page')).toEqual([{ type: 'account-answer', requestId: 'mine', answer: { kind: 'keep-copy' } }])
    await ask('page', { kind: 'keep-copy', copy: copyOf('stranger') })
    await ask('other', { kind: 'keep-copy', copy: copyOf('other') })
    expect(refusals()).toEqual(['not-allowed', 'not-allowed'])
  })

  it('[A6] every peer of a key that joins an account belongs to it at once, told of it, in the midst of a session too', async () => {
    const { made, ask } = await world()
    await made.give('other', 500_000_000n)
    await made.join(['a', 'b'])
    const grant = await made.open('other', ['page', 'a', 'b'])
    await ask('other', { kind: 'pair' })
    const account = await made.account('other')
    const answer = made.messages('account-answer', 'other').at(-1)?.answer
    expect(answer).toMatchObject({ kind: 'pair', code: account })
    await ask('page', { kind: 'join', code: account })
    await made.settle()
    expect(made.messages('account-answer', 'page').at(-1)?.answer).toEqual({ kind: 'join', accountId: account })
    await made.wait(2_000)
    for (const name of ['page', 'worker']) expect(made.messages('account', name).at(-1)?.accountId).toBe(account)
    expect(made.messages('account', 'a').at(-1)?.accountId).not.toBe(account)
    expect(made.economy.heldFor(grant.sessionId)).not.toBeNull()
    expect(made.failed).toEqual([])
  })

  it('[A10] the devices of an account are told with those whose tabs are open, and which is the peer’s own', async () => {
    const { made, ask } = await world()
    const last = (name: string) => made.messages('account-answer', name).at(-1)?.answer
    const account = await made.account('other')
    await ask('page', { kind: 'join', code: account })
    await made.settle()
    await ask('other', { kind: 'devices' })
    const [browser, other] = [toBase64Url(utf8Encode('browser')), toBase64Url(utf8Encode('other'))]
    const told = (publicKey: string, isConnected: boolean) => ({ publicKey, name: '', addedAtMs: 0, seenAtMs: 0, isConnected })
    expect(last('other')).toEqual({ kind: 'devices', devices: [told(browser, true), told(other, true)], own: other, removedAtMs: null })
    for (const name of ['page', 'worker']) made.economy.left(peerOf(name))
    await ask('other', { kind: 'devices' })
    expect(last('other')).toMatchObject({ devices: [told(browser, false), told(other, true)] })
  })

  it('[A11] all tabs of a removed device are another account’s at once, what they signed before is not, and they are told so', async () => {
    const { made, ask, refusals } = await world()
    const account = await made.account('other')
    await ask('page', { kind: 'join', code: account })
    await made.settle()
    const [browser, own] = [toBase64Url(utf8Encode('browser')), toBase64Url(utf8Encode('other'))]
    await ask('other', { kind: 'remove-device', publicKey: own })
    await ask('other', { kind: 'remove-device', publicKey: toBase64Url(utf8Encode('stranger')) })
    expect(refusals()).toEqual(['not-allowed', 'unknown'])
    await made.give('other', 500_000_000n)
    await ask('other', { kind: 'remove-device', publicKey: browser })
    await made.settle()
    await made.wait(2_000)
    for (const name of ['page', 'worker'])
      expect(made.messages('account', name).at(-1)).toMatchObject({ accountId: `alone-${browser}`, spendable: '0' })
    await ask('page', { kind: 'devices' })
    expect(made.messages('account-answer', 'page').at(-1)?.answer).toMatchObject({ own: browser, removedAtMs: expect.any(Number) })
    // A new tab of it comes with a certificate of the same key.
    await made.join(['newTab'], 'browser')
    await made.wait(2_000)
    expect(made.messages('account', 'newTab').at(-1)?.accountId).toBe(`alone-${browser}`)
    expect(made.messages('account', 'other').at(-1)).toMatchObject({ accountId: account, spendable: '500000000' })
  })

  it('[A13] an account that is erased has no peers any more: they are another’s at once', async () => {
    const { made, ask } = await world()
    const before = await made.account('browser')
    await ask('page', { kind: 'erase' })
    expect(made.messages('account-answer', 'page').at(-1)?.answer).toEqual({ kind: 'erase' })
    await made.wait(2_000)
    for (const name of ['page', 'worker']) expect(made.messages('account', name).at(-1)?.accountId).toBe(`account-after-${before}`)
    expect(made.messages('account', 'other').at(-1)?.accountId).not.toBe(`account-after-${before}`)
  })

  it('[A8] keys are made, listed and revoked for the account of the peer, and for no other', async () => {
    const { made, ask, refusals } = await world()
    const last = (name: string) => made.messages('account-answer', name).at(-1)?.answer
    await ask('page', { kind: 'create-key', name: 'laptop', models: ['m'], budget: '5000000', requestsAMinute: 60 })
    const answer = last('page')
    const key = { id: '0'.repeat(16), name: 'laptop', models: ['m'], pools: null, budget: '5000000', spent: '0', requestsAMinute: 60 }
    const listed = { ...key, createdAtMs: made.clock.nowMs(), usedAtMs: null }
    expect(answer).toEqual({ kind: 'create-key', key: listed, text: `tabswarm_${key.id}` })
    await ask('worker', { kind: 'keys' })
    expect(last('worker')).toEqual({ kind: 'keys', keys: [listed] })
    await ask('other', { kind: 'keys' })
    expect(last('other')).toEqual({ kind: 'keys', keys: [] })
    await ask('other', { kind: 'revoke-key', keyId: key.id })
    expect(refusals()).toEqual(['unknown'])
    await ask('worker', { kind: 'revoke-key', keyId: key.id })
    await ask('page', { kind: 'keys' })
    expect(last('page')).toEqual({ kind: 'keys', keys: [] })
  })

  it('[A7] each is answered once: twenty of a peer at once and one a second, thirty-two of all at a time', async () => {
    const { made, ask, refusals } = await world()
    const keep: AccountAsk = { kind: 'keep-copy', copy: copyOf('browser') }
    for (let count = 0; count < ACCOUNT_RATE.burst + 1; count++) await ask('page', keep)
    expect(made.messages('account-answer').length).toBe(ACCOUNT_RATE.burst)
    expect(made.messages('refused')).toMatchObject([{ requestId: 'r', reason: 'too-many-requests', retryAfterMs: 1_000 }])
    await ask('worker', { kind: 'find-copy', lookup: '0'.repeat(32) })
    made.store.broken = new Error('gone')
    await ask('worker', keep)
    expect(refusals()).toEqual(['too-many-requests', 'unknown-phrase', 'no-accounts'])
    made.store.broken = null
    const names = Array.from({ length: ACCOUNTS_AT_ONCE + 1 }, (_, index) => `p${index}`)
    await made.join(names)
    await Promise.all(names.map((name) => ask(name, { kind: 'pair' })))
    expect(refusals().slice(3)).toEqual(['busy'])
  })

  it('[A7] are refused for who has left', async () => {
    const { made, ask, refusals } = await world()
    await ask('nobody', { kind: 'pair' })
    expect([refusals(), made.messages('account-answer')]).toEqual([['unknown'], []])
  })
})
