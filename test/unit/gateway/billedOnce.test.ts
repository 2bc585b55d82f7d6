/** Billed once: clients that try again join the attempt that runs, or hear its answer again. And what each request has cost, told by itself. */

import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PeerId, SessionId } from '../../../src/shared/index.ts'
import { answerWith, type GatewayWorld, KEY, MODEL, NOW_SECONDS, PEER, startGatewayWorld, until } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const question = { model: MODEL, messages: [{ role: 'user' as const, content: 'Say hello' }] }

interface Sending {
  readonly key?: string
  readonly idempotencyKey?: string
  readonly retries?: number
  readonly body?: object
}

async function send({ key = KEY, idempotencyKey, retries, body = question }: Sending = {}) {
  const headers = new Headers({ authorization: `Bearer ${key}`, 'content-type': 'application/json' })
  if (idempotencyKey !== undefined) headers.set('idempotency-key', idempotencyKey)
  if (retries !== undefined) headers.set('x-stainless-retry-count', String(retries))
  const response = await world.fetch(`${world.baseUrl}/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, requestId: response.headers.get('x-request-id') }
}

async function get(path: string, key = KEY) {
  const response = await world.fetch(`${world.baseUrl}${path}`, { headers: { authorization: `Bearer ${key}` } })
  return { status: response.status, body: await response.json() }
}

describe('a retry', () => {
  it('of the client’s own, whose first line broke, is the second answer and the only bill', async () => {
    let lines = 0
    const client = new OpenAI({
      baseURL: world.baseUrl,
      apiKey: KEY,
      maxRetries: 2,
      // The answer was computed, and lost on its way.
      fetch: async (input, init) => {
        const response = await world.fetch(input, init)
        await response.clone().text()
        if (lines++ === 0) throw new TypeError('the line broke')
        return response
      },
    })
    const { choices } = await client.chat.completions.create(question)
    expect(choices[0]?.message.content).toBe('Hello, world')
    expect([lines, world.driver.asks.length, world.accounts.payments.length]).toEqual([2, 1, 1])
  })

  it('joins the attempt that still runs, and goes on alone where the first has gone', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
    }
    const controller = new AbortController()
    const streamed = { ...question, stream: true }
    const client = new OpenAI({ baseURL: world.baseUrl, apiKey: KEY, maxRetries: 0, fetch: world.fetch })
    const first = await client.chat.completions.create({ ...question, stream: true }, { signal: controller.signal })
    const second = send({ retries: 1, body: streamed })
    const ask = await world.driver.asked()
    await until(() => world.fetch.seen.headers.length === 2)
    controller.abort()
    for await (const _chunk of first);
    ask.say(' upon')
    ask.finish()
    const texts = [...(await second).text.matchAll(/"content":"([^"]*)"/g)].map(([, text]) => text)
    expect(texts.join('')).toBe('Once upon')
    expect([ask.isStopped, world.driver.asks.length]).toEqual([false, 1])
  })

  it('hears the same answer again, under the same id, for ten minutes', async () => {
    const first = await send()
    world.clock.advance(9 * 60_000)
    const again = await send({ retries: 1 })
    expect([again.text, again.requestId]).toEqual([first.text, first.requestId])
    world.clock.advance(60_000)
    expect((await send({ retries: 1 })).requestId).not.toBe(first.requestId)
    expect(world.driver.asks).toHaveLength(2)
  })

  it.each<[string, Sending]>([
    ['another body', { retries: 1, body: { ...question, seed: 1 } }],
    ['another key', { retries: 1, key: 'key-of-bob' }],
    ['no retry, although the same body', {}],
    ['no retry by its own count', { retries: 0 }],
  ])('is none: %s', async (_what, sending) => {
    const first = await send()
    expect((await send(sending)).requestId).not.toBe(first.requestId)
    expect(world.driver.asks).toHaveLength(2)
  })

  it('of what has failed runs anew', async () => {
    world.driver.play = (ask) => ask.fail('busy', 'all tabs are busy')
    expect((await send()).status).toBe(503)
    world.driver.play = (ask) => answerWith(ask, ['now'])
    expect((await send({ retries: 1 })).status).toBe(200)
  })

  it('of an answer that is too long to be said at once runs anew, and is heard whole', async () => {
    // More than a reader may leave unread, at a pace that it keeps up with.
    world.driver.play = async (ask) => {
      ask.admit()
      for (let word = 0; word < 20; word++) {
        ask.say('x'.repeat(64 * 1024))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      ask.finish()
    }
    const body = { ...question, stream: true }
    expect((await send({ body })).text).toMatch(/data: \[DONE\]\n\n$/)
    expect((await send({ body, retries: 1 })).text).toMatch(/data: \[DONE\]\n\n$/)
    expect(world.driver.asks).toHaveLength(2)
  })

  it('counts among the requests that a key may have at once', async () => {
    world.driver.play = (ask) => ask.admit()
    const open = [send({ idempotencyKey: 'one' })]
    const ask = await world.driver.asked()
    for (let retries = 1; retries < 16; retries++) open.push(send({ idempotencyKey: 'one', retries }))
    await until(() => world.accounts.asked.length === 16)
    expect((await send({ idempotencyKey: 'one', retries: 16 })).status).toBe(429)
    ask.finish()
    expect((await Promise.all(open)).map(({ status }) => status)).toEqual(open.map(() => 200))
    expect((await send({ idempotencyKey: 'one', retries: 17 })).status).toBe(200)
    expect(world.driver.asks).toHaveLength(1)
  })
})

describe('an Idempotency-Key', () => {
  it('is answered once', async () => {
    const [first, again] = [await send({ idempotencyKey: 'one' }), await send({ idempotencyKey: 'one' })]
    expect(again.text).toBe(first.text)
    expect((await send({ idempotencyKey: 'two' })).requestId).not.toBe(first.requestId)
    expect(world.driver.asks).toHaveLength(2)
  })

  it('that named another question is refused, for good', async () => {
    await send({ idempotencyKey: 'one' })
    const { status, headers, text } = await send({ idempotencyKey: 'one', body: { ...question, seed: 1 } })
    expect([status, headers.get('x-should-retry')]).toEqual([409, 'false'])
    expect(JSON.parse(text).error.code).toBe('idempotency_key_reused')
    expect((await send({ idempotencyKey: 'one', key: 'key-of-bob', body: { ...question, seed: 1 } })).status).toBe(200)
  })

  it('is bounded', async () => {
    expect((await send({ idempotencyKey: 'k'.repeat(255) })).status).toBe(200)
    expect((await send({ idempotencyKey: 'k'.repeat(256) })).status).toBe(400)
  })
})

describe('usage', () => {
  it('of a request is told by its id: tokens and way at once, the cost when it is settled', async () => {
    const { requestId } = await send({ body: { ...question, n: 2, service_tier: 'flex' } })
    const path = `/usage/${requestId}`
    const told = {
      request_id: requestId,
      created: NOW_SECONDS,
      model: MODEL,
      service_tier: 'flex',
      status: 'completed',
      prompt_tokens: 7,
      completion_tokens: 6,
      total_tokens: 13,
      routes: [{ stages: [{ peer: PEER }], path: 'webrtc', repairs: 1 }, { repairs: 1 }],
    }
    expect(await get(path)).toMatchObject({ status: 200, body: { ...told, credits: '0', settled: false } })
    const [one, other] = world.driver.asks.map(({ sessionId }) => sessionId)
    if (one === undefined || other === undefined) throw new Error('two choices are two sessions')
    world.accounts.settle(one, 1_500_000n)
    expect((await get(path)).body).toMatchObject({ credits: '1.5', settled: false })
    world.accounts.settle(other, 20n)
    expect((await get(path)).body).toMatchObject({ ...told, credits: '1.50002', settled: true })
  })

  it('[V27] says who computed its stages again, once there is a verdict, also after it was settled', async () => {
    const { requestId } = await send()
    const audits = async () => (await get(`/usage/${requestId}`)).body.audits
    const [ask] = world.driver.asks
    if (ask === undefined) throw new Error('nothing was asked')
    expect(await audits()).toEqual([])
    world.accounts.settle(ask.sessionId, 20n)
    const auditor = 'cd'.repeat(16) as PeerId
    const span = { firstLayer: 0, endLayer: 4 }
    world.accounts.audit(ask.sessionId, { peerId: PEER, span, auditors: [{ kind: 'spare', peerId: auditor }], verdict: 'valid' })
    expect(await audits()).toEqual([
      { session: ask.sessionId, peer: PEER, first_layer: 0, end_layer: 4, auditors: [{ kind: 'spare', peer: auditor }], verdict: 'valid' },
    ])
    world.accounts.audit('f'.repeat(32) as SessionId, { peerId: PEER, span, auditors: [], verdict: 'undecided' })
    expect(await audits()).toHaveLength(1)
  })

  it('is told to its owner alone', async () => {
    const { requestId } = await send()
    expect((await get(`/usage/${requestId}`, 'key-of-bob')).status).toBe(404)
    expect((await get('/usage', 'key-of-bob')).body).toMatchObject({ data: [], totals: { requests: 0 } })
    expect((await get('/usage/req_unknown')).status).toBe(404)
    expect((await get('/usage', 'key-of-none')).status).toBe(401)
  })

  it('is listed, newest first, with its sums, and says what runs and what failed', async () => {
    const first = await send()
    world.driver.play = (ask) => ask.fail('busy', 'all tabs are busy')
    const failed = await send({ body: { ...question, seed: 1 } })
    world.driver.play = (ask) => ask.admit()
    const running = send({ body: { ...question, seed: 2 } })
    const ask = await world.driver.asked(2)
    const { body } = await get('/usage')
    expect(body.data).toMatchObject([
      { status: 'running', settled: false },
      { status: 'failed', request_id: failed.requestId },
      { status: 'completed', request_id: first.requestId },
    ])
    expect(body.totals).toEqual({ requests: 3, prompt_tokens: 7, completion_tokens: 3, credits: '0' })
    ask.finish()
    expect((await running).status).toBe(200)
  })

  it('of what failed or was cut off tells what was computed until then', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
      ask.say(' upon')
      ask.fail('stage-lost')
    }
    const lost = await send()
    expect(lost.status).toBe(503)
    const computed = { status: 'failed', prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
    expect((await get(`/usage/${lost.requestId}`)).body).toMatchObject({ ...computed, routes: [] })
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
      ask.finish('cancelled')
    }
    const cut = await send()
    expect((await get(`/usage/${cut.requestId}`)).body).toMatchObject({
      ...computed,
      completion_tokens: 1,
      total_tokens: 8,
      routes: [{ path: 'webrtc' }],
    })
    world.driver.play = (ask) => ask.fail('busy')
    const refused = await send()
    expect((await get(`/usage/${refused.requestId}`)).body).toMatchObject({ status: 'failed', total_tokens: 0 })
  })

  it('is told to who listens, once: when its cost is known, or will not be any more', async () => {
    const first = await send({ body: { ...question, n: 2 } })
    expect(world.usage).toEqual([])
    for (const { sessionId } of world.driver.asks) world.accounts.settle(sessionId, 5n)
    const whose = { key: KEY, account: `account of ${KEY}` }
    expect(world.usage).toMatchObject([{ request_id: first.requestId, ...whose, credits: '0.00001', settled: true, total_tokens: 13 }])
    world.driver.play = (ask) => ask.fail('busy')
    const refused = await send()
    expect(world.usage[1]).toMatchObject({ request_id: refused.requestId, status: 'failed', credits: '0', settled: true })
    world.driver.play = (ask) => answerWith(ask, ['x'])
    const unsettled = await send()
    expect(world.usage).toHaveLength(2)
    await world.close()
    expect(world.usage[2]).toMatchObject({ request_id: unsettled.requestId, status: 'completed', settled: false })
    expect(world.usage).toHaveLength(3)
  })

  it('has no word of a prompt or an answer', async () => {
    world.driver.play = (ask) => answerWith(ask, ['a marked answer'])
    await send({ body: { ...question, messages: [{ role: 'user', content: 'a marked prompt' }] } })
    expect(JSON.stringify((await get('/usage')).body)).not.toContain('marked')
    expect(world.log.join()).not.toContain('marked')
  })
})
