/** What clients demand of who computes and of the price: had, or refused with the words of what was not. */

import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const question = { model: MODEL, messages: [{ role: 'user', content: 'Say hello' }], max_tokens: 10 }
const bodies: Readonly<Record<string, object>> = {
  '/chat/completions': question,
  '/completions': { model: MODEL, prompt: 'Say hello', max_tokens: 10 },
  '/responses': { model: MODEL, input: 'Say hello', max_output_tokens: 10 },
}

async function send(path: string, body: object, more: Readonly<Record<string, string>> = {}) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...more }
  const response = await world.fetch(`${world.baseUrl}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json(), requestId: response.headers.get('x-request-id') }
}
const ask = (tabswarm: object, headers: Readonly<Record<string, string>> = {}) =>
  send('/chat/completions', { ...question, tabswarm }, headers)
const paidIn = () => world.accounts.payments.map(({ payer }) => payer.pool)

describe('a pool', () => {
  it.each(Object.keys(bodies))('is demanded in the body of %s, and told with its usage', async (path) => {
    const { status, requestId } = await send(path, { ...bodies[path], tabswarm: { pool: 'trusted', retention: 'none' } })
    expect([status, paidIn()]).toEqual([200, ['trusted']])
    const response = await world.fetch(`${world.baseUrl}/usage/${requestId}`, { headers: { authorization: `Bearer ${KEY}` } })
    expect(await response.json()).toMatchObject({ pool: 'trusted' })
  })

  it('is demanded by a header, as clients set it for all of their requests; the body goes before', async () => {
    const client = new OpenAI({ baseURL: world.baseUrl, apiKey: KEY, fetch: world.fetch, defaultHeaders: { 'X-Tabswarm-Pool': 'trusted' } })
    await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'Say hello' }] })
    await ask({ pool: 'mine' }, { 'x-tabswarm-pool': 'trusted' })
    expect(paidIn()).toEqual(['trusted', 'mine'])
  })

  it('is the widest that the key may use, where none is demanded', async () => {
    await send('/chat/completions', question)
    world.accounts.pool = 'trusted'
    await send('/chat/completions', question)
    expect(paidIn()).toEqual(['public', 'trusted'])
    expect(world.accounts.asked.map(([, request]) => request?.pool)).toEqual([null, null])
  })

  it('that does not serve the model is refused in words, whoever else does, before anything is asked', async () => {
    world.swarm.pools.trusted = 3
    expect(await ask({ pool: 'trusted' })).toMatchObject({
      status: 403,
      body: { error: { code: 'policy_pool', param: 'tabswarm.pool', message: expect.stringContaining('3 of the 4 layers') } },
    })
    expect(world.driver.asks).toEqual([])
    expect((await ask({})).status).toBe(200)
  })

  it.each(['incomplete', 'no-volunteers'])('that is gone when its turn comes is refused as it is: %s', async (reason) => {
    world.driver.play = (scripted) => scripted.fail(reason)
    expect(await ask({ pool: 'trusted' })).toMatchObject({ status: 403, body: { error: { code: 'policy_pool' } } })
    expect(await ask({ pool: 'public' })).toMatchObject({ status: 503, body: { error: { code: reason } } })
  })

  it('that is busy passes', async () => {
    world.driver.play = (scripted) => scripted.fail('busy')
    expect(await ask({ pool: 'trusted' })).toMatchObject({ status: 503, body: { error: { code: 'busy' } } })
  })

  it('of a repeated question is part of the question', async () => {
    const headers = { 'idempotency-key': 'one' }
    expect((await send('/chat/completions', question, headers)).status).toBe(200)
    expect(await send('/chat/completions', question, { ...headers, 'x-tabswarm-pool': 'trusted' })).toMatchObject({ status: 409 })
  })
})

describe('a price', () => {
  // A token a word of the prompt, ten of the answer, two micro-credits each.
  const PRICE = '0.000204'

  it('is borne up to what is demanded, and no further', async () => {
    expect((await ask({ max_price: PRICE })).status).toBe(200)
    expect((await ask({}, { 'x-tabswarm-max-price': PRICE })).status).toBe(200)
    expect(await ask({ max_price: 0.000203 })).toMatchObject({
      status: 403,
      body: { error: { code: 'policy_price', param: 'tabswarm.max_price', message: expect.stringContaining(PRICE) } },
    })
    expect(world.driver.asks).toHaveLength(2)
  })

  it('is of all choices, and nothing where one’s own tabs compute', async () => {
    expect((await send('/chat/completions', { ...question, n: 2, tabswarm: { max_price: PRICE } })).status).toBe(403)
    expect((await send('/chat/completions', { ...question, n: 2, tabswarm: { max_price: '0.000001', pool: 'mine' } })).status).toBe(200)
  })

  it('is told beforehand, and whether all that is demanded can be had', async () => {
    const estimate = async (tabswarm: object) => (await send('/estimate', { ...question, tabswarm })).body
    expect(await estimate({ pool: 'mine' })).toMatchObject({ holdCredits: '0', policySatisfied: true })
    expect(await estimate({ max_price: PRICE })).toMatchObject({ holdCredits: PRICE, policySatisfied: true })
    expect(await estimate({ max_price: '0.000203' })).toMatchObject({ policySatisfied: false })
    world.swarm.pools.trusted = 0
    expect(await estimate({ pool: 'trusted' })).toMatchObject({ policySatisfied: false })
  })
})

describe('what cannot be demanded', () => {
  it.each<[string, unknown]>([
    ['tabswarm.pool', { pool: 'private' }],
    ['tabswarm.regions', { regions: ['DE'] }],
    ['tabswarm.retention', { retention: '30d' }],
    ['tabswarm.max_price', { max_price: '-1' }],
    ['tabswarm.max_price', { max_price: '0.0000001' }],
    ['tabswarm', 'trusted'],
  ])('is refused by its name, never ignored: %s %j', async (param, tabswarm) => {
    const { status, body } = await send('/chat/completions', { ...question, tabswarm })
    expect([status, body.error.param]).toEqual([400, param])
    expect(world.driver.asks).toEqual([])
  })

  it('is refused in a header, too', async () => {
    expect(await ask({}, { 'x-tabswarm-pool': 'private' })).toMatchObject({ status: 400, body: { error: { param: 'tabswarm.pool' } } })
  })

  it('is a pool where nobody has an account', async () => {
    await world.close()
    world = await startGatewayWorld({ hasAccounts: false })
    expect(await ask({ pool: 'mine' })).toMatchObject({ status: 403, body: { error: { code: 'policy_pool' } } })
    expect((await ask({ pool: 'public' })).status).toBe(200)
  })
})
