/** The end of a coordinator, as its clients see it: what runs is answered, or says that it was cut off; what comes is sent away to come again. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type GatewayWorld, KEY, MODEL, startGatewayWorld, until } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
  world.driver.play = () => undefined
})
afterEach(() => world.close())

const ask = (more: object = {}) =>
  world.fetch(`${world.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Say hello' }], ...more }),
  })

/** Ends once the driver's sessions are paid for. */
async function settleAll(): Promise<void> {
  for (const { sessionId } of world.driver.asks) world.accounts.settle(sessionId, 5n)
}

describe('draining', () => {
  it('is over at once where nothing runs', async () => {
    await world.gateway.drain()
    expect(world.gateway.running.isClosing).toBe(true)
  })

  it('lets a stream end, and waits for its price', async () => {
    const answer = await Promise.all([ask({ stream: true }), world.driver.asked().then((asked) => asked.admit())])
    const asked = await world.driver.asked()
    let isDrained = false
    const drained = world.gateway.drain().then(() => {
      isDrained = true
    })
    asked.say('Hello')
    world.clock.advance(19_000)
    asked.finish()
    expect(await answer[0].text()).toMatch(/Hello[\s\S]*\[DONE\]\n\n$/)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(isDrained).toBe(false)
    await settleAll()
    await drained
  })

  it('does not wait for ever for a price', async () => {
    const answer = ask()
    const asked = await world.driver.asked()
    asked.admit()
    const drained = world.gateway.drain()
    asked.finish()
    await answer
    await new Promise((resolve) => setTimeout(resolve, 20))
    world.clock.advance(5_000)
    await drained
  })

  it('refuses what comes, with when to come again, and closes the line', async () => {
    const running = ask()
    await world.driver.asked()
    const drained = world.gateway.drain()
    const refused = await ask({ messages: [{ role: 'user', content: 'Another' }] })
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('10')
    expect(refused.headers.get('connection')).toBe('close')
    expect(await refused.json()).toMatchObject({ error: { code: 'shutting-down' } })
    expect(world.driver.asks).toHaveLength(1)
    const asked = await world.driver.asked()
    asked.admit()
    asked.finish()
    expect((await running).status).toBe(200)
    await settleAll()
    await drained
  })

  it('cuts off what takes too long, streamed with an error chunk, whole with a status', async () => {
    const streamed = ask({ stream: true })
    const asked = await world.driver.asked()
    asked.admit()
    asked.say('Once')
    const whole = ask()
    await world.driver.asked(1)
    const drained = world.gateway.drain()
    world.clock.advance(20_000)
    const text = await (await streamed).text()
    expect(text).toMatch(/Once[\s\S]*"code":"shutting-down"/)
    expect(text).not.toContain('[DONE]')
    expect((await whole).status).toBe(503)
    await settleAll()
    await drained
    expect(world.driver.asks.every(({ isStopped }) => isStopped)).toBe(true)
  })

  it('does not wait for a driver that hangs', async () => {
    const answer = ask()
    const asked = await world.driver.asked()
    asked.stop = () => undefined
    const drained = world.gateway.drain()
    world.clock.advance(23_000)
    await drained
    asked.fail('driver-lost')
    expect((await answer).status).toBe(503)
  })
})

describe('a request that is over', () => {
  const entries = async (count: number) => until(() => (world.requests.length >= count ? world.requests : null))

  it('is told with its tokens and times, and no word of it', async () => {
    const answer = ask({ messages: [{ role: 'user', content: 'SECRET-MARKER' }] })
    const asked = await world.driver.asked()
    asked.admit()
    world.clock.advance(300)
    asked.say('SECRET-ANSWER')
    asked.finish()
    const requestId = (await answer).headers.get('x-request-id')
    const [entry] = await entries(1)
    expect(entry).toMatchObject({
      requestId,
      method: 'POST',
      route: '/v1/chat/completions',
      status: 200,
      aborted: false,
      keyId: KEY,
      model: MODEL,
      promptTokens: 7,
      completionTokens: 1,
      firstTextMs: 300,
      code: null,
    })
    expect(JSON.stringify(world.requests)).not.toContain('SECRET')
  })

  it('is told with its code where it failed, streamed too', async () => {
    const streamed = ask({ stream: true })
    const asked = await world.driver.asked()
    asked.admit()
    asked.fail('driver-lost')
    await (await streamed).text()
    await ask({ model: 'none' })
    await world.fetch(`${world.baseUrl}/models`)
    const told = (await entries(3)).map(({ route, status, code, keyId }) => ({ route, status, code, keyId }))
    expect(told).toEqual([
      { route: '/v1/chat/completions', status: 200, code: 'driver-lost', keyId: KEY },
      { route: '/v1/chat/completions', status: 404, code: 'model_not_found', keyId: KEY },
      { route: '/v1/models', status: 401, code: 'invalid_api_key', keyId: null },
    ])
  })

  it('is told as aborted where its client had gone', async () => {
    const controller = new AbortController()
    const asking = fetch(`${world.baseUrl}/chat/completions`, {
      method: 'POST',
      signal: controller.signal,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Say hello' }] }),
    })
    asking.catch(() => undefined)
    await world.driver.asked()
    controller.abort()
    const [entry] = await entries(1)
    expect(entry).toMatchObject({ aborted: true, route: '/v1/chat/completions' })
  })
})
