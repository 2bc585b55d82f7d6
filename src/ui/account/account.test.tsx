import { MantineProvider } from '@mantine/core'
import type { ReactNode } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import { Router } from 'wouter'
import type { AccountState, PeerState, StatementPage } from '../../peer/index.ts'
import { fromErrorBody, type SessionId } from '../../shared/index.ts'
import { BillLine } from '../chat/billLine.tsx'
import { CreditLine } from '../chat/creditLine.tsx'
import { createChatStore } from '../chatStore.ts'
import { EarningsPanel } from '../contribute/earningsPanel.tsx'
import { UiContext } from '../runtimeContext.ts'
import { FakeBenchHost } from '../testing/fakeBench.ts'
import { FakeRuntime, fakeSwarm, MODEL_ID } from '../testing/fakeRuntime.ts'
import { describeScope, describeSpending, describeUse } from './apiKeyWords.ts'
import { BalanceFigures } from './balanceFigures.tsx'
import { DevicesPanel } from './devicesPanel.tsx'
import { describeDevice, deviceName } from './deviceWords.ts'
import { KeepingNotes } from './keepingNotes.tsx'
import { describeCheck } from './ledgerWords.ts'
import { describeMoving } from './movingWords.ts'
import { ALL_SCOPE, draftOf, ScopeFields, typedScope } from './scopeFields.tsx'
import { createStatementStore } from './statementStore.ts'
import { describeLine, describeOthers, formatChange, monthsUpTo, nameMonth } from './statementWords.ts'
import { describeTeamScope, memberName } from './teamWords.ts'

const standing = { validInARow: 0, trustedFrom: 10, failures: 0 }
const NOTHING: AccountState = { accountId: 'ann', spendable: 0n, granted: 0n, held: 0n, escrow: 0n, earned: 0n, standing }
const PHRASE = 'abandon ability able about above absent absorb abstract absurd abuse access accident'
const SESSION = '5'.repeat(32) as SessionId

/** The text of a page's part over that state. */
function show(part: ReactNode, state: Partial<PeerState>): string {
  const runtime = new FakeRuntime(state)
  const services = { runtime, bench: new FakeBenchHost(), chat: createChatStore({ runtime, randomSeed: () => 1 }) }
  return renderToStaticMarkup(
    <MantineProvider>
      <Router ssrPath="/">
        <UiContext value={services}>{part}</UiContext>
      </Router>
    </MantineProvider>,
  ).replaceAll(/<style.*?<\/style>/gs, '')
}

describe('the account’s key', () => {
  const unsaved = { accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: true } }

  it('asks for the phrase to be saved from the first earnings on, until it is', () => {
    expect(show(<KeepingNotes />, { ...unsaved, account: NOTHING })).toBe('')
    expect(show(<KeepingNotes />, { ...unsaved, account: { ...NOTHING, spendable: 7n, granted: 7n } })).toBe('')
    for (const earnings of [{ escrow: 1n }, { earned: 1n }])
      expect(show(<KeepingNotes />, { ...unsaved, account: { ...NOTHING, ...earnings } })).toContain('save your recovery phrase')
    const saved = { accountKeeping: { isKept: true, unsavedPhrase: null, hasCopy: true } }
    expect(show(<KeepingNotes />, { ...saved, account: { ...NOTHING, earned: 1n } })).toBe('')
  })

  it('shows no word of the phrase unasked', () => {
    expect(show(<KeepingNotes />, { ...unsaved, account: { ...NOTHING, earned: 1n } })).not.toContain('abandon')
  })

  it('says where nothing is kept, before anything is earned', () => {
    const lost = { accountKeeping: { isKept: false, unsavedPhrase: PHRASE, hasCopy: true } }
    expect(show(<KeepingNotes />, { ...lost, account: NOTHING })).toContain('ends with it')
    expect(show(<KeepingNotes />, { ...lost, account: { ...NOTHING, earned: 1n } })).not.toContain('recovery phrase')
  })
})

