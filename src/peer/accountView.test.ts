import { describe, expect, it } from 'vitest'
import type { ListedModel } from '../protocol/index.ts'
import type { ManifestHash, ModelId, PeerId, SessionId } from '../shared/index.ts'
import {
  accountStateOf,
  BILLS_MAX,
  pricesOf,
  statementPageOf,
  VERDICTS_MAX,
  withAudit,
  withCharge,
  withHeld,
  withVerdict,
} from './accountView.ts'

const standing = { validInARow: 3, trustedFrom: 10, failures: 0 }
const TIERS = { spot: 0.5, standard: 1, priority: 2 }
const sessionId = (index: number) => index.toString(16).padStart(32, '0') as SessionId

describe('what the coordinator says of an account', () => {
  it('is read exactly, beyond what a floating number could hold', () => {
    const huge = '1234567890123456789012345'
    const amounts = { spendable: huge, granted: '1', held: '2', escrow: '3', earned: '4' }
    const state = accountStateOf({ type: 'account', accountId: 'ann', ...amounts, standing })
    expect(state).toEqual({ accountId: 'ann', spendable: BigInt(huge), granted: 1n, held: 2n, escrow: 3n, earned: 4n, standing })
  })

  it('a statement’s changes may be less than nothing', () => {
    const amounts = { available: '-5', held: '5', escrow: '0', granted: '-1' }
    const line = { sequence: 7, atMs: 1, event: 'hold/s', kind: 'hold', role: 'requester' as const, session: 's', ...amounts }
    const base = { type: 'statement', requestId: 'r', month: '2027-01', opening: amounts, closing: amounts } as const
    const page = statementPageOf({ ...base, lines: [line], cursor: 8 })
    expect(page.lines).toEqual([{ ...line, available: -5n, held: 5n, escrow: 0n, granted: -1n }])
    expect([page.cursor, page.opening.available]).toEqual([8, -5n])
  })

  it('prices that cannot be read are none', () => {
    const listed = (id: string, decode: string): ListedModel => ({
      id: id as ModelId,
      name: id,
      license: null,
      manifestHash: '0'.repeat(64) as ManifestHash,
      fileBytes: 1,
      layerCount: 1,
      contextLength: 1,
      creditsPerMillionTokens: { decode, prompt: '0.25', cachedPrompt: '0.1', positions: 1 },
      tiers: TIERS,
      default: true,
    })
    const prices = pricesOf([listed('a', '134.515021'), listed('b', '0')])
    expect([...prices]).toEqual([['a', { decode: 134_515_021n, prompt: 250_000n, tiers: TIERS }]])
  })
})

describe('bills', () => {
  it('hold what an answer may cost, then what it did', () => {
    const held = withHeld(new Map(), sessionId(1), 70n)
    expect(held.get(sessionId(1))).toEqual({ held: 70n, charged: null })
    expect(withCharge(held, sessionId(1), 30n).get(sessionId(1))).toEqual({ held: 70n, charged: 30n })
    expect(withCharge(held, sessionId(2), 30n)).toBe(held)
  })

  it('are kept of the last answers only', () => {
    let bills: ReturnType<typeof withHeld> = new Map()
    for (let index = 0; index < BILLS_MAX + 5; index++) bills = withHeld(bills, sessionId(index), 1n)
    expect(bills.size).toBe(BILLS_MAX)
    expect([bills.has(sessionId(4)), bills.has(sessionId(5))]).toEqual([false, true])
  })
})

describe('[V27] audits of this tab’s answers', () => {
  const told = {
    type: 'audited',
    peerId: 'ab' as PeerId,
    span: { firstLayer: 0, endLayer: 15 },
    auditors: [],
    verdict: 'undecided',
  } as const

  it('are kept by session, in their order, and of the last sessions only', () => {
    const one = withAudit(new Map(), { ...told, sessionId: sessionId(1) })
    const both = withAudit(one, { ...told, sessionId: sessionId(1), verdict: 'valid' })
    expect(both.get(sessionId(1))?.map(({ verdict }) => verdict)).toEqual(['undecided', 'valid'])
    let audits = both
    for (let index = 2; index < BILLS_MAX + 2; index++) audits = withAudit(audits, { ...told, sessionId: sessionId(index) })
    expect([audits.size, audits.has(sessionId(1)), audits.has(sessionId(2))]).toEqual([BILLS_MAX, false, true])
  })
})

describe('[V24] verdicts', () => {
  const told = { type: 'verdict', sessionId: sessionId(1), role: 'stage', span: { firstLayer: 0, endLayer: 15 } } as const
  const found = { ...told, verdict: 'valid', reason: 'an auditor agrees', standing: { ...standing, validInARow: 4 } } as const
  const amounts = { spendable: '0', granted: '0', held: '0', escrow: '0', earned: '0' }
  const account = accountStateOf({ type: 'account', accountId: 'ann', ...amounts, standing })

  it('say how the account stands at once, and are kept with when they came', () => {
    const { type: _, standing: after, ...verdict } = found
    const state = withVerdict({ account, verdicts: [] }, found, 7)
    expect(state).toEqual({ account: { ...account, standing: after }, verdicts: [{ ...verdict, atMs: 7 }] })
    expect(withVerdict({ account: null, verdicts: [] }, found, 7).account).toBeNull()
  })

  it('are kept of the last ones only', () => {
    let state = withVerdict({ account, verdicts: [] }, found, 0)
    for (let atMs = 1; atMs <= VERDICTS_MAX; atMs++) state = withVerdict(state, found, atMs)
    expect(state.verdicts.map(({ atMs }) => atMs)).toEqual(Array.from({ length: VERDICTS_MAX }, (_, index) => index + 1))
  })
})
