/** What is recorded of what accounts do on pages, and what is not. */

import { expect, it } from 'vitest'
import type { Action } from '../../../src/coordinator/economy/index.ts'
import type { AccountAsk } from '../../../src/protocol/index.ts'
import { peerOf } from '../verification/ring.ts'
import { EconomyWorld } from './world.ts'

async function world() {
  const actions: Action[] = []
  const made = new EconomyWorld({ onAction: (action) => actions.push(action) })
  await made.join(['chief', 'ann'])
  const [chief, ann] = [await made.account('chief'), await made.account('ann')]
  made.store.rolesOf.set(chief, ['operator', 'requester'])
  const ask = (name: string, asked: AccountAsk) =>
    made.economy.request(peerOf(name), { type: 'account-request', requestId: 'r', ask: asked })
  return { made, actions, chief, ann, ask }
}

it('an operator’s roles and grants are recorded, with who did them and what they were', async () => {
  const { actions, chief, ann, ask } = await world()
  await ask('chief', { kind: 'change-roles', accountId: ann, roles: ['volunteer'] })
  const reference = 'a'.repeat(32)
  await ask('chief', { kind: 'grant', accountId: ann, amount: '2500000', days: 7, reference, note: 'a private word' })
  expect(actions).toEqual([
    { by: chief, action: 'change-roles', on: ann, details: { roles: ['volunteer'] } },
    { by: chief, action: 'grant', on: ann, details: { credits: '2.5', days: 7, reference } },
  ])
})

it('keys are recorded by their ids and scopes, without the key and its name', async () => {
  const { made, actions, ann, ask } = await world()
  await ask('ann', { kind: 'create-key', name: 'of my laptop', models: ['m'], budget: '5000000', requestsAMinute: 60 })
  const answer = made.messages('account-answer', 'ann').at(-1)?.answer
  if (answer?.kind !== 'create-key') throw new Error('there is no key')
  await ask('ann', { kind: 'revoke-key', keyId: answer.key.id })
  const scope = { payer: ann, models: ['m'], pools: null, budget: '5', requestsAMinute: 60 }
  expect(actions).toEqual([
    { by: ann, action: 'create-key', on: answer.key.id, details: scope },
    { by: ann, action: 'revoke-key', on: answer.key.id, details: { payer: ann } },
  ])
  expect(JSON.stringify(actions)).not.toContain(answer.text)
  expect(JSON.stringify(actions)).not.toContain('laptop')
})

it('what only asks, and what is refused, is none', async () => {
  const { actions, ann, ask } = await world()
  await ask('chief', { kind: 'overview' })
  await ask('ann', { kind: 'keys' })
  await ask('ann', { kind: 'change-roles', accountId: ann, roles: ['operator'] })
  await ask('ann', { kind: 'revoke-key', keyId: '0'.repeat(16) })
  expect(actions).toEqual([])
})