describe('the account’s devices', () => {
  const unsaved = { accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: true } }

  it('are for browsers that keep something', () => {
    expect(show(<DevicesPanel />, { accountKeeping: null })).toBe('')
    expect(show(<DevicesPanel />, { accountKeeping: { isKept: false, unsavedPhrase: PHRASE, hasCopy: null } })).toBe('')
    expect(show(<DevicesPanel />, unsaved)).toContain('Bring an account back by its recovery phrase')
  })

  it('have the phrase at hand before anything is earned, and leave it to the notice after that', () => {
    expect(show(<DevicesPanel />, { ...unsaved, account: NOTHING })).toContain('show-phrase')
    expect(show(<DevicesPanel />, { ...unsaved, account: { ...NOTHING, escrow: 1n } })).not.toContain('show-phrase')
  })

  it('are warned while the coordinator has no copy of the key', () => {
    const copied = (hasCopy: boolean | null) => show(<DevicesPanel />, { accountKeeping: { ...unsaved.accountKeeping, hasCopy } })
    expect(copied(false)).toContain('has not taken the copy yet')
    for (const hasCopy of [true, null]) expect(copied(hasCopy)).not.toContain('has not taken the copy yet')
  })

  it('are told what comes along with them, and what stays behind', () => {
    const whole = { ...NOTHING, spendable: 12_500_000n, granted: 10_000_000n, escrow: 250_000n }
    expect(describeMoving(whole).slice(0, 2)).toEqual([
      'What the account of this browser has comes along: 2.5 credits that it can transfer, and 0.25 that it has in escrow, once they are paid out.',
      '10 granted credits stay behind: grants cannot be moved, so spend them first.',
    ])
    expect(describeMoving({ ...whole, granted: 0n, escrow: 0n })).toHaveLength(2)
    expect(describeMoving({ ...NOTHING, spendable: 5n, granted: 5n })[0]).toContain('has earned nothing that could come along')
    expect(describeMoving(NOTHING)).toEqual(['The account that this browser has now is empty: nothing is left behind.'])
    expect(describeMoving(null)).toHaveLength(1)
  })
})

describe('the list of devices', () => {
  it('says since when each has the account, and whether it is open or when it was', () => {
    const addedAtMs = Date.UTC(2027, 0, 4)
    const seenAtMs = Date.UTC(2027, 0, 9)
    expect(describeDevice({ addedAtMs, seenAtMs, isConnected: false })).toBe(
      'Has this account since 4 January 2027; last seen on 9 January 2027.',
    )
    expect(describeDevice({ addedAtMs, seenAtMs, isConnected: true })).toBe('Has this account since 4 January 2027; open now.')
    expect([deviceName({ name: '' }), deviceName({ name: 'phone' })]).toEqual(['A device without a name', 'phone'])
  })

  it('a browser that was removed is told so, and when, whatever it has', () => {
    expect(show(<KeepingNotes />, { removedAtMs: Date.UTC(2027, 0, 9, 12), account: NOTHING })).toMatch(
      /This browser was removed from the account that it had.*9 January 2027/,
    )
    expect(show(<KeepingNotes />, { account: NOTHING })).toBe('')
  })
})

describe('a check of the ledger', () => {
  it('says how long it is, what it extends, and that the account’s events are in it', () => {
    const head = { size: 41_207, root: 'a'.repeat(64), atMs: Date.UTC(2027, 0, 9), publicKey: 'A'.repeat(87), signature: 'A' }
    const seen = { ...head, size: 40_118, atMs: Date.UTC(2027, 0, 4) }
    expect(describeCheck({ head, seen, lines: 12 })).toBe(
      'The ledger has 41,207 events. It extends the one with 40,118 events that was signed on 4 January 2027: nothing of that was changed. All 12 events of this account are in it.',
    )
    expect(describeCheck({ head, seen: null, lines: 1 })).toMatch(/remembers its signed head.* The 1 event of this account is in it\.$/)
    expect(describeCheck({ head: null, seen: null, lines: 0 })).toBe('The ledger has no event yet.')
  })
})

