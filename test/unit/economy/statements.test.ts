/** What drivers are told of their sessions' cost, and accounts of their months. */

import { describe, expect, it } from 'vitest'
import { STATEMENT_RATE } from '../../../src/coordinator/economy/limits.ts'
import { required } from '../../../src/shared/index.ts'
import { NOW_MS, peerOf, Ring } from '../verification/ring.ts'
import { CREDIT, fundedWorld, PRICE } from './fundedWorld.ts'
import { CHARGE } from './world.ts'

describe('what a session cost', () => {
  it('[E10] is told its driver once it is settled and the rest is back; a hold says what it can be at most', async () => {
    const made = await fundedWorld()
    const grant = await made.open('driver', ['a', 'b', 'c'])
    expect(made.economy.heldFor(grant.sessionId)).toBe(PRICE)
    expect(made.messages('settled')).toEqual([])
    const ring = new Ring(grant).submit('prompt', 30).flow().submit('decode', 20).flow()
    await made.sign(ring.finals())
    made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(16_000)
    expect(made.messages('settled', 'driver')).toEqual([{ type: 'settled', sessionId: grant.sessionId, charged: CHARGE.toString() }])
    expect(made.messages('settled').length).toBe(1)
    expect(made.economy.heldFor(grant.sessionId)).toBeNull()
  })

  it('[E10] is nothing where nobody computed, and all that was held where that was not enough', async () => {
    const made = await fundedWorld()
    const free = await made.open('driver', ['a', 'b', 'c'])
    made.economy.session({ kind: 'closed', sessionId: free.sessionId, outcome: 'cancelled', sawFailure: false })
    await made.wait(16_000)
    const dear = await made.open('driver', ['a', 'b', 'c'], 30, 50)
    const ring = new Ring(dear).submit('prompt', 30).flow()
    for (let round = 0; round < 20; round++) ring.submit('decode', 40).flow().truncate(30)
    await made.sign(ring.finals())
    made.economy.session({ kind: 'closed', sessionId: dear.sessionId, outcome: 'finished', sawFailure: false })
    await made.wait(16_000)
    expect(made.messages('settled', 'driver').map(({ charged }) => charged)).toEqual(['0', PRICE.toString()])
  })
})

describe('statements', () => {
  const MONTH = new Date(NOW_MS).toISOString().slice(0, 7)
  const ask = { type: 'statement', requestId: 's', month: MONTH, cursor: null } as const

  it('[E11] tell a peer of its own account, from where it asks on, and of no other', async () => {
    const made = await fundedWorld()
    await made.session('driver', ['a', 'b', 'c'])
    await made.economy.statement(peerOf('driver'), ask)
    await made.economy.statement(peerOf('a'), ask)
    const [own, others] = made.messages('statement')
    expect(own?.lines.map(({ kind, role }) => `${kind} ${role}`)).toEqual([
      'issue account',
      'hold requester',
      'settle requester',
      'release requester',
    ])
    expect(own?.closing.available).toBe((CREDIT - CHARGE).toString())
    expect(others?.lines.map(({ kind, role }) => `${kind} ${role}`)).toEqual(['settle volunteer'])
    await made.economy.statement(peerOf('driver'), { ...ask, cursor: required(own?.lines[2], 'a line').sequence })
    expect(
      made
        .messages('statement')
        .at(-1)
        ?.lines.map(({ kind }) => kind),
    ).toEqual(['settle', 'release'])
    await made.economy.statement(peerOf('nobody'), ask)
    expect(made.messages('refused')).toMatchObject([{ requestId: 's', reason: 'no-accounts' }])
  })

  it('[E11] are twenty of a peer at once and two a second, each peer by itself, and four of all at a time', async () => {
    const made = await fundedWorld()
    for (let count = 0; count < STATEMENT_RATE.burst + 1; count++) await made.economy.statement(peerOf('driver'), ask)
    expect(made.messages('statement').length).toBe(STATEMENT_RATE.burst)
    expect(made.messages('refused')).toMatchObject([{ reason: 'too-many-statements', retryAfterMs: 500 }])
    await made.wait(1_000)
    for (const name of ['driver', 'driver', 'driver', 'a']) await made.economy.statement(peerOf(name), ask)
    expect(made.messages('statement').length).toBe(STATEMENT_RATE.burst + 3)
    await Promise.all(['a', 'a', 'a', 'a', 'b'].map((name) => made.economy.statement(peerOf(name), ask)))
    expect(made.messages('refused').map(({ reason }) => reason)).toEqual(['too-many-statements', 'too-many-statements', 'busy'])
  })
})
