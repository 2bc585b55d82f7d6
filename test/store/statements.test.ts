/** What the ledger tells of an account’s month, and of all accounts: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import type { StatementLine } from '../../src/shared/index.ts'
import { accountWorld } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

describe.each(storeKinds)('statements on %s', (kind) => {
  const world = accountWorld(kind)

  it('[O2] the ledger’s totals by kind are zero together, and what accounts can spend is theirs alone', async () => {
    const { ledger, contact, issue } = world()
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

  it('[E11] a month is read in parts that fit, each from where the one before ended, with the month’s balances', async () => {
    const { clock, ledger, contact, issue } = world()
    const ann = await contact()
    clock.moveTo(Date.UTC(2050, 4, 31))
    await issue(ann, 1_000n)
    clock.moveTo(Date.UTC(2050, 5, 1))
    for (let at = 0; at < 5; at++) {
      const command = { kind: 'hold', session: `pa-${ann}-${at}`, account: ann, amount: 10n, priceVersion: 0, tier: 'standard' } as const
      await ledger.post(command)
    }
    clock.moveTo(Date.UTC(2050, 6, 1))
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
    const { clock, ledger, contact, issue } = world()
    const ann = await contact()
    const session = (index: number) => `st-${ann}-${index}`
    const work = { decode: 1_000_000n, prompt: 0n, cachedPrompt: 0n }
    clock.moveTo(Date.UTC(2040, 0, 1))
    await issue(ann, 1_000n)
    for (const index of [0, 1, 2]) {
      await ledger.post({ kind: 'hold', session: session(index), account: ann, amount: 10n, priceVersion: 0, tier: 'standard' })
      if (index === 1) clock.moveTo(Date.UTC(2040, 1, 1))
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
