import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyCommand, NOON_MS, PRICES, priceCommands } from '../../../test/support/ledger/commands.ts'
import {
  type Account,
  accountId,
  EARNED,
  GRANTED_FOR_GOOD,
  grantedUntil,
  houseAccount,
  issuance,
  parseAccountId,
  userAccount,
} from './accounts.ts'
import { Book, type Posted } from './book.ts'
import { businessId, type Command, type CommandOf, encodeCommand, parseCommand } from './commands.ts'
import { checkLaws } from './event.ts'
import { priceOf, splitCharge, type Work } from './prices.ts'

function open(): Book {
  const book = new Book()
  for (const command of priceCommands) post(book, command)
  return book
}

function post(book: Book, command: Command, atMs = NOON_MS): Posted {
  const result = book.post(command, atMs)
  if (!result.ok) throw result.error
  return result.value
}

function reasonOf(book: Book, command: Command, atMs = NOON_MS): string {
  const result = book.post(command, atMs)
  return result.ok ? 'posted' : result.error.reason
}

const CREDIT_WORK = 1_000_000_000_000n
const decode = (macs: bigint): Work => ({ decode: macs, prompt: 0n, cachedPrompt: 0n })
const issue = (reference: string, account: string | null, amount: bigint, purse = EARNED): Command => ({
  kind: 'issue',
  reference,
  account,
  purse,
  amount,
  note: '',
})
const hold = (session: string, amount: bigint, account = 'ann', priceVersion = 0): CommandOf<'hold'> => ({
  kind: 'hold',
  session,
  account,
  amount,
  priceVersion,
  tier: 'standard',
})
const settle = (session: string, part: number, macs: bigint, ...stages: readonly [string, bigint, boolean?][]): Command => ({
  kind: 'settle',
  session,
  part,
  work: decode(macs),
  stages: stages.map(([account, share, newcomer = false]) => ({ account, work: decode(share), newcomer })),
})
const escrow = (owner: string, session: string, purse = EARNED): Account => ({ kind: 'escrow', owner, session, purse })

