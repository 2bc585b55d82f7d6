/** Bodies and headers as no client would send them, or not yet: what is refused, by which name, with which status. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
const chat = { model: MODEL, messages: [{ role: 'user', content: 'Say hello' }] }
const completion = { model: MODEL, prompt: 'Once upon' }

async function send(path: string, init: RequestInit) {
  const response = await world.fetch(`${world.baseUrl}${path}`, init)
  return { status: response.status, headers: response.headers, body: await response.json() }
}
const post = (path: string, body: unknown) =>
  send(path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
const postChat = (more: object) => post('/chat/completions', { ...chat, ...more })
const postCompletion = (more: object) => post('/completions', { ...completion, ...more })
const message = (content: unknown) => ({ messages: [{ role: 'user', content }] })

describe('a parameter that would change the answer', () => {
  it.each<[string, object]>([
    ['functions', { functions: [{ name: 'f' }] }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['audio', { audio: { voice: 'alloy', format: 'wav' } }],
    ['prediction', { prediction: { type: 'content', content: 'x' } }],
    ['reasoning_effort', { reasoning_effort: 'high' }],
    ['verbosity', { verbosity: 'low' }],
    ['web_search_options', { web_search_options: {} }],
    ['store', { store: true }],
    ['messages.0.role', { messages: [{ role: 'function', content: 'x', name: 'y' }] }],
    ['messages.0.function_call', { messages: [{ role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } }] }],
    ['messages.0.name', { messages: [{ role: 'user', content: 'x', name: 'ada' }] }],
    ['messages.0.content.0', message([{ type: 'image_url', image_url: { url: 'data:' } }])],
    [
      'messages.0.content.1',
      message([
        { type: 'text', text: 'x' },
        { type: 'input_audio', input_audio: {} },
      ]),
    ],
  ])('is refused by its name in chat: %s', async (param, more) => {
    expect(await postChat(more)).toMatchObject({ status: 400, body: { error: { param, code: 'unsupported_parameter' } } })
    expect(world.driver.asks).toEqual([])
  })

  it.each<[string, object]>([
    ['suffix', { suffix: 'the end' }],
    ['best_of', { best_of: 2 }],
  ])('is refused by its name in completions: %s', async (param, more) => {
    expect(await postCompletion(more)).toMatchObject({ status: 400, body: { error: { param, code: 'unsupported_parameter' } } })
  })

  it('is accepted where it asks for nothing, and so is what changes none', async () => {
    const neutral = {
      ...{ presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1, logit_bias: {}, tools: [], tool_choice: 'none', n: 1 },
      ...{ response_format: { type: 'text' }, modalities: ['text'], audio: null, prediction: null, web_search_options: null, store: false },
      ...{
        user: 'ada',
        metadata: { a: 'b' },
        parallel_tool_calls: true,
        safety_identifier: 'x',
        prompt_cache_key: 'y',
        stop: null,
        seed: null,
      },
    }
    expect((await postChat(neutral)).status).toBe(200)
    expect((await postCompletion({ echo: false, suffix: null, best_of: 1, presence_penalty: 0, user: 'ada' })).status).toBe(200)
  })
})

describe('a parameter that nobody knows', () => {
  it.each<[string, () => ReturnType<typeof postChat>]>([
    ['temprature', () => postChat({ temprature: 1 })],
    ['prompt', () => postChat({ prompt: 'x' })],
    ['messages', () => postCompletion({ messages: [] })],
    ['messages.0.colour', () => postChat({ messages: [{ role: 'user', content: 'x', colour: 'red' }] })],
    ['messages.0.content.0.cache_control', () => postChat(message([{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }]))],
    ['stream_options.chunk_tokens', () => postChat({ stream: true, stream_options: { chunk_tokens: 4 } })],
  ])('is refused by its name: %s', async (param, ask) => {
    expect(await ask()).toMatchObject({ status: 400, body: { error: { param, code: 'unknown_parameter' } } })
  })
})

describe('a value out of its bounds', () => {
  it.each<[string, object, object | null]>([
    ['temperature', { temperature: 2.1 }, { temperature: 2 }],
    ['top_p', { top_p: 0 }, { top_p: 0.01 }],
    ['min_p', { min_p: 1.5 }, { min_p: 1 }],
    ['n', { n: 9 }, { n: 8 }],
    ['max_tokens', { max_tokens: 0 }, { max_tokens: 1 }],
    ['stop', { stop: ['a', 'b', 'c', 'd', 'e'] }, { stop: ['a', 'b', 'c', 'd'] }],
    ['stop', { stop: '' }, { stop: 'a' }],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }, { logprobs: true, top_logprobs: 20 }],
    ['top_logprobs', { top_logprobs: 2 }, null],
    ['presence_penalty', { presence_penalty: 2.5 }, { presence_penalty: -2 }],
    ['frequency_penalty', { frequency_penalty: -2.5 }, { frequency_penalty: 2 }],
    ['repetition_penalty', { repetition_penalty: 0 }, { repetition_penalty: 0.5 }],
    ['logit_bias', { logit_bias: { 50: 101 } }, { logit_bias: { 50: 100 } }],
    ['logit_bias', { logit_bias: { hello: 1 } }, null],
    ['seed', { seed: 2 ** 52 }, { seed: 2 ** 52 - 1 }],
    ['service_tier', { service_tier: 'scale' }, { service_tier: 'auto' }],
    ['messages', { messages: [] }, null],
    ['model', { model: 7 }, null],
    ['max_tokens', { max_tokens: 5, max_completion_tokens: 6 }, { max_tokens: 5, max_completion_tokens: 5 }],
  ])('is refused: %s %j', async (param, over, within) => {
    const { status, body } = await postChat(over)
    expect([status, body.error.param]).toEqual([400, expect.stringMatching(new RegExp(`^${param}`))])
    expect(world.driver.asks).toEqual([])
    if (within !== null) expect((await postChat(within)).status).toBe(200)
  })

  it.each([[['one', 'two']], [[]], [[[1], [2]]], [[1.5]], [[-1]], [7]])('is refused as a prompt: %j', async (prompt) => {
    const { status, body } = await postCompletion({ prompt })
    expect([status, body.error.param]).toEqual([400, expect.stringMatching(/^prompt/)])
  })
})

describe('sampling', () => {
  it('reaches the driver as it was asked for, in chat and in completions', async () => {
    const asked = { presence_penalty: 0.5, frequency_penalty: -1, repetition_penalty: 1.1, logit_bias: { 50: 10, '7': -100 } }
    const told = { presencePenalty: 0.5, frequencyPenalty: -1, repetitionPenalty: 1.1 }
    expect([(await postChat(asked)).status, (await postCompletion(asked)).status]).toEqual([200, 200])
    for (const { request } of world.driver.asks) {
      expect(request.sampling).toMatchObject(told)
      expect(new Set(request.sampling.logitBias)).toEqual(
        new Set([
          { id: 50, bias: 10 },
          { id: 7, bias: -100 },
        ]),
      )
    }
  })

  it('takes a negative seed for another than the positive one', async () => {
    const seeds = [5, -5, 2 ** 52 - 1, -(2 ** 52), -1]
    for (const seed of seeds) await postChat({ seed })
    const told = world.driver.asks.map(({ request }) => request.sampling.seed)
    expect(new Set(told).size).toBe(seeds.length)
    for (const seed of told) expect(Number.isSafeInteger(seed) && seed >= 0, String(seed)).toBe(true)
    expect(told[0]).toBe(5)
  })
})

describe('a response format', () => {
  const format = (schema: unknown) => ({ response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } } })

  it('is asked of the driver as a grammar', async () => {
    await postChat({})
    await postChat({ response_format: { type: 'text' } })
    await postChat({ response_format: { type: 'json_object' } })
    await postChat(
      format({ type: 'object', properties: { 'the size': { type: 'integer' } }, required: ['the size'], additionalProperties: false }),
    )
    const grammars = world.driver.asks.map(({ request }) => request.grammar)
    expect(grammars.slice(0, 2)).toEqual([null, null])
    expect(grammars[2]).toMatch(/^root ::= /)
    expect(grammars[3]).toContain('the size')
  })

  it.each<[string, string, object]>([
    ['response_format.json_schema.schema.properties.size.type', 'invalid_schema', format({ properties: { size: { type: 'big' } } })],
    ['response_format.json_schema.schema.not', 'invalid_schema', format({ not: {} })],
    ['response_format.json_schema.schema', 'invalid_value', format('object')],
    [
      'response_format.json_schema.name',
      'missing_required_parameter',
      { response_format: { type: 'json_schema', json_schema: { schema: {} } } },
    ],
    ['response_format.type', 'invalid_value', { response_format: { type: 'xml' } }],
  ])('is refused at %s as %s', async (param, code, more) => {
    expect(await postChat(more)).toMatchObject({ status: 400, body: { error: { param, code } } })
    expect(world.driver.asks).toEqual([])
  })

  it('that the driver cannot match is a 400, and one that it has lost a 503', async () => {
    world.driver.play = (ask) => ask.fail('bad-schema')
    expect(await postChat({ response_format: { type: 'json_object' } })).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_schema' } },
    })
    world.driver.play = (ask) => ask.fail('grammar-lost')
    expect((await postChat({ response_format: { type: 'json_object' } })).status).toBe(503)
  })
})

describe('tools', () => {
  const tool = (name: string, parameters?: object) => ({ type: 'function', function: { name, ...(parameters && { parameters }) } })
  const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const tools = [tool('weather', city), tool('now')]
  const asked = async (more: object) => {
    expect((await postChat(more)).status).toBe(200)
    return world.driver.asks.at(-1)?.request
  }

  it('reach the prompt, and the grammar where a call is required', async () => {
    const auto = await asked({ tools })
    expect(auto?.prompt).toMatchObject({
      tools: [{ type: 'function', function: { name: 'weather', parameters: city } }, { function: { name: 'now' } }],
    })
    expect(auto?.grammar).toBeNull()
    const required = (await asked({ tools, tool_choice: 'required' }))?.grammar
    for (const name of ['weather', 'now']) expect(required).toContain(name)
    const named = await asked({ tools, tool_choice: { type: 'function', function: { name: 'now' } } })
    expect(named?.grammar).toContain('now')
    expect(named?.grammar).not.toContain('weather')
    const none = await asked({ tools, tool_choice: 'none' })
    expect([none?.prompt, none?.grammar]).toEqual([expect.not.objectContaining({ tools: expect.anything() }), null])
  })

  it('leave a schema to answers that call nothing', async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema: { properties: { size: { type: 'integer' } } } } }
    const grammar = (await asked({ tools, response_format }))?.grammar
    for (const name of ['size', 'weather', 'now']) expect(grammar).toContain(name)
  })

  it('stand in the history as what was called, and what came of it', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } }
    const messages = [
      ...chat.messages,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
    ]
    expect((await asked({ messages }))?.prompt).toEqual({
      kind: 'messages',
      messages: [
        ...chat.messages,
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'weather', arguments: { city: 'Rome' } }] },
        { role: 'tool', content: 'sunny', toolCallId: 'c1', name: 'weather' },
      ],
    })
  })

  it.each<[string, object]>([
    ['tools.0.function.name', { tools: [tool('no spaces')] }],
    ['tools.1.function.name', { tools: [tool('f'), tool('f')] }],
    ['tools.0.type', { tools: [{ type: 'web_search' }] }],
    ['tool_choice', { tool_choice: 'required' }],
    ['tool_choice', { tools, tool_choice: { type: 'function', function: { name: 'other' } } }],
    ['tool_choice', { tools, tool_choice: 'sometimes' }],
    ['tools.0.function.parameters.not', { tools: [tool('f', { not: {} })], tool_choice: 'required' }],
    ['messages.0.content', { messages: [{ role: 'assistant' }] }],
    [
      'messages.0.tool_calls.0.function.arguments',
      {
        messages: [
          { role: 'assistant', content: '', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '[1' } }] },
        ],
      },
    ],
  ])('are refused at %s: %j', async (param, more) => {
    const { status, body } = await postChat(more)
    expect([status, body.error.param]).toEqual([400, param])
  })
})

describe('service tiers', () => {
  it.each([
    ['flex', 'spot', 'flex'],
    ['auto', 'standard', 'default'],
    ['default', 'standard', 'default'],
    ['priority', 'priority', 'priority'],
  ])('%s asks for %s, and is told as %s', async (service_tier, tier, told) => {
    expect((await postChat({ service_tier })).body.service_tier).toBe(told)
    expect(world.driver.asks[0]?.request.tier).toBe(tier)
  })
})

describe('what is no request', () => {
  it.each<[string, number, string, () => ReturnType<typeof send>]>([
    ['not JSON', 400, 'invalid_json', () => post('/chat/completions', '{"model": ')],
    ['nothing', 400, 'invalid_json', () => post('/chat/completions', '')],
    [
      'another type',
      415,
      'unsupported_media_type',
      () => send('/chat/completions', { method: 'POST', headers: { ...headers, 'content-type': 'text/csv' }, body: 'a,b' }),
    ],
    ['too large', 413, 'body_too_large', () => postChat(message('x'.repeat(5 * 1024 * 1024)))],
    ['an unknown path', 404, 'unknown_url', () => send('/embeddings/x', { headers })],
    ['another method', 405, 'method_not_allowed', () => send('/chat/completions', { headers })],
  ])('%s is refused in the same shape', async (_what, status, code, ask) => {
    expect(await ask()).toMatchObject({ status, body: { error: { code } } })
  })

  it('a list is none', async () => {
    expect(await post('/chat/completions', [])).toMatchObject({ status: 400, body: { error: { type: 'invalid_request_error' } } })
  })

  it('a long prompt is one, although the app around takes a kilobyte', async () => {
    expect((await postChat(message('x'.repeat(100_000)))).status).toBe(200)
  })
})

describe('errors of others', () => {
  it.each<[string, number, string]>([
    ['bad-request', 400, 'false'],
    ['prompt-too-long', 400, 'false'],
    ['insufficient-credits', 402, 'false'],
    ['over-budget', 402, 'false'],
    ['unknown-model', 404, 'false'],
    ['busy', 503, 'true'],
    ['no-volunteers', 503, 'true'],
    ['incomplete', 503, 'true'],
    ['offline', 503, 'true'],
    ['driver-lost', 503, 'true'],
    ['no-accounts', 503, 'true'],
    ['shutting-down', 503, 'true'],
    ['timeout', 503, 'true'],
    ['stage-lost', 503, 'true'],
    ['device-lost', 503, 'true'],
    ['expired', 503, 'true'],
    ['too-many-repairs', 503, 'true'],
  ])('%s is a %i, whether streamed or not', async (reason, status, shouldRetry) => {
    world.driver.play = (ask) => ask.fail(reason, `failed: ${reason}`)
    for (const stream of [false, true]) {
      const { status: told, headers: sent } = await postChat({ stream })
      expect([told, sent.get('x-should-retry'), sent.get('content-type')]).toEqual([
        status,
        shouldRetry,
        expect.stringMatching(/^application\/json/),
      ])
      expect(sent.has('retry-after')).toBe(shouldRetry === 'true')
    }
    expect(world.driver.open).toBe(0)
  })

  it.each([
    [0, '1'],
    [1_200, '2'],
    [3_600_000, '60'],
  ])('say when to ask again, within a minute: %i ms are %s s', async (retryAfterMs, seconds) => {
    world.driver.play = (ask) => ask.fail('busy', 'all tabs are busy', retryAfterMs)
    expect((await postChat({})).headers.get('retry-after')).toBe(seconds)
  })

  it('tell nothing of what went wrong inside, in the answer or in the log', async () => {
    world.driver.play = (ask) => ask.fail('internal', 'cannot read "the secret prompt"')
    const { status, body } = await postChat({})
    expect([status, body.error.type]).toEqual([500, 'server_error'])
    expect(`${JSON.stringify(body)} ${world.log.join()}`).not.toContain('secret')
    expect(world.log).toHaveLength(1)
  })

  it('of one choice are those of the request: the others are stopped', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      if (ask.request.sampling.seed === 2) ask.fail('busy', 'all tabs are busy')
    }
    expect((await postChat({ n: 2, seed: 1 })).status).toBe(503)
    expect(world.driver.asks.map(({ isStopped }) => isStopped)).toEqual([true, true])
    expect(world.accounts.payments).toMatchObject([{ isOver: true }])
  })

  it('of a driver that stops by itself are no answer', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
      ask.finish('cancelled')
    }
    expect(await postChat({})).toMatchObject({ status: 503, body: { error: { code: 'cut-off' } } })
  })
})

describe('keys', () => {
  it.each([{}, { authorization: 'Basic YWRhOng=' }, { authorization: 'Bearer ' }])('are asked for: %j', async (authorization) => {
    const bare = { 'content-type': 'application/json', ...authorization }
    for (const init of [{ headers: bare }, { method: 'POST', headers: bare, body: JSON.stringify({ ...chat, unknown: 1 }) }]) {
      const { status, body } = await send('method' in init ? '/chat/completions' : '/models', init)
      expect([status, body.error.code]).toEqual([401, 'invalid_api_key'])
    }
  })

  it('that are bad learn nothing of what else is wrong', async () => {
    const bad = { ...headers, authorization: 'Bearer key-of-none' }
    const { status } = await send('/chat/completions', { method: 'POST', headers: bad, body: JSON.stringify({ ...chat, unknown: 1 }) })
    expect(status).toBe(401)
  })

  it.each<[string, string, number]>([
    ['not JSON', '{"model": ', 400],
    ['nothing', '', 400],
    ['too large', 'x'.repeat(5 * 1024 * 1024), 413],
  ])('that are missing or bad are told of before a body that is %s', async (_what, body, status) => {
    const sendAs = async (authorization?: string) => {
      const sent = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }
      return (await send('/chat/completions', { method: 'POST', headers: sent, body })).status
    }
    expect([await sendAs(), await sendAs('Bearer key-of-none'), await sendAs('Bearer key-in-haste')]).toEqual([401, 401, 429])
    expect(await sendAs(headers.authorization)).toBe(status)
  })

  it('answer so many requests at once, and more when one is over', async () => {
    world.driver.play = (ask) => ask.admit()
    const open = Array.from({ length: 16 }, () => postChat({}))
    const last = await world.driver.asked(15)
    const refused = await postChat({})
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2'])
    last.finish()
    await Promise.race(open)
    world.driver.play = (ask) => {
      ask.admit()
      ask.finish()
    }
    expect((await postChat({})).status).toBe(200)
    for (const ask of world.driver.asks) ask.finish()
    expect((await Promise.all(open)).map(({ status }) => status)).toEqual(open.map(() => 200))
  })
})

describe('without accounts', () => {
  let free: GatewayWorld
  beforeAll(async () => {
    free = await startGatewayWorld({ hasAccounts: false })
  })
  afterAll(async () => {
    await free.close()
    expect(free.fetch.seen.faults).toEqual([])
  })

  it('no key is needed, and nobody pays', async () => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(chat) }
    expect((await free.fetch(`${free.baseUrl}/chat/completions`, init)).status).toBe(200)
    expect(free.driver.asks[0]?.request.voucher).toBeNull()
    expect((await free.fetch(`${free.baseUrl}/models`)).status).toBe(200)
  })
})
