/** Odd requests: what nobody sends by intention, and what somebody does who looks for a way in. None may fail inside, or be answered as if it said less. */

import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.log).toEqual([])
})

async function send(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  const response = await fetch(`${world.baseUrl}/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
    body,
  })
  const { error } = await response.json()
  return [response.status, error?.code, error?.param]
}
const body = (more: string) => `{"model":"${MODEL}","prompt":"a"${more}}`

describe('a parameter that has the name of what every object has', () => {
  it.each(['toString', 'valueOf', 'hasOwnProperty', 'toLocaleString', '__defineGetter__', 'isPrototypeOf'])(
    'is unknown: %s',
    async (name) => {
      expect(await send(body(`,"${name}":"x"`))).toEqual([400, 'unknown_parameter', name])
    },
  )

  it.each(['__proto__', 'constructor'])('is refused: %s', async (name) => {
    const [status] = await send(body(`,"${name}":{"prototype":1}`))
    expect(status).toBe(400)
  })
})

describe('a body', () => {
  it('may not be deeper than anything asks for', async () => {
    expect(await send(body(`,"metadata":${'['.repeat(200_000)}${']'.repeat(200_000)}`))).toEqual([400, 'invalid_json', null])
    expect((await send(body(`,"metadata":${'{"a":'.repeat(100)}1${'}'.repeat(100)}`)))[0]).toBe(200)
  })

  it('is as deep as its brackets outside of texts', async () => {
    expect((await send(body(`,"user":"${'['.repeat(1_000)}\\\\\\"${'{'.repeat(1_000)}"`)))[0]).toBe(200)
  })

  it('is JSON by its type', async () => {
    expect(await send(body(''), { 'content-type': 'text/plain' })).toEqual([415, 'unsupported_media_type', null])
  })

  it('is not compressed', async () => {
    expect(await send(Uint8Array.from(gzipSync(body(''))), { 'content-encoding': 'gzip' })).toEqual([
      415,
      'unsupported_content_encoding',
      null,
    ])
  })
})

describe('a rate that is passed', () => {
  it('says the same time in words and in its header', async () => {
    const response = await fetch(`${world.baseUrl}/models`, { headers: { authorization: 'Bearer key-in-haste' } })
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '12'])
    expect((await response.json()).error.message).toContain('12 s')
  })
})

describe('what an answer is sent back as', () => {
  it('may have null for all that it has not, as clients write it', async () => {
    const message = {
      role: 'assistant',
      content: 'x',
      refusal: null,
      annotations: null,
      audio: null,
      function_call: null,
      tool_calls: null,
      name: null,
    }
    const response = await fetch(`${world.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'a' }, message, { role: 'user', content: 'b' }] }),
    })
    expect(response.status).toBe(200)
  })
})

describe('a parameter that lacks or is of another kind', () => {
  const asked = async (path: string, more: object) => {
    const response = await fetch(`${world.baseUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, ...more }),
    })
    return (await response.json()).error
  }

  it.each([
    ['/chat/completions', {}, 'messages', 'messages is missing'],
    ['/chat/completions', { messages: [] }, 'messages', 'messages: at least one message is needed'],
    ['/chat/completions', { messages: [{ role: 'user', content: null }] }, 'messages.0.content', /a text is expected/],
    ['/chat/completions', { messages: [{ role: 'user', content: 5 }] }, 'messages.0.content', /a text is expected/],
    ['/completions', { prompt: [1, 'a'] }, 'prompt', /one text is expected/],
    ['/completions', {}, 'prompt', 'prompt is missing'],
  ])('is told in words: %s %o', async (path, more, param, message) => {
    expect(await asked(path, more)).toMatchObject({ param, message: message instanceof RegExp ? expect.stringMatching(message) : message })
  })
})

describe('an address that knows other methods', () => {
  it.each([
    ['GET', '/chat/completions', 'POST'],
    ['DELETE', '/responses', 'POST'],
    ['PUT', '/estimate', 'POST'],
    ['POST', '/models', 'GET, HEAD'],
    ['PATCH', '/models/tiny-llama', 'GET, HEAD'],
    ['POST', '/usage/req_1', 'GET, HEAD'],
  ])('refuses %s %s and says which', async (method, path, allow) => {
    const options = method === 'GET' ? {} : { body: '{"broken', headers: { 'content-type': 'application/json' } }
    const response = await world.fetch(`${world.baseUrl}${path}`, { method, ...options })
    const told = ['allow', 'x-should-retry', 'x-request-id'].map((name) => response.headers.get(name))
    expect([response.status, ...told]).toEqual([405, allow, 'false', expect.stringMatching(/^req_/)])
    expect((await response.json()).error).toMatchObject({ type: 'invalid_request_error', code: 'method_not_allowed', param: null })
    expect(world.fetch.seen.faults).toEqual([])
  })

  it('and one that nobody knows is none, by whatever method', async () => {
    for (const method of ['GET', 'POST', 'DELETE']) expect((await fetch(`${world.baseUrl}/no/such`, { method })).status).toBe(404)
  })
})