describe('book', () => {
  it('whatever is asked: sums are zero, nobody but issuance is negative, grants stay grants, retries post once', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyCommand, fc.nat(4)), { maxLength: 120 }), (steps) => {
        const book = open()
        const balances = new Map<string, bigint>()
        const ids = new Set(priceCommands.map(businessId))
        for (const [command, days] of steps) {
          const result = book.post(command, NOON_MS + days * 86_400_000)
          if (!result.ok) continue
          const { event, repeated } = result.value
          expect(repeated).toBe(ids.has(businessId(command)))
          ids.add(businessId(command))
          if (repeated) continue
          expect(checkLaws(event).ok).toBe(true)
          for (const { account, amount } of event.postings) {
            const after = (balances.get(accountId(account)) ?? 0n) + amount
            balances.set(accountId(account), after)
            expect(after >= 0n || account.kind === 'issuance').toBe(true)
            expect(book.balance(account)).toBe(after)
          }
        }
        expect([...balances.values()].reduce((a, b) => a + b, 0n)).toBe(0n)
        expect(book.size).toBe(ids.size)
      }),
      { numRuns: 150 },
    )
  })

  it('every command and every account is the same after it was written and read', () => {
    fc.assert(fc.property(anyCommand, (command) => void expect(parseCommand(JSON.parse(encodeCommand(command)))).toEqual(command)))
    for (const account of [
      issuance,
      userAccount('ann', grantedUntil('2027-01-31')),
      escrow('bob', 's1'),
      houseAccount('fee', GRANTED_FOR_GOOD),
    ])
      expect(parseAccountId(accountId(account))).toEqual(account)
    for (const text of [
      'user:::earned',
      'fee:ann::earned',
      'user:ann:s1:earned',
      'hold:ann::earned',
      'user:ann::granted/soon',
      'x:::earned',
    ])
      expect(parseAccountId(text)).toBeNull()
  })

  it('the same id with other contents is refused by name', () => {
    const book = open()
    post(book, issue('r', 'ann', 5n))
    expect(post(book, issue('r', 'ann', 5n)).repeated).toBe(true)
    const other = book.post(issue('r', 'ann', 6n), NOON_MS)
    expect(other.ok ? '' : other.error.message).toContain('issue/r was posted before with other contents')
    expect(book.balance(userAccount('ann', EARNED))).toBe(5n)
  })

  it('a session: hold, two settlements, release; 82/10/8, stages by their work, the rest back', () => {
    const book = open()
    post(book, issue('r', 'ann', 10_000_000n))
    post(book, hold('s', 5_000_000n))
    expect(book.balance(userAccount('ann', EARNED))).toBe(5_000_000n)
    post(book, settle('s', 0, CREDIT_WORK, ['bob', 3n], ['cem', 1n]))
    post(book, settle('s', 1, CREDIT_WORK, ['bob', 1n]))
    expect(book.balance(escrow('bob', 's'))).toBe(615_000n + 820_000n)
    expect(book.balance(escrow('cem', 's'))).toBe(205_000n)
    expect(book.balance(houseAccount('fee', EARNED))).toBe(200_000n)
    expect(book.balance(houseAccount('verification', EARNED))).toBe(160_000n)
    post(book, { kind: 'release', session: 's' })
    expect(book.balance(userAccount('ann', EARNED))).toBe(8_000_000n)
    expect(reasonOf(book, settle('s', 2, CREDIT_WORK, ['bob', 1n]))).toBe('empty')
    post(book, { kind: 'payout', session: 's', account: 'bob', part: 0 })
    expect(book.balance(userAccount('bob', EARNED))).toBe(1_435_000n)
    expect(reasonOf(book, { kind: 'payout', session: 's', account: 'bob', part: 1 })).toBe('empty')
  })

  it('nobody is charged above the hold, and amounts are rounded up once a settlement', () => {
    const book = open()
    post(book, issue('r', 'ann', 100n))
    post(book, hold('s', 60n))
    post(book, settle('s', 0, 1_000_001n, ['bob', 1n]))
    expect(book.purses('hold', 'ann', 's').get(EARNED)).toBe(58n)
    post(book, settle('s', 1, CREDIT_WORK, ['bob', 1n]))
    expect(book.purses('hold', 'ann', 's').size).toBe(0)
    expect(book.balance(userAccount('ann', EARNED))).toBe(40n)
  })

  it('half of a newcomer’s share goes to verification', () => {
    const table = PRICES[0] ?? expect.fail('no prices')
    const stage = (account: string, newcomer: boolean) => ({ account, work: decode(1n), newcomer })
    const split = splitCharge(table, 1_000_000n, [stage('new', true), stage('old', false)])
    expect(split).toEqual({ stages: [205_000n, 410_000n], fee: 100_000n, verification: 80_000n + 205_000n })
  })

  it('prices: a mean of kinds by weight, times the tier', () => {
    const table = PRICES[0] ?? expect.fail('no prices')
    const work = { decode: CREDIT_WORK, prompt: CREDIT_WORK, cachedPrompt: CREDIT_WORK }
    expect(priceOf(table, 'standard', work)).toBe(1_310_000n)
    expect(priceOf(table, 'spot', work)).toBe(655_000n)
    expect(priceOf(table, 'priority', decode(1n))).toBe(1n)
  })

  it('a price is frozen at the hold: a newer table changes nothing for an open session', () => {
    const book = open()
    post(book, issue('r', 'ann', 10_000_000n))
    post(book, hold('s', 5_000_000n, 'ann', 1))
    expect(reasonOf(book, hold('t', 1n, 'ann', 7))).toBe('unknown-event')
    expect(reasonOf(book, { kind: 'price', version: 1, table: PRICES[0] ?? expect.fail('no prices') })).toBe('conflict')
    post(book, settle('s', 0, CREDIT_WORK, ['bob', 1n]))
    expect(book.purses('hold', 'ann', 's').get(EARNED)).toBe(5_000_000n - 333_000n)
  })

  it('grants are spent first, those that end first before others, and go back to where they came from', () => {
    const book = open()
    post(book, issue('e', 'ann', 100n))
    post(book, issue('late', 'ann', 50n, grantedUntil('2027-01-31')))
    post(book, issue('soon', 'ann', 30n, grantedUntil('2027-01-11')))
    post(book, hold('s', 100n))
    expect(Object.fromEntries(book.purses('hold', 'ann', 's'))).toEqual({
      'granted/2027-01-11': 30n,
      'granted/2027-01-31': 50n,
      earned: 20n,
    })
    post(book, settle('s', 0, 40_000_000n, ['bob', 1n]))
    expect(Object.fromEntries(book.purses('hold', 'ann', 's'))).toEqual({ 'granted/2027-01-31': 40n, earned: 20n })
    post(book, { kind: 'release', session: 's' })
    expect(Object.fromEntries(book.purses('user', 'ann', ''))).toEqual({ 'granted/2027-01-31': 40n, earned: 100n })
  })

  it('what is set aside for many sessions is held from by each, grants first, and the rest goes back', () => {
    const book = open()
    post(book, issue('g', 'ann', 30n, grantedUntil('2027-01-31')))
    post(book, issue('e', 'ann', 100n))
    post(book, hold('many', 100n))
    post(book, { ...hold('s', 40n), from: 'many' })
    post(book, { ...hold('t', 50n), from: 'many' })
    expect(reasonOf(book, { ...hold('u', 11n), from: 'many' })).toBe('insufficient')
    expect(reasonOf(book, { ...hold('u', 1n, 'bob'), from: 'many' })).toBe('insufficient')
    expect(Object.fromEntries(book.purses('hold', 'ann', 's'))).toEqual({ 'granted/2027-01-31': 30n, earned: 10n })
    expect(book.balance(userAccount('ann', EARNED))).toBe(30n)
    post(book, settle('s', 0, 20_000_000n, ['bob', 1n]))
    expect(Object.fromEntries(book.purses('hold', 'ann', 's'))).toEqual({ 'granted/2027-01-31': 10n, earned: 10n })
    for (const session of ['s', 't', 'many']) post(book, { kind: 'release', session })
    expect(Object.fromEntries(book.purses('user', 'ann', ''))).toEqual({ 'granted/2027-01-31': 10n, earned: 100n })
  })

  it('what the network failed of it is covered in the proportion in which that session was held for', () => {
    const book = open()
    post(book, issue('fund', null, 1_000_000n))
    post(book, issue('g', 'ann', 300n, grantedUntil('2027-01-31')))
    post(book, issue('e', 'ann', 900n))
    post(book, hold('many', 1_200n))
    post(book, { ...hold('s', 400n), from: 'many' })
    post(book, cover('s', 1_000_000_000n, ['bob', 1n]))
    expect(Object.fromEntries(book.purses('escrow', 'bob', 's'))).toEqual({ [GRANTED_FOR_GOOD]: 246n, earned: 82n })
  })

  it('what is earned from grants can be spent, never transferred', () => {
    const book = open()
    post(book, issue('g', 'ann', 1_000n, grantedUntil('2027-01-31')))
    post(book, hold('s', 1_000n))
    post(book, settle('s', 0, 1_000_000_000n, ['bob', 1n]))
    post(book, { kind: 'payout', session: 's', account: 'bob', part: 0 })
    expect(Object.fromEntries(book.purses('user', 'bob', ''))).toEqual({ [GRANTED_FOR_GOOD]: 820n })
    expect(reasonOf(book, { kind: 'transfer', reference: 't', from: 'bob', to: 'cem', amount: 1n })).toBe('insufficient')
    expect(reasonOf(book, hold('t', 820n, 'bob'))).toBe('posted')
  })

  const cover = (session: string, macs: bigint, ...stages: readonly [string, bigint][]): Command => ({
    kind: 'cover',
    session,
    work: decode(macs),
    stages: stages.map(([account, share]) => ({ account, work: decode(share), newcomer: false })),
  })
  const refund = (session: string, account: string): Command => ({ kind: 'refund', session, account, part: 0 })

  it('an answer that the network failed is paid by the reserve, as far as that goes, and costs its requester nothing', () => {
    const book = open()
    post(book, issue('r', 'ann', 5_000_000n))
    post(book, issue('fund', null, 1_000_000n))
    post(book, hold('s', 2_000_000n))
    expect(reasonOf(book, cover('t', CREDIT_WORK, ['bob', 1n]))).toBe('unknown-event')
    post(book, cover('s', CREDIT_WORK, ['bob', 3n], ['cem', 1n]))
    expect(book.balance(escrow('bob', 's'))).toBe(615_000n)
    expect(book.balance(escrow('cem', 's'))).toBe(205_000n)
    expect(book.balance(houseAccount('reserve', EARNED))).toBe(180_000n)
    expect(reasonOf(book, settle('s', 0, CREDIT_WORK, ['bob', 1n]))).toBe('not-allowed')
    post(book, { kind: 'release', session: 's' })
    expect(book.balance(userAccount('ann', EARNED))).toBe(5_000_000n)
    post(book, hold('t', 2_000_000n))
    post(book, cover('t', CREDIT_WORK, ['bob', 2n], ['cem', 1n]))
    expect([book.balance(escrow('bob', 't')), book.balance(escrow('cem', 't'))]).toEqual([120_000n, 60_000n])
    post(book, hold('u', 2_000_000n))
    expect(reasonOf(book, cover('u', CREDIT_WORK, ['bob', 1n]))).toBe('insufficient')
    post(book, settle('u', 0, CREDIT_WORK, ['bob', 1n]))
    expect(reasonOf(book, cover('u', CREDIT_WORK, ['bob', 1n]))).toBe('not-allowed')
  })

  it('the reserve pays in the proportion of granted and earned credits that were held', () => {
    const book = open()
    post(book, issue('fund', null, 1_000_000n))
    post(book, issue('g', 'ann', 300n, grantedUntil('2027-01-31')))
    post(book, issue('e', 'ann', 1_000n))
    post(book, hold('s', 1_200n))
    post(book, cover('s', 1_000_000_000n, ['bob', 1n]))
    expect(Object.fromEntries(book.purses('escrow', 'bob', 's'))).toEqual({ [GRANTED_FOR_GOOD]: 205n, earned: 615n })
    post(book, refund('s', 'bob'))
    expect(book.balance(houseAccount('reserve', EARNED))).toBe(1_000_000n - 205n)
    expect(book.balance(houseAccount('reserve', GRANTED_FOR_GOOD))).toBe(205n)
    post(book, hold('t', 100n))
    post(book, cover('t', 1_000_000_000n, ['bob', 1n]))
    expect(Object.fromEntries(book.purses('escrow', 'bob', 't'))).toEqual({ [GRANTED_FOR_GOOD]: 82n })
  })

  it('escrow goes back to who paid it, grants with their last day', () => {
    const book = open()
    post(book, issue('g', 'ann', 600n, grantedUntil('2027-01-31')))
    post(book, issue('e', 'ann', 1_000n))
    post(book, hold('s', 1_000n))
    post(book, settle('s', 0, 1_000_000_000n, ['bob', 1n], ['cem', 1n]))
    post(book, { kind: 'release', session: 's' })
    post(book, refund('s', 'bob'))
    expect(reasonOf(book, { ...refund('s', 'bob'), part: 1 } as Command)).toBe('empty')
    expect(book.purses('escrow', 'bob', 's').size).toBe(0)
    expect(Object.fromEntries(book.purses('user', 'ann', ''))).toEqual({ 'granted/2027-01-31': 246n, earned: 600n + 164n })
    expect(book.purses('escrow', 'cem', 's').size).toBe(2)
  })

  const audit = (session: string, stage: string, account: string, macs: bigint): Command => ({
    kind: 'audit',
    session,
    stage,
    account,
    work: { decode: 0n, prompt: macs, cachedPrompt: 0n },
  })

  it('an auditor is paid what a stage is for that work, out of verification as far as that goes, once a stage', () => {
    const book = open()
    post(book, issue('r', 'ann', 10_000_000n))
    post(book, hold('s', 5_000_000n))
    expect(reasonOf(book, audit('t', 'p1', 'cem', CREDIT_WORK))).toBe('unknown-event')
    expect(reasonOf(book, audit('s', 'p1', 'cem', CREDIT_WORK))).toBe('insufficient')
    post(book, settle('s', 0, 4n * CREDIT_WORK, ['bob', 1n]))
    expect(book.balance(houseAccount('verification', EARNED))).toBe(320_000n)
    post(book, audit('s', 'p1', 'cem', CREDIT_WORK))
    expect(book.balance(userAccount('cem', EARNED))).toBe(205_000n)
    expect(post(book, audit('s', 'p1', 'cem', CREDIT_WORK)).repeated).toBe(true)
    expect(reasonOf(book, audit('s', 'p1', 'cem', 1n))).toBe('conflict')
    post(book, audit('s', 'p2', 'cem', CREDIT_WORK))
    expect(book.balance(userAccount('cem', EARNED))).toBe(320_000n)
    expect(book.balance(houseAccount('verification', EARNED))).toBe(0n)
    expect(reasonOf(book, audit('s', 'p3', 'dee', CREDIT_WORK))).toBe('insufficient')
    expect(reasonOf(book, audit('s', 'p4', 'dee', 0n))).toBe('empty')
  })

  it('a canary’s asker gets what verification has, all that it needs or nothing; what came from grants stays granted', () => {
    const canary = (reference: string, amount: bigint) => ({ kind: 'canary', reference, account: 'cem', amount }) as const
    const book = open()
    post(book, issue('r', 'ann', 10_000_000n))
    post(book, issue('g', 'dee', 1_000_000n, grantedUntil('2027-01-31')))
    post(book, hold('s', 5_000_000n))
    post(book, hold('t', 1_000_000n, 'dee'))
    expect(reasonOf(book, canary('c', 1n))).toBe('insufficient')
    post(book, settle('s', 0, 4n * CREDIT_WORK, ['bob', 1n]))
    post(book, settle('t', 0, CREDIT_WORK, ['bob', 1n]))
    expect(reasonOf(book, canary('c', 400_001n))).toBe('insufficient')
    expect(post(book, canary('c', 400_000n)).repeated).toBe(false)
    expect(post(book, canary('c', 400_000n)).repeated).toBe(true)
    expect(Object.fromEntries(book.purses('user', 'cem', ''))).toEqual({ [GRANTED_FOR_GOOD]: 80_000n, [EARNED]: 320_000n })
    expect(reasonOf(book, canary('d', 1n))).toBe('insufficient')
  })

  it('an audit of what grants have paid is paid in granted credits, whatever verification has', () => {
    const book = open()
    post(book, issue('r', 'ann', 10_000_000n))
    post(book, hold('s', 5_000_000n))
    post(book, settle('s', 0, 4n * CREDIT_WORK, ['bob', 1n]))
    post(book, issue('g', 'dee', 1_000_000n, grantedUntil('2027-01-31')))
    post(book, hold('t', 1_000_000n, 'dee'))
    post(book, audit('t', 'p1', 'cem', CREDIT_WORK))
    expect(Object.fromEntries(book.purses('user', 'cem', ''))).toEqual({ [GRANTED_FOR_GOOD]: 205_000n })
  })

  it('a grant that has ended cannot be spent, and goes back to issuance once', () => {
    const book = open()
    post(book, issue('g', 'ann', 30n, grantedUntil('2027-01-10')))
    post(book, issue('e', 'ann', 5n))
    expect(reasonOf(book, { kind: 'expire', account: 'ann', day: '2027-01-11' })).toBe('not-allowed')
    const nextDay = NOON_MS + 86_400_000
    expect(reasonOf(book, hold('s', 6n), nextDay)).toBe('insufficient')
    post(book, { kind: 'expire', account: 'ann', day: '2027-01-11' }, nextDay)
    expect(Object.fromEntries(book.purses('user', 'ann', ''))).toEqual({ earned: 5n })
    expect(book.balance(issuance)).toBe(-5n)
  })

  it('an event is compensated by its opposite, once, and only as far as balances bear it', () => {
    const book = open()
    post(book, issue('r', 'ann', 10n))
    post(book, issue('q', 'ann', 10n))
    post(book, { kind: 'transfer', reference: 't', from: 'ann', to: 'bob', amount: 15n })
    const undo: Command = { kind: 'compensate', event: 'issue/r', note: 'wrong account' }
    expect(reasonOf(book, undo)).toBe('insufficient')
    post(book, { kind: 'compensate', event: 'transfer/t', note: '' })
    post(book, undo)
    expect(post(book, undo).repeated).toBe(true)
    expect(book.balance(userAccount('ann', EARNED))).toBe(10n)
    expect(reasonOf(book, { kind: 'compensate', event: 'compensate/issue/r', note: '' })).toBe('not-allowed')
  })

  it('no more can be issued than amounts can say', () => {
    const book = open()
    post(book, issue('a', null, 10n ** 18n))
    expect(reasonOf(book, issue('b', null, 1n))).toBe('too-much')
  })
})
