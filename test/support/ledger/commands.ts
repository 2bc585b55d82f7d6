/** Arbitrary commands over few accounts and sessions, so that they meet: retries, conflicts, empty purses, sessions in every state. */

import fc from 'fast-check'
import { type Command, DEFAULT_PRICES, GRANTED_FOR_GOOD, grantedUntil, type PriceTable } from '../../../src/coordinator/ledger/index.ts'
import { TIERS } from '../../../src/shared/index.ts'

/** 2027-01-10, milliseconds since the epoch. */
export const NOON_MS = Date.UTC(2027, 0, 10, 12)
const DAY_MS = 86_400_000

export const PRICES: readonly PriceTable[] = [
  DEFAULT_PRICES,
  { ...DEFAULT_PRICES, work: { decode: 333, prompt: 77, cachedPrompt: 0 }, split: { stages: 701, fee: 199, verification: 100 } },
]

const account = fc.constantFrom('ann', 'bob', 'cem', 'dee')
const part = fc.integer({ min: 0, max: 2 })
const amount = fc.bigInt({ min: 1n, max: 5_000_000n })
const day = fc.integer({ min: -2, max: 4 }).map((days) => new Date(NOON_MS + days * DAY_MS).toISOString().slice(0, 10))
const macs = fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: 2_000_000_000_000n }))
const work = fc.record({ decode: macs, prompt: macs, cachedPrompt: macs })
const someWork = fc.record({ decode: fc.bigInt({ min: 1n, max: 2_000_000_000_000n }), prompt: macs, cachedPrompt: macs })
const stages = fc.array(fc.record({ account, work: someWork, newcomer: fc.boolean() }), { minLength: 1, maxLength: 3 })
const purse = fc.oneof(fc.constant('earned' as const), fc.constant(GRANTED_FOR_GOOD), day.map(grantedUntil))

const hold = {
  kind: fc.constant('hold' as const),
  account,
  amount,
  priceVersion: fc.integer({ min: 0, max: 2 }),
  tier: fc.constantFrom(...TIERS),
}

/** A command that may or may not be possible, over so many sessions; business ids repeat. */
export function commandsAmong(sessions: number): fc.Arbitrary<Command> {
  const session = fc.integer({ min: 0, max: sessions }).map((index) => `s${index}`)
  const reference = fc.integer({ min: 0, max: sessions }).map((index) => `r${index}`)
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('issue' as const),
        reference,
        account: fc.option(account),
        purse,
        amount,
        note: fc.constant(''),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), account, day }) },
    {
      weight: 6,
      arbitrary: fc.record({ ...hold, session }),
    },
    { weight: 1, arbitrary: fc.record({ ...hold, session, from: session }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('settle' as const),
        session,
        part,
        work,
        stages,
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('cover' as const), session, work, stages }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), session }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('payout' as const), session, account, part }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('refund' as const), session, account, part }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('audit' as const), session, stage: fc.constantFrom('p1', 'p2'), account, work: someWork }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('canary' as const), reference, account, amount }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('transfer' as const), reference, from: account, to: account, amount }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('compensate' as const),
        event: fc.oneof(
          session.map((id) => `hold/${id}`),
          session.map((id) => `settle/${id}/0`),
          reference.map((id) => `issue/${id}`),
        ),
        note: fc.constant(''),
      }),
    },
  )
}

export const anyCommand = commandsAmong(40)

/** The price tables that holds of `anyCommand` name; version 2 is missing. */
export const priceCommands: readonly Command[] = PRICES.map((table, version) => ({ kind: 'price', version, table }))
