/** Sessions that an API key pays: whose credits are held, what its budget has left, and what a voucher is good for. */

import { describe, expect, it } from 'vitest'
import type { KeyScope } from '../../../src/coordinator/accounts/index.ts'
import type { HolderId } from '../../../src/coordinator/verification/index.ts'
import { NO_TRUST } from '../../../src/coordinator/verification/trust.ts'
import { peerOf } from '../verification/ring.ts'
import { CREDIT, fundedWorld, PRICE } from './fundedWorld.ts'
import { CHARGE, EconomyWorld, MODEL } from './world.ts'

const admit = { type: 'admit', requestId: 'r', modelId: MODEL, promptTokens: 30, maxTokens: 50 } as const
const STAGES = ['a', 'b', 'c'] as const

/** The peer `gateway` drives for a key of `owner`, who has CREDIT. */
async function keyedWorld(scope: Partial<KeyScope> = {}) {
  const made = await fundedWorld()
  await made.join(['gateway', 'owner'])
  await made.give('owner', CREDIT)
  const owner = await made.account('owner')
  const { key, text } = await made.store.keys.create(owner, 'k', {
    models: null,
    pools: null,
    budget: null,
    requestsAMinute: null,
    ...scope,
  })
  const spent = async () => (await made.store.keys.list(owner))[0]?.spent
  const { keyId, account } = await made.economy.authorize(text, null)
  const payer = { keyId, account }
  return { made, key, payer, spent, payment: made.economy.pay(payer) }
}

describe('a voucher', () => {
  it('[E15] has the key’s account pay, not its driver’s, and tells what it cost', async () => {
    const { made, payment, spent } = await keyedWorld()
    const told: [string, bigint][] = []
    made.economy.onSettled((sessionId, charged) => told.push([sessionId, charged]))
    const grant = await made.session('gateway', STAGES, { voucher: payment.voucher })
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT - CHARGE, hold: 0n })
    expect(await made.sums('gateway')).toMatchObject({ user: 0n, hold: 0n })
    expect(await spent()).toBe(CHARGE)
    expect(told).toEqual([[grant.sessionId, CHARGE]])
    expect(made.store.reserved.size).toBe(0)
  })

  it('[E15] that nobody was given is refused, and so is one that has ended', async () => {
    const { made, payment } = await keyedWorld()
    const bad = { ok: false, error: { reason: 'bad-voucher' } }
    expect(await made.economy.hold(peerOf('gateway'), { ...admit, voucher: 'x' })).toMatchObject(bad)
    payment.end()
    expect(await made.economy.hold(peerOf('gateway'), { ...admit, voucher: payment.voucher })).toMatchObject(bad)
    expect((await made.sums()).hold).toBe(0n)
  })

  it('[E15] is good for what the budget bears, which gets back what was not used', async () => {
    const { made, payment, spent } = await keyedWorld({ budget: 2n * PRICE - 1n })
    const { voucher } = payment
    const first = await made.economy.hold(peerOf('gateway'), { ...admit, voucher })
    expect(await made.economy.hold(peerOf('gateway'), { ...admit, voucher })).toMatchObject({ ok: false, error: { reason: 'over-budget' } })
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT - PRICE, hold: PRICE })
    if (!first.ok) throw new Error(first.error.message)
    made.economy.session({ kind: 'refused', sessionId: first.value })
    await made.settle()
    expect(await spent()).toBe(0n)
    expect((await made.economy.hold(peerOf('gateway'), { ...admit, voucher })).ok).toBe(true)
  })

  it('[E15] can be spent from as far as the account has credits and the budget is not spent', async () => {
    const { made, payer, payment } = await keyedWorld({ budget: CREDIT / 2n })
    expect(await made.economy.affordable(payer)).toBe(CREDIT / 2n)
    await made.economy.hold(peerOf('gateway'), { ...admit, voucher: payment.voucher })
    expect(await made.economy.affordable(payer)).toBe(CREDIT / 2n - PRICE)
    const rich = await keyedWorld({ budget: 2n * CREDIT })
    expect(await rich.made.economy.affordable(rich.payer)).toBe(CREDIT)
    const free = await keyedWorld()
    await free.made.economy.hold(peerOf('gateway'), { ...admit, voucher: free.payment.voucher })
    expect(await free.made.economy.affordable(free.payer)).toBe(CREDIT - PRICE)
  })

  it('[E15] takes nothing of the budget where the account has too little', async () => {
    const { made, payment, spent } = await keyedWorld()
    await made.economy.hold(peerOf('gateway'), { ...admit, promptTokens: 1_000_000, voucher: payment.voucher })
    await made.settle()
    expect(await spent()).toBe(0n)
    expect(made.store.reserved.size).toBe(0)
  })

  it('[E15] of a key that was revoked meanwhile opens nothing', async () => {
    const { made, key, payment } = await keyedWorld()
    await made.store.keys.revoke(key.id, key.account)
    const held = await made.economy.hold(peerOf('gateway'), { ...admit, voucher: payment.voucher })
    expect(held).toMatchObject({ ok: false, error: { reason: 'bad-key' } })
    expect((await made.sums()).hold).toBe(0n)
  })

  it('[E8][E15] what a coordinator that is gone had taken of a budget is free again', async () => {
    const { made, payment, spent } = await keyedWorld()
    await made.open('gateway', STAGES, 30, 50, payment.voucher)
    expect(await spent()).toBe(PRICE)
    const next = new EconomyWorld({ store: made.store })
    await next.join(['a'])
    expect(await spent()).toBe(0n)
  })
})

