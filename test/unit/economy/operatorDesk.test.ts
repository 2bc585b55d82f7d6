/** What an operator may ask and do, and that nobody else may. */

import { describe, expect, it } from 'vitest'
import { LedgerError } from '../../../src/coordinator/ledger/index.ts'
import { ACCOUNTS_LISTED_MAX, type AccountAsk, parseClientMessage } from '../../../src/protocol/index.ts'
import { peerOf } from '../verification/ring.ts'
import { EconomyWorld } from './world.ts'

async function world() {
  const made = new EconomyWorld()
  await made.join(['chief', 'ann', 'bob'])
  const chief = await made.account('chief')
  made.store.rolesOf.set(chief, ['operator', 'requester'])
  const ask = async (name: string, asked: AccountAsk) => {
    await made.economy.request(peerOf(name), { type: 'account-request', requestId: 'r', ask: asked })
    return made.messages('account-answer', name).at(-1)?.answer
  }
  return { made, chief, ask, refusals: () => made.messages('refused').map(({ reason }) => reason) }
}

/** As it comes over the wire. */
const isTaken = (ask: object) => parseClientMessage(JSON.stringify({ type: 'account-request', requestId: 'r', ask })).ok

const GRANT = { kind: 'grant', amount: '2000000', days: 7, reference: 'a'.repeat(32), note: 'thanks' } as const

describe('requests of operators', () => {
  it('[O1] are refused for an account without the role, whatever they ask, and as soon as it is taken away', async () => {
    const { made, chief, ask, refusals } = await world()
    const ann = await made.account('ann')
    const asks: readonly AccountAsk[] = [
      { kind: 'overview' },
      { kind: 'verify-ledger' },
      { kind: 'accounts', search: '', after: null },
      { kind: 'change-roles', accountId: ann, roles: ['operator'] },
      { ...GRANT, accountId: ann },
    ]
    for (const one of asks) await ask('ann', one)
    expect(refusals()).toEqual(asks.map(() => 'not-allowed'))
    expect(made.messages('refused')[0]?.message).toContain(`account change ${ann} --roles operator,requester,volunteer`)
    expect([made.store.rolesOf.has(ann), (await made.sums('ann')).user]).toEqual([false, 0n])
    expect(await ask('chief', { kind: 'overview' })).toMatchObject({ kind: 'overview' })
    made.store.rolesOf.set(chief, ['requester'])
    await ask('chief', { kind: 'overview' })
    expect(refusals().length).toBe(asks.length + 1)
  })

  it('[O2] tell how the credits stand: all kinds of account together are minus issuance', async () => {
    const { made, ask } = await world()
    await made.give('ann', 5_000_000n)
    await made.join(['x', 'y', 'z'])
    await made.session('ann', ['x', 'y', 'z'])
    const answer = await ask('chief', { kind: 'overview' })
    if (answer?.kind !== 'overview') throw new Error('no overview')
    const sums = await made.sums()
    expect(answer).toMatchObject({ issuance: sums.issuance.toString(), accounts: 6, starters: { issued: '0', poolADay: '0' } })
    expect(answer.held).toMatchObject({ user: sums.user.toString(), fee: sums.fee.toString(), escrow: sums.escrow.toString() })
    expect(Object.values(answer.held).reduce((all, one) => all + BigInt(one), 0n)).toBe(-sums.issuance)
  })

  it('[O3] have the ledger recomputed, once for all who ask meanwhile, and hear what is wrong', async () => {
    const { made, ask } = await world()
    await made.give('ann', 5_000_000n)
    let audits = 0
    const audit = made.store.ledger.audit
    made.store.ledger.audit = () => {
      audits++
      return audit()
    }
    const verify: AccountAsk = { kind: 'verify-ledger' }
    const [right] = await Promise.all([ask('chief', verify), ask('chief', verify)])
    expect([right, audits]).toEqual([
      {
        kind: 'verify-ledger',
        broken: null,
        events: made.store.events.length,
        heads: 0,
        outstanding: (-(await made.sums()).issuance).toString(),
      },
      1,
    ])
    made.store.ledger.audit = () => Promise.reject(new LedgerError('broken', 'line 7 is wrong'))
    expect(await ask('chief', verify)).toMatchObject({ broken: 'line 7 is wrong' })
  })

  it('[O4] list accounts a page at a time, and change their roles, but for the operator’s own', async () => {
    const { made, chief, ask, refusals } = await world()
    await made.give('ann', 7n)
    await made.join(Array.from({ length: ACCOUNTS_LISTED_MAX }, (_, index) => `p${index}`))
    const page = async (after: string | null) => {
      const answer = await ask('chief', { kind: 'accounts', search: 'account-', after })
      if (answer?.kind !== 'accounts') throw new Error('no accounts')
      return answer
    }
    const first = await page(null)
    expect([first.accounts.length, first.hasMore]).toEqual([ACCOUNTS_LISTED_MAX, true])
    const second = await page(first.accounts.at(-1)?.id ?? null)
    expect([second.accounts.length, second.hasMore]).toEqual([3, false])
    const ann = await made.account('ann')
    expect([...first.accounts, ...second.accounts].find(({ id }) => id === ann)?.spendable).toBe('7')
    const changed = await ask('chief', { kind: 'change-roles', accountId: ann, roles: ['volunteer'] })
    expect(changed).toMatchObject({ kind: 'change-roles', account: { id: ann, roles: ['volunteer'] } })
    await ask('chief', { kind: 'change-roles', accountId: chief, roles: ['requester'] })
    await ask('chief', { kind: 'change-roles', accountId: 'nobody', roles: ['requester'] })
    expect(refusals()).toEqual(['not-allowed', 'unknown'])
    expect(made.store.rolesOf.get(chief)).toContain('operator')
  })

  it('[O5] grant something for one day to ten years, and no more than there can be', () => {
    const grant = { ...GRANT, accountId: 'c'.repeat(32) }
    for (const fits of [{}, { amount: '1' }, { amount: '9'.repeat(18) }, { days: 1 }, { days: 3_650 }, { note: 'x'.repeat(200) }])
      expect(isTaken({ ...grant, ...fits })).toBe(true)
    const wrong = [
      { amount: '0' },
      { amount: '-1' },
      { amount: `1${'0'.repeat(18)}` },
      { days: 0 },
      { days: 3_651 },
      { note: 'x'.repeat(201) },
    ]
    for (const change of [...wrong, { accountId: 'ann' }, { reference: '' }]) expect(isTaken({ ...grant, ...change })).toBe(false)
  })

  it('[O5] grant credits that end and cannot be transferred, once, and the account is told', async () => {
    const { made, ask, refusals } = await world()
    const ann = await made.account('ann')
    for (let times = 2; times > 0; times--)
      expect(await ask('chief', { ...GRANT, accountId: ann })).toMatchObject({ kind: 'grant', account: { id: ann, spendable: '2000000' } })
    await made.wait(2_000)
    expect(made.messages('account', 'ann').at(-1)).toMatchObject({ spendable: '2000000', granted: '2000000' })
    await ask('chief', { ...GRANT, accountId: 'nobody' })
    made.store.ledger.post = () => Promise.reject(new LedgerError('not-allowed', 'more than there can be'))
    await ask('chief', { ...GRANT, reference: 'b'.repeat(32), accountId: ann })
    expect(refusals()).toEqual(['unknown', 'bad-value'])
    expect((await made.sums('ann')).user).toBe(2_000_000n)
  })
})
