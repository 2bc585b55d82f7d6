/** What amounts are made of: work of rows, and what of a balance can be spent. */

import { describe, expect, it } from 'vitest'
import { accountMessage, spendableOf } from '../../../src/coordinator/economy/balances.ts'
import { sessionPrice, workOfLines } from '../../../src/coordinator/economy/pricing.ts'
import { DEFAULT_PRICES, EARNED, grantedUntil, priceOf } from '../../../src/coordinator/ledger/index.ts'
import { NOW_MS, peerOf } from '../verification/ring.ts'
import { CHARGE, CONFIG } from './world.ts'

describe('balances', () => {
  it('count grants until their last day has ended', () => {
    const account = (purse: ReturnType<typeof grantedUntil> | 'earned', kind: 'user' | 'hold' | 'escrow' = 'user') => ({
      kind,
      owner: 'ann',
      session: kind === 'user' ? '' : 's',
      purse,
    })
    const balances = [
      { account: account(EARNED), amount: 5n },
      { account: account(grantedUntil('2023-11-14')), amount: 7n },
      { account: account(grantedUntil('2023-11-13')), amount: 100n },
      { account: account('granted/never'), amount: 1n },
      { account: account(EARNED, 'hold'), amount: 20n },
      { account: account('granted/never', 'escrow'), amount: 30n },
    ]
    expect(spendableOf(balances, NOW_MS)).toEqual({ all: 13n, granted: 8n })
    const amounts = { spendable: '13', granted: '8', held: '20', escrow: '30', earned: '9' }
    const standing = { validInARow: 3, trustedFrom: 10, failures: 1 }
    const message = accountMessage('ann', { balances, paid: 9n, standing }, NOW_MS)
    expect(message).toEqual({ type: 'account', accountId: 'ann', ...amounts, standing })
  })
})

describe('work', () => {
  it('that is too little for a micro-credit is held for one all the same', () => {
    const size = { promptTokens: 1, maxTokens: 0 }
    const free = { ...DEFAULT_PRICES, work: { decode: 0, prompt: 0, cachedPrompt: 0 } }
    expect(sessionPrice(CONFIG, size, free, 'standard')).toBe(1n)
    expect(sessionPrice(CONFIG, size, DEFAULT_PRICES, 'standard')).toBeGreaterThan(1n)
  })

  it('of all lines together is that of the whole chain', () => {
    const rows = { prompt: 30, decode: 20, results: 20 }
    const lines = [0, 10, 20].map((firstLayer) => ({ peerId: peerOf('a'), firstLayer, endLayer: firstLayer + 10, rows }))
    expect(priceOf(DEFAULT_PRICES, 'standard', workOfLines(CONFIG, lines, 80))).toBe(CHARGE)
  })

  it('of a prompt whose logits were asked for is that of the prompt, which is held for it', () => {
    const size = { promptTokens: 30, maxTokens: 0 }
    const line = (results: number) => ({ peerId: peerOf('a'), firstLayer: 0, endLayer: 30, rows: { prompt: 30, decode: 0, results } })
    const cost = (results: number) => priceOf(DEFAULT_PRICES, 'standard', workOfLines(CONFIG, [line(results)], 30))
    expect(cost(30)).toBe(sessionPrice(CONFIG, size, DEFAULT_PRICES, 'standard'))
    expect(cost(30)).toBe(cost(1))
    expect(cost(0)).toBeLessThan(cost(1))
  })

  it('of rows beyond the last position counts as that of the last ones', () => {
    const line = (decode: number) => ({ peerId: peerOf('a'), firstLayer: 0, endLayer: 10, rows: { prompt: 30, decode, results: 0 } })
    const perRow = (decode: number) => workOfLines(CONFIG, [line(decode)], 80).decode / BigInt(decode)
    expect(perRow(50)).toBeGreaterThan(perRow(20))
    expect(perRow(80)).toBeLessThanOrEqual(perRow(50))
  })
})
