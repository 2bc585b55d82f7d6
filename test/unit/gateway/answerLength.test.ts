/** How long an answer may get that names no number, and which answers are too long to wait for whole. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deferred } from '../../../src/shared/index.ts'
import { answerWith, type GatewayWorld, KEY, MODEL, startGatewayWorld, until } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const question = { model: MODEL, messages: [{ role: 'user', content: 'one two three' }] }
async function send(body: object, { path = '/chat/completions', signal = null as AbortSignal | null } = {}) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify({ ...question, ...body }), signal }
  const response = await world.fetch(`${world.baseUrl}${path}`, init)
  const text = await response.text()
  return { status: response.status, text }
}
/** Micro-credits of an answer to the question: see ScriptedAccounts. */
const costOf = (maxTokens: number) => BigInt((3 + 10 * maxTokens) * 2)

describe('an answer whose client names no number', () => {
  it.each([
    ['all of the bound', costOf(1_024), null],
    ['one token less', costOf(1_024) - 1n, 1_023],
    ['some', costOf(100), 100],
    ['not quite as many', costOf(100) - 1n, 99],
    ['one', costOf(1), 1],
  ])('has what its payer can pay for: %s', async (_what, purse, maxTokens) => {
    world.accounts.purse = purse
    expect((await send({})).status).toBe(200)
    expect(world.driver.asks.map(({ request }) => request.maxTokens)).toEqual([maxTokens])
  })

  it.each([
    [{ n: 2 }, 49],
    [{ service_tier: 'flex' }, 200],
  ])('has fewer the more each costs: %j', async (more, maxTokens) => {
    world.accounts.purse = 2_006n
    expect((await send(more)).status).toBe(200)
    expect(world.driver.asks[0]?.request.maxTokens).toBe(maxTokens)
  })

  it('is left to who admits it where nothing can be paid for', async () => {
    world.accounts.purse = costOf(1) - 1n
    world.driver.play = (ask) => ask.fail('insufficient-credits')
    expect((await send({})).status).toBe(402)
    expect(world.driver.asks[0]?.request.maxTokens).toBeNull()
  })

  it('has no more than the context leaves', async () => {
    world.accounts.purse = 1_000n
    const messages = [{ role: 'user', content: 'x '.repeat(3_000) }]
    world.driver.play = (ask) => ask.fail('prompt-too-long')
    expect((await send({ messages })).status).toBe(400)
    expect(world.driver.asks[0]?.request.maxTokens).toBeNull()
  })

  it('is estimated at that', async () => {
    world.accounts.purse = costOf(100)
    const { text } = await send({}, { path: '/estimate' })
    expect(JSON.parse(text)).toMatchObject({ maxTokens: 100, holdCredits: '0.002006' })
  })

  it('is not asked for where its client has gone while the purse was looked into', async () => {
    const looked = deferred<bigint>()
    let lookedFor = 0
    world.accounts.affordable = () => {
      lookedFor++
      return looked.promise
    }
    const controller = new AbortController()
    const gone = send({}, { signal: controller.signal }).catch(() => 'gone')
    await until(() => lookedFor === 1)
    controller.abort()
    expect(await gone).toBe('gone')
    // Its socket's end comes to the server later.
    await new Promise((resolve) => setTimeout(resolve, 50))
    looked.resolve(1_000_000n)
    await until(() => world.accounts.payments[0]?.isOver === true)
    expect(world.driver.asks).toEqual([])
  })
})

it('an answer whose client names a number is asked for as it is', async () => {
  world.accounts.purse = 0n
  await send({ max_tokens: 500 })
  expect(world.driver.asks[0]?.request.maxTokens).toBe(500)
})

describe('an answer that is waited for whole', () => {
  const wordy = (count: number, tokenMs: number) => {
    world.driver.play = (ask) => {
      ask.admit()
      for (let word = 0; word < count; word++) {
        if (word > 0) world.clock.advance(tokenMs)
        ask.say('x')
      }
      ask.finish()
    }
  }

  it('is refused where it is expected to take more than 240 s, and streamed all the same', async () => {
    wordy(300, 1_000)
    expect((await send({ max_tokens: 300 })).status).toBe(200)
    const refused = await send({ max_tokens: 241 })
    expect([refused.status, JSON.parse(refused.text).error]).toMatchObject([400, { param: 'stream', code: 'use_streaming' }])
    expect(world.driver.asks).toHaveLength(1)
    world.driver.play = (ask) => answerWith(ask, ['x'])
    expect((await send({ max_tokens: 241, stream: true })).status).toBe(200)
    expect((await send({ max_tokens: 240 })).status).toBe(200)
  })

  it('is expected to be as long as those before it, not as long as it may get', async () => {
    wordy(100, 1_000)
    await send({})
    expect((await send({ max_tokens: 1_000 })).status).toBe(200)
  })

  it('is not refused by a pace that nobody knows, or that a few tokens seem to have', async () => {
    expect((await send({ max_tokens: 2_000 })).status).toBe(200)
    wordy(7, 100_000)
    await send({})
    expect((await send({ max_tokens: 2_000 })).status).toBe(200)
  })

  it('that was computed is said again', async () => {
    wordy(300, 1_000)
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'idempotency-key': 'one' }
    const init = { method: 'POST', headers, body: JSON.stringify({ ...question, max_tokens: 300 }) }
    const statuses = []
    for (let turn = 0; turn < 2; turn++) {
      const response = await world.fetch(`${world.baseUrl}/chat/completions`, init)
      await response.text()
      statuses.push(response.status)
    }
    expect([statuses, world.driver.asks.length]).toEqual([[200, 200], 1])
    world.driver.play = (ask) => answerWith(ask, ['x'])
    expect((await send({ max_tokens: 300 })).status).toBe(400)
  })
})