describe('teams', () => {
  it('say what their keys may, and who is in them', () => {
    expect(describeTeamScope({ models: null, pools: null })).toBe('Its keys may use all models, in all pools.')
    expect(describeTeamScope({ models: ['a', 'b'], pools: ['trusted'] })).toBe('Its keys may use only a, b, in the pools trusted.')
    const accountId = '8d41aa02c7e018f35b447c2e95d0b1f8'
    expect([memberName({ accountId, name: '' }), memberName({ accountId, name: 'Ann' })]).toEqual(['Account 8d41aa02', 'Ann'])
  })

  it('models and pools are read as they are typed, and come back as they were; nothing stands for all', () => {
    expect(typedScope(ALL_SCOPE)).toEqual({ models: null, pools: null })
    expect(typedScope({ models: ['m'], pools: ' trusted,, europe , trusted' })).toEqual({ models: ['m'], pools: ['trusted', 'europe'] })
    for (const scope of [
      { models: null, pools: null },
      { models: ['m'], pools: ['trusted', 'europe'] },
    ])
      expect(typedScope(draftOf(scope))).toEqual(scope)
  })

  it('a model that is allowed and not served now can still be chosen, by its id', () => {
    const fields = show(<ScopeFields scope={{ models: ['gone-model'], pools: '' }} onChange={() => undefined} />, { network: null })
    expect(fields).toContain('gone-model')
    expect(fields).not.toContain(MODEL_ID)
    const both = show(<ScopeFields scope={{ models: ['gone-model'], pools: '' }} onChange={() => undefined} />, { network: fakeSwarm([]) })
    expect(both).toContain('SmolLM2 135M Instruct')
  })
})

describe('API keys', () => {
  const none = { models: null, pools: null, requestsAMinute: null }

  it('say what they may', () => {
    expect(describeScope(none)).toBe('All models, at any rate')
    expect(describeScope({ ...none, requestsAMinute: 60 })).toBe('60 requests a minute')
    expect(describeScope({ models: ['a', 'b'], pools: ['trusted'], requestsAMinute: 5 })).toBe(
      'Only a, b; only in the pools trusted; 5 requests a minute',
    )
  })

  it('say what they have spent, of what, and when they were used', () => {
    expect(describeSpending({ spent: 70_112n, budget: null })).toBe('0.070112 credits spent.')
    expect(describeSpending({ spent: 70_112n, budget: 5_000_000n })).toBe('0.070112 of 5 credits spent.')
    const createdAtMs = Date.UTC(2027, 0, 4, 23, 59)
    expect(describeUse({ createdAtMs, usedAtMs: null })).toBe('Made on 4 January 2027, never used.')
    expect(describeUse({ createdAtMs, usedAtMs: createdAtMs + 60_000 })).toBe('Made on 4 January 2027, last used on 5 January 2027.')
  })
})

describe('amounts on pages', () => {
  it('are exact decimals of credits', () => {
    const account = { ...NOTHING, spendable: 9_007_199_254_740_993_000_001n, granted: 10n, held: 250_000n, escrow: 1n, earned: 12_500_000n }
    const figures = show(<BalanceFigures account={account} />, {})
    for (const text of ['9007199254740993.000001', '0.00001 of it granted', '0.25', '0.000001', '12.5'])
      expect(figures).toContain(`>${text}`)
    const earnings = show(<EarningsPanel />, { account })
    expect(earnings).toContain('What is in escrow was computed and is not paid out yet')
    expect(show(<EarningsPanel />, { account: NOTHING })).toContain('Each answer that this tab computes for')
    expect(show(<EarningsPanel />, { account: null })).toBe('')
  })

  it('the chat says balance and price before, the hold while and the cost after an answer', () => {
    const prices = new Map([[MODEL_ID, { decode: 134_515_021n, prompt: 33_600_000n, tiers: { spot: 0.5, standard: 1, priority: 2 } }]])
    const line = show(<CreditLine tier="standard" />, { account: { ...NOTHING, spendable: 9_990_000n }, prices })
    expect(line).toMatch(/9\.99 credits.*134\.515021 credits in an answer, 33\.6 in a question/)
    const cheap = show(<CreditLine tier="spot" />, { prices })
    expect(cheap).toMatch(/67\.257511 credits in an answer, 16\.8 in a question, last in line/)
    const bill = (charged: bigint | null) =>
      show(<BillLine sessionId={SESSION} />, { bills: new Map([[SESSION, { held: 70_000n, charged }]]) })
    expect(bill(null)).toContain('0.07 credits are set aside')
    expect(bill(8_071n)).toContain('Cost 0.008071 credits, of 0.07 that')
    expect(show(<BillLine sessionId={SESSION} />, {})).toBe('')
  })
})

