import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyCommand, NOON_MS, priceCommands } from '../../../test/support/ledger/commands.ts'
import { EARNED, grantedUntil, isGranted } from './accounts.ts'
import { Book } from './book.ts'
import type { Command } from './commands.ts'
import type { LedgerEvent } from './event.ts'
import { monthSpan, type OpeningBalance, Statement, statementCsvBalance, statementCsvLine } from './statement.ts'

/** The events of commands that were possible, each an hour after the other. */
function eventsOf(commands: readonly Command[]): readonly LedgerEvent[] {
  const book = new Book()
  return [...priceCommands, ...commands].flatMap((command, index) => {
    const result = book.post(command, NOON_MS + index * 3_600_000)
    return result.ok && !result.value.repeated ? [result.value.event] : []
  })
}

function balancesOf(owner: string, events: readonly LedgerEvent[]): readonly OpeningBalance[] {
  return events.flatMap(({ postings }) =>
    postings.filter(({ account }) => account.owner === owner).map(({ account, amount }) => ({ ...account, amount })),
  )
}

describe('statement', () => {
  it('whatever happened: opening and lines add up to closing, and totals to the difference', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { minLength: 20, maxLength: 120 }), fc.nat(60), (commands, cut) => {
        const events = eventsOf(commands)
        for (const owner of ['ann', 'bob']) {
          const statement = new Statement(owner, '2027-01', balancesOf(owner, events.slice(0, cut)))
          const lines = events.slice(cut).flatMap((event) => statement.take(event))
          const { opening, closing, earned, spent, issued, expired, transferred, corrected } = statement.summary()
          for (const column of ['available', 'held', 'escrow', 'granted'] as const)
            expect(lines.reduce((sum, line) => sum + line[column], opening[column])).toBe(closing[column])
          const all = balancesOf(owner, events)
          const sum = (kept: (balance: OpeningBalance) => boolean) => all.filter(kept).reduce((total, { amount }) => total + amount, 0n)
          expect(closing).toEqual({
            available: sum(({ kind }) => kind === 'user'),
            held: sum(({ kind }) => kind === 'hold'),
            escrow: sum(({ kind }) => kind === 'escrow'),
            granted: sum(({ purse }) => isGranted(purse)),
          })
          const whole = ({ available, held, escrow }: typeof opening) => available + held + escrow
          expect(whole(closing) - whole(opening)).toBe(earned - spent + issued - expired + transferred + corrected)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('says as what: asked, computed, or neither; who pays itself has a line as each', () => {
    const work = { decode: 1_000_000_000n, prompt: 0n, cachedPrompt: 0n }
    const events = eventsOf([
      { kind: 'issue', reference: 'g', account: 'ann', purse: grantedUntil('2027-01-31'), amount: 700n, note: '' },
      { kind: 'issue', reference: 'e', account: 'ann', purse: EARNED, amount: 5_000n, note: '' },
      { kind: 'hold', session: 's', account: 'ann', amount: 2_000n, priceVersion: 0, tier: 'standard' },
      { kind: 'settle', session: 's', part: 0, work, stages: ['ann', 'bob'].map((account) => ({ account, work, newcomer: false })) },
      { kind: 'release', session: 's' },
      { kind: 'payout', session: 's', account: 'ann', part: 0 },
      { kind: 'refund', session: 's', account: 'bob', part: 0 },
      { kind: 'transfer', reference: 't', from: 'ann', to: 'bob', amount: 100n },
    ])
    const statement = new Statement('ann', '2027-01', [])
    const lines = events.flatMap((event) => statement.take(event)).map((line) => statementCsvLine(line).split(',').slice(2).join(','))
    expect(lines).toEqual([
      'issue/g,issue,account,,700,0,0,700',
      'issue/e,issue,account,,5000,0,0,0',
      'hold/s,hold,requester,s,-2000,2000,0,0',
      'settle/s/0,settle,requester,s,0,-1000,0,-700',
      'settle/s/0,settle,volunteer,s,0,0,410,287',
      'release/s,release,requester,s,1000,-1000,0,0',
      'payout/s/ann/0,payout,volunteer,s,410,0,-410,0',
      'refund/s/bob/0,refund,requester,s,410,0,0,287',
      'transfer/t,transfer,account,,-100,0,0,0',
    ])
    const { closing, spent, earned, issued, transferred } = statement.summary()
    expect({ spent, earned, issued, transferred }).toEqual({ spent: 590n, earned: 410n, issued: 5_700n, transferred: -100n })
    expect(statementCsvBalance('closing', closing)).toBe(',,closing,balance,,,5420,0,0,574')
  })

  it('a month begins with its first millisecond (UTC) and ends before the next', () => {
    expect(monthSpan('2027-12')).toEqual({ startMs: Date.UTC(2027, 11, 1), endMs: Date.UTC(2028, 0, 1) })
    for (const text of ['2027-13', '2027-00', '2027-1', '27-01', '2027-01-01', '']) expect(monthSpan(text)).toBeNull()
  })
})
