/** Whose receipts the economy counts, how many of them, and what a driver owes that signs none. */

import { describe, expect, it } from 'vitest'
import { RECEIPT_RATE } from '../../../src/coordinator/economy/limits.ts'
import { DEFAULT_PRICES, priceOf, workOf } from '../../../src/coordinator/ledger/index.ts'
import type { Receipt } from '../../../src/protocol/index.ts'
import { peerOf, Ring } from '../verification/ring.ts'
import { CREDIT, fundedWorld, PRICE } from './fundedWorld.ts'
import { CONFIG, type EconomyWorld } from './world.ts'

describe('receipts', () => {
  it('[E4] count from the peer that they name alone, and at a bounded rate', async () => {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a', 'b', 'c'])
    const finals = new Ring(grant).submit('prompt', 30).flow().submit('decode', 20).flow().finals()
    const { signReceipt } = await import('../../../src/protocol/index.ts')
    const signer = { publicKey: new Uint8Array(65), sign: async () => new Uint8Array(64) }
    // Somebody else hands in what stages signed.
    for (const receipt of finals.slice(1)) made.economy.receipt(peerOf('a'), await signReceipt(receipt, signer))
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(16_000)
    expect((await made.sums()).escrow).toBe(0n)

    const flooded = await fundedWorld()
    const other = await flooded.open('driver', ['a', 'b', 'c'])
    const ring = new Ring(other).submit('prompt', 30).flow().submit('decode', 20).flow()
    const early = Array.from({ length: RECEIPT_RATE.burst }, () => ring.receipt(1))
    await flooded.sign(early)
    await flooded.sign(ring.finals())
    flooded.economy.session({ kind: 'closed', sessionId: other.sessionId, outcome: 'finished', sawFailure: false })
    await flooded.wait(4_000)
    // The last one of stage 0 was one too many: the coordinator still waits for it.
    expect((await flooded.sums()).hold).toBe(PRICE)
    await flooded.wait(12_000)
    expect((await flooded.sums()).hold).toBe(0n)
  })
})

describe('a silent driver', () => {
  /** A chain of one stage whose driver signs 30 rows and no more, and not to the coordinator. */
  async function settled(told: (ring: Ring, acknowledged: Receipt) => readonly Receipt[]): Promise<EconomyWorld> {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a'])
    const ring = new Ring(grant).submit('prompt', 30).flow()
    const acknowledged = ring.receipt(0)
    ring.submit('decode', 20).flow()
    await made.sign(told(ring, acknowledged), 'a')
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(16_000)
    expect(await made.sums()).toMatchObject({ hold: 0n })
    return made
  }

  it('[V13] owes its only stage nothing that nobody else saw', async () => {
    const made = await settled((ring) => [ring.receipt(1, { final: true })])
    expect((await made.sums('a')).escrow).toBe(0n)
    expect((await made.sums('driver')).user).toBe(CREDIT)
  })

  it('[V25] pays what it has acknowledged to it, and no row more', async () => {
    const made = await settled((ring, acknowledged) => [acknowledged, ring.receipt(1, { final: true })])
    expect((await made.sums('a')).escrow).toBeGreaterThan(0n)
    const paid = CREDIT - (await made.sums('driver')).user
    const rows = { kind: 'prompt', firstPosition: 0, rowCount: 30, resultCount: 0 } as const
    expect(paid).toBe(priceOf(DEFAULT_PRICES, 'standard', workOf(CONFIG, { firstLayer: 0, endLayer: 10 }, [rows])))
  })

  it('[V25] says no less by what a stage has forwarded of it than by its own last word', async () => {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a'])
    const ring = new Ring(grant).submit('prompt', 30).flow()
    const acknowledged = ring.receipt(0)
    const finals = ring.submit('decode', 20).flow().finals()
    await made.sign(finals)
    await made.sign([acknowledged], 'a')
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(16_000)
    const other = await fundedWorld()
    const plain = await other.open('driver', ['a'])
    await other.sign(new Ring(plain).submit('prompt', 30).flow().submit('decode', 20).flow().finals())
    other.economy.session({ kind: 'closed', sessionId: plain.sessionId, outcome: 'finished', sawFailure: false })
    await other.wait(16_000)
    expect(await made.sums('driver')).toEqual(await other.sums('driver'))
    expect((await made.sums('driver')).user).toBeLessThan(CREDIT)
  })
})