describe('a statement', () => {
  const amounts = (available: bigint, held = 0n, escrow = 0n) => ({ available, held, escrow, granted: 0n })
  const line = (sequence: number, kind: string, available: bigint, held = 0n) => {
    const of = { sequence, atMs: Date.UTC(2027, 0, 2), event: `${kind}/s`, kind, role: 'requester' as const, session: 's' }
    return { ...of, ...amounts(available, held) }
  }
  const pages: readonly StatementPage[] = [
    {
      month: '',
      opening: amounts(100n),
      closing: amounts(93n),
      lines: [line(0, 'hold', -10n, 10n), line(1, 'settle', 0n, -7n)],
      cursor: 2,
    },
    { month: '', opening: amounts(100n), closing: amounts(93n), lines: [line(2, 'release', 3n, -3n)], cursor: null },
  ]
  /** Its pages stand at the place of their cursors. */
  const runtimeOf = () => {
    const runtime = new FakeRuntime()
    const [first, second] = pages
    if (first === undefined || second === undefined) throw new Error('no pages')
    runtime.statementPages = [first, first, second]
    return runtime
  }
  const settle = () => new Promise((resolve) => setTimeout(resolve))

  it('is read a part at a time, with the balance after each line', async () => {
    const store = createStatementStore(runtimeOf(), '2027-01')
    store.getState().open('2027-01')
    await settle()
    expect(store.getState()).toMatchObject({ hasMore: true, isReading: false, error: null })
    store.getState().readOn()
    await settle()
    const { rows, hasMore, closing } = store.getState()
    expect(rows.map(({ balance }) => balance)).toEqual([90n, 90n, 93n])
    expect([hasMore, closing?.available]).toEqual([false, 93n])
  })

  it('is written whole, as the command writes it, whatever the page shows of it', async () => {
    const store = createStatementStore(runtimeOf(), '2027-01')
    store.getState().open('2027-01')
    expect((await store.getState().csv())?.split('\n')).toEqual([
      'sequence,time,event,kind,role,session,available_micro_credits,held_micro_credits,escrow_micro_credits,granted_micro_credits',
      ',,opening,balance,,,100,0,0,0',
      '0,2027-01-02T00:00:00.000Z,hold/s,hold,requester,s,-10,10,0,0',
      '1,2027-01-02T00:00:00.000Z,settle/s,settle,requester,s,0,-7,0,0',
      '2,2027-01-02T00:00:00.000Z,release/s,release,requester,s,3,-3,0,0',
      ',,closing,balance,,,93,0,0,0',
      '',
    ])
  })

  it('hears nothing of a month that is not shown any more', async () => {
    const runtime = runtimeOf()
    const store = createStatementStore(runtime, '2027-01')
    store.getState().open('2027-01')
    runtime.statementPages = []
    store.getState().open('2026-12')
    await settle()
    expect(store.getState()).toMatchObject({ month: '2026-12', rows: [], hasMore: false })
  })

  it('says why it could not be read, and reads on when asked again', async () => {
    const runtime = runtimeOf()
    const { statement } = runtime
    runtime.statement = () => Promise.reject(fromErrorBody({ reason: 'offline', message: 'not connected' }))
    const store = createStatementStore(runtime, '2027-01')
    store.getState().open('2027-01')
    expect(await store.getState().csv()).toBeNull()
    expect(store.getState().error).toMatchObject({ reason: 'offline' })
    runtime.statement = statement
    store.getState().readOn()
    await settle()
    expect(store.getState()).toMatchObject({ error: null, hasMore: true })
  })

  it('has words for every kind of line', () => {
    expect(describeLine({ kind: 'hold', role: 'requester' })).toBe('Set aside for an answer')
    expect(describeLine({ kind: 'settle', role: 'volunteer' })).toBe('Earned by computing')
    expect(describeLine({ kind: 'compensate', role: 'volunteer' })).toBe('Corrected')
    expect(describeLine({ kind: 'new-kind', role: 'account' })).toBe('new-kind')
    expect(describeOthers({ held: -7n, escrow: 0n })).toBe('set aside -0.000007')
    expect([formatChange(5n), formatChange(0n), formatChange(-5n)]).toEqual(['+0.000005', '0', '-0.000005'])
  })

  it('offers months back over the turn of a year', () => {
    expect(monthsUpTo('2027-02', 4)).toEqual(['2027-02', '2027-01', '2026-12', '2026-11'])
    expect(nameMonth('2026-12')).toBe('December 2026')
  })
})
