/** What grants are worth to whoever collects them: nothing that can be transferred, however they go round. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NOON_MS, priceCommands } from '../../../test/support/ledger/commands.ts'
import { EARNED, grantedUntil, houseAccount, isGranted, userAccount } from './accounts.ts'
import { Book } from './book.ts'
import type { Command } from './commands.ts'

const SYBILS = 100
const GRANT = 10_000_000n
const RESERVE = 50_000_000n
const DAY_MS = 86_400_000
const sybils = Array.from({ length: SYBILS }, (_, index) => `sybil-${index}`)

/**
 * One session: `payer` asks, the two behind it in the ring compute, a third audits, what is left comes back. `end`: the network fails it, so that the reserve
 * pays; or one of the two is caught, so that its pay goes back.
 */
function session(id: number, payer: number, macs: bigint, end: 'paid' | 'failed' | 'caught' = 'paid'): readonly Command[] {
  const name = (offset: number) => `sybil-${(payer + offset) % SYBILS}`
  const work = { decode: macs, prompt: 0n, cachedPrompt: 0n }
  const stages = [1, 2].map((offset) => ({ account: name(offset), work, newcomer: false }))
  return [
    { kind: 'hold', session: `s${id}`, account: name(0), amount: 3_000_000n, priceVersion: 0, tier: 'standard' },
    end === 'failed' ? { kind: 'cover', session: `s${id}`, work, stages } : { kind: 'settle', session: `s${id}`, part: 0, work, stages },
    ...(end === 'caught' ? [{ kind: 'refund', session: `s${id}`, account: name(1), part: 0 } as const] : []),
    { kind: 'audit', session: `s${id}`, stage: 'first', account: name(3), work: { decode: 0n, prompt: macs, cachedPrompt: 0n } },
    { kind: 'release', session: `s${id}` },
    ...stages.map(({ account }): Command => ({ kind: 'payout', session: `s${id}`, account, part: 0 })),
  ]
}

function earnedBySybils(book: Book): bigint {
  return sybils.reduce((sum, name) => sum + book.balance(userAccount(name, EARNED)), 0n)
}

function openBook(): Book {
  const book = new Book()
  for (const command of priceCommands) book.post(command, NOON_MS)
  for (const account of sybils)
    book.post({ kind: 'issue', reference: account, account, purse: grantedUntil('2027-02-09'), amount: GRANT, note: '' }, NOON_MS)
  book.post({ kind: 'issue', reference: 'reserve', account: null, purse: EARNED, amount: RESERVE, note: '' }, NOON_MS)
  // So that there is something to be had: strangers have paid for verification.
  const work = { decode: 4_000_000_000_000n, prompt: 0n, cachedPrompt: 0n }
  const strangers: readonly Command[] = [
    { kind: 'issue', reference: 'stranger', account: 'ann', purse: EARNED, amount: GRANT, note: '' },
    { kind: 'hold', session: 'strange', account: 'ann', amount: GRANT, priceVersion: 0, tier: 'standard' },
    { kind: 'settle', session: 'strange', part: 0, work, stages: [{ account: 'ben', work, newcomer: false }] },
  ]
  for (const command of strangers) book.post(command, NOON_MS)
  return book
}

describe('sybils', () => {
  it('100 accounts with grants, each requester and volunteer in a ring: no transferable credit, on any day', () => {
    const steps = fc.array(
      fc.record({
        payer: fc.nat(SYBILS - 1),
        macs: fc.bigInt({ min: 1n, max: 4_000_000_000_000n }),
        days: fc.nat(1),
        end: fc.constantFrom('paid', 'paid', 'caught', 'failed'),
      }),
      { minLength: 300, maxLength: 300 },
    )
    fc.assert(
      fc.property(steps, (sessions) => {
        const book = openBook()
        let nowMs = NOON_MS
        let worked = 0
        sessions.forEach(({ payer, macs, days, end }, id) => {
          nowMs += (days * DAY_MS) / 4
          for (const command of session(id, payer, macs, end)) if (book.post(command, nowMs).ok) worked++
          const asked = book.post({ kind: 'transfer', reference: `t${id}`, from: `sybil-${payer}`, to: 'loot', amount: 1n }, nowMs)
          expect(asked.ok).toBe(false)
          expect(earnedBySybils(book)).toBe(0n)
        })
        expect(worked).toBeGreaterThan(sessions.length)
        // 82 % of each session stay in the ring at most, and what the reserve pays is granted like what was held: what goes round shrinks.
        const left = sybils.flatMap((name) => [...book.purses('user', name, '')])
        expect(left.every(([purse]) => isGranted(purse))).toBe(true)
        expect(left.reduce((sum, [, amount]) => sum + amount, 0n)).toBeLessThan(BigInt(SYBILS) * GRANT + RESERVE + GRANT)
        expect(book.balance(houseAccount('reserve', EARNED))).toBeLessThan(RESERVE)
      }),
      { numRuns: 5 },
    )
  })

  it('control: the same ring earns from a stranger who pays with earned credits, and may transfer that', () => {
    const book = openBook()
    book.post({ kind: 'issue', reference: 'paid', account: 'ann', purse: EARNED, amount: GRANT, note: '' }, NOON_MS)
    const work = { decode: 1_000_000_000_000n, prompt: 0n, cachedPrompt: 0n }
    const commands: readonly Command[] = [
      { kind: 'hold', session: 's', account: 'ann', amount: GRANT, priceVersion: 0, tier: 'standard' },
      { kind: 'settle', session: 's', part: 0, work, stages: [{ account: 'sybil-7', work, newcomer: false }] },
      { kind: 'payout', session: 's', account: 'sybil-7', part: 0 },
      { kind: 'transfer', reference: 't', from: 'sybil-7', to: 'loot', amount: 820_000n },
    ]
    expect(commands.map((command) => book.post(command, NOON_MS).ok)).toEqual([true, true, true, true])
  })
})