describe('a pool', () => {
  const STAGE = peerOf('a')

  it('[E15] of one’s own tabs costs nothing and pays nobody, and its end is told', async () => {
    const { made, payer, spent } = await keyedWorld({ budget: 0n })
    const told: [string, bigint][] = []
    made.economy.onSettled((sessionId, charged) => told.push([sessionId, charged]))
    const { voucher } = made.economy.pay({ ...payer, pool: 'mine' })
    const mayServe = made.economy.mayServe(voucher)
    await made.join(['owner'])
    expect([mayServe?.(peerOf('owner')), mayServe?.(STAGE), mayServe?.(peerOf('nobody'))]).toEqual([true, false, false])
    const grant = await made.session('gateway', STAGES, { voucher })
    expect(told).toEqual([[grant.sessionId, 0n]])
    expect(await made.sums()).toMatchObject({ hold: 0n, escrow: 0n, fee: 0n, verification: 0n })
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT })
    expect(await spent()).toBe(0n)
  })

  it('[E15] of trusted accounts has those whose work was found right, as long as it is', async () => {
    const { made, payer } = await keyedWorld()
    const mayServe = made.economy.mayServe(made.economy.pay({ ...payer, pool: 'trusted' }).voucher)
    expect(mayServe?.(STAGE)).toBe(false)
    made.store.trusted.set((await made.account('a')) as HolderId, { ...NO_TRUST, validInARow: 1_000 })
    const trusted = new EconomyWorld({ store: made.store })
    await trusted.join(['a', 'b'])
    const inPool = trusted.economy.poolOf('trusted', 'anybody')
    expect([inPool?.(STAGE), inPool?.(peerOf('b'))]).toEqual([true, false])
  })

  it('[E15] of everybody is no condition, and neither is no voucher', async () => {
    const { made, payer } = await keyedWorld()
    expect(made.economy.mayServe(made.economy.pay({ ...payer, pool: 'public' }).voucher)).toBeNull()
    expect([made.economy.mayServe(undefined), made.economy.mayServe('x')]).toEqual([null, null])
  })
})

describe('what is set aside for many sessions', () => {
  const FUND = 'batch_1'

  it('[E15] is held from by each, charged for its work, and the rest is the key’s again', async () => {
    const { made, payer, spent } = await keyedWorld({ budget: 2n * PRICE })
    expect(await made.economy.setAside(payer, FUND, 2n * PRICE, 'standard')).toBeNull()
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT - 2n * PRICE, hold: 2n * PRICE })
    const { voucher } = made.economy.pay({ ...payer, fund: FUND })
    await made.session('gateway', STAGES, { voucher })
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT - PRICE - CHARGE, hold: PRICE })
    expect(await spent()).toBe(PRICE + CHARGE)
    made.economy.giveBack(FUND)
    await made.settle()
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT - CHARGE, hold: 0n })
    expect(await spent()).toBe(CHARGE)
    expect(made.store.reserved.size).toBe(0)
  })

  it('[E15] goes on from the account’s own where it has no more', async () => {
    const { made, payer, spent } = await keyedWorld()
    await made.economy.setAside(payer, FUND, PRICE, 'standard')
    const { voucher } = made.economy.pay({ ...payer, fund: FUND })
    const open = async () => (await made.economy.hold(peerOf('gateway'), { ...admit, voucher })).ok
    expect([await open(), await open()]).toEqual([true, true])
    expect(await made.sums('owner')).toMatchObject({ user: CREDIT - 2n * PRICE, hold: 2n * PRICE })
    expect(await spent()).toBe(2n * PRICE)
    expect(made.store.reserved.get(FUND)?.amount).toBe(0n)
  })

  it('[E15] is refused in words where the account or the budget has too little, and takes nothing then', async () => {
    const { made, payer, spent } = await keyedWorld({ budget: 2n * CREDIT })
    expect(await made.economy.setAside(payer, FUND, CREDIT + 1n, 'standard')).toMatchObject({ reason: 'insufficient-credits' })
    await expect(made.economy.setAside(payer, 'batch_2', 2n * CREDIT + 1n, 'standard')).rejects.toMatchObject({ reason: 'over-budget' })
    await made.settle()
    expect([(await made.sums()).hold, await spent(), made.store.reserved.size]).toEqual([0n, 0n, 0])
  })

  it('[E8][E15] of a coordinator that is gone goes back', async () => {
    const { made, payer, spent } = await keyedWorld()
    await made.economy.setAside(payer, FUND, PRICE, 'standard')
    const next = new EconomyWorld({ store: made.store })
    await next.join(['a'])
    expect([(await next.sums()).hold, await spent()]).toEqual([0n, 0n])
  })
})
