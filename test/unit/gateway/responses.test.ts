/** The Responses API with the `openai` package: whole and streamed, what is refused by its name, and embeddings, which are not there. */

import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answerWith, type GatewayWorld, KEY, MODEL, NOW_SECONDS, PEER, startGatewayWorld, until } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const client = (options: { apiKey?: string; maxRetries?: number } = {}) =>
  new OpenAI({ baseURL: world.baseUrl, apiKey: KEY, maxRetries: 0, fetch: world.fetch, ...options })
const question = { model: MODEL, input: 'Say hello' }

async function post(path: string, body: object) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
  const response = await world.fetch(`${world.baseUrl}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}

describe('responses.create', () => {
  it('answers whole, with its usage, its way and what was asked', async () => {
    const response = await client().responses.create({
      ...question,
      instructions: 'Be brief',
      metadata: { run: '1' },
      max_output_tokens: 20,
      store: false,
    })
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      output_text: 'Hello, world',
      created_at: NOW_SECONDS,
      completed_at: NOW_SECONDS,
      instructions: 'Be brief',
      metadata: { run: '1' },
      max_output_tokens: 20,
      store: false,
      usage: { input_tokens: 7, output_tokens: 3, total_tokens: 10, tabswarm: { routes: [{ stages: [{ peer: PEER }] }] } },
    })
  })

  it('asks the driver for what the client asked', async () => {
    await client().responses.create({
      model: MODEL,
      instructions: 'Be brief',
      input: [
        { role: 'developer', content: 'Be kind' },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'Say ' },
            { type: 'input_text', text: 'hello' },
          ],
        },
        {
          type: 'message',
          id: 'msg_1',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello', annotations: [] }],
        },
        { type: 'message', role: 'user', content: 'Again' },
      ],
      temperature: 0.5,
      top_p: 0.9,
      max_output_tokens: 20,
      service_tier: 'flex',
    })
    expect(world.driver.asks.map(({ request }) => request)).toMatchObject([
      {
        modelId: MODEL,
        prompt: {
          kind: 'messages',
          messages: [
            { role: 'system', content: 'Be brief' },
            { role: 'system', content: 'Be kind' },
            { role: 'user', content: 'Say hello' },
            { role: 'assistant', content: 'Hello' },
            { role: 'user', content: 'Again' },
          ],
        },
        maxTokens: 20,
        sampling: { temperature: 0.5, topP: 0.9 },
        tier: 'spot',
        voucher: 'voucher 0',
      },
    ])
  })

  it('takes up its own output as the next input', async () => {
    const first = await client().responses.create(question)
    await client().responses.create({
      model: MODEL,
      input: [...(first.output as OpenAI.Responses.ResponseInput), { role: 'user', content: 'Again' }],
    })
    expect(world.driver.asks[1]?.request.prompt).toEqual({
      kind: 'messages',
      messages: [
        { role: 'assistant', content: 'Hello, world' },
        { role: 'user', content: 'Again' },
      ],
    })
  })

  it('is incomplete where its tokens ran out', async () => {
    world.driver.play = (ask) => answerWith(ask, ['Once', ' upon'], 'length')
    const response = await client().responses.create(question)
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete' }],
    })
  })

  it('tells log-probabilities where they are asked for', async () => {
    const token = { id: 1, text: 'Hello', bytes: [72], logprob: -0.5 }
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Hello', [{ ...token, top: [token] }])
      ask.finish()
    }
    const { output } = await client().responses.create({ ...question, include: ['message.output_text.logprobs'], top_logprobs: 1 })
    const told = { token: 'Hello', logprob: -0.5, bytes: [72] }
    expect(output).toMatchObject([{ content: [{ logprobs: [{ ...told, top_logprobs: [told] }] }] }])
    expect(world.driver.asks[0]?.request.topLogprobs).toBe(1)
  })
})

describe('a streamed response', () => {
  it('is numbered events, each with its name, and ends whole', async () => {
    const types: string[] = []
    const numbers: number[] = []
    let text = ''
    for await (const event of await client().responses.create({ ...question, stream: true })) {
      types.push(event.type)
      numbers.push(event.sequence_number)
      if (event.type === 'response.output_text.delta') text += event.delta
      if (event.type === 'response.completed') expect(event.response.usage).toMatchObject({ input_tokens: 7, output_tokens: 3 })
    }
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(numbers).toEqual(types.map((_type, index) => index))
    expect(text).toBe('Hello, world')
  })

  it('is put together by the client’s own helper', async () => {
    const stream = client().responses.stream(question)
    let snapshot = ''
    stream.on('response.output_text.delta', (event) => {
      snapshot = event.snapshot
    })
    const response = await stream.finalResponse()
    expect([snapshot, response.output_text, response.status]).toEqual(['Hello, world', 'Hello, world', 'completed'])
  })

  it('ends as incomplete where its tokens ran out', async () => {
    world.driver.play = (ask) => answerWith(ask, ['Once'], 'length')
    const types = []
    for await (const { type } of await client().responses.create({ ...question, stream: true })) types.push(type)
    expect(types.at(-1)).toBe('response.incomplete')
  })

  it('says so where it breaks off, and is no bare end', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
      ask.fail('timeout', 'the tabs were silent')
    }
    const reading = (async () => {
      for await (const _event of await client().responses.create({ ...question, stream: true }));
    })()
    await expect(reading).rejects.toMatchObject({ code: 'timeout', type: 'server_error' })
  })

  it('stops the driver when its client goes', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
    }
    const controller = new AbortController()
    const stream = await client().responses.create({ ...question, stream: true }, { signal: controller.signal })
    for await (const event of stream) if (event.type === 'response.output_text.delta') controller.abort()
    const ask = await world.driver.asked()
    await until(() => ask.isStopped)
  })
})

const callOf = (json: string) => ({ type: 'function_call', call_id: 'call_1', name: 'f', arguments: json })

describe('what is not served', () => {
  it.each<[string, object]>([
    ['store', { store: true }],
    ['previous_response_id', { previous_response_id: 'resp_1' }],
    ['background', { background: true }],
    ['conversation', { conversation: 'conv_1' }],
    ['prompt', { prompt: { id: 'pmpt_1' } }],
    ['reasoning', { reasoning: { effort: 'high' } }],
    ['text', { text: { verbosity: 'low' } }],
    ['tools.0', { tools: [{ type: 'web_search' }] }],
    ['truncation', { truncation: 'auto' }],
    ['input.0', { input: [{ type: 'item_reference', id: 'x' }] }],
    [
      'input.0.output.0',
      { input: [{ type: 'function_call_output', call_id: 'x', output: [{ type: 'input_image', image_url: 'data:' }] }] },
    ],
    ['input.0.content.0', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:' }] }] }],
  ])('is refused by its name: %s', async (param, more) => {
    expect(await post('/responses', { ...question, ...more })).toMatchObject({
      status: 400,
      body: { error: { param, code: 'unsupported_parameter' } },
    })
    expect(world.driver.asks).toEqual([])
  })

  it.each<[string, object]>([
    ['messages', { messages: [] }],
    ['seed', { seed: 1 }],
    ['input.0.colour', { input: [{ role: 'user', content: 'x', colour: 'red' }] }],
  ])('is refused as unknown: %s', async (param, more) => {
    expect(await post('/responses', { ...question, ...more })).toMatchObject({
      status: 400,
      body: { error: { param, code: 'unknown_parameter' } },
    })
  })

  it.each<[string, object, object]>([
    ['max_output_tokens', { max_output_tokens: 0 }, { max_output_tokens: 1 }],
    ['temperature', { temperature: 2.1 }, { temperature: 2 }],
    ['include', { include: ['file_search_call.results'] }, { include: [] }],
    ['metadata', { metadata: { a: 'b'.repeat(513) } }, { metadata: { a: 'b'.repeat(512) } }],
    ['input', { input: [] }, { input: '' }],
    ['tool_choice', { tool_choice: 'required' }, { tool_choice: 'none' }],
    ['text.format.type', { text: { format: { type: 'xml' } } }, { text: { format: { type: 'json_object' } } }],
    ['input.0.arguments', { input: [callOf('{')] }, { input: [callOf('{}')] }],
  ])('is refused beyond its bounds: %s', async (param, over, within) => {
    const { status, body } = await post('/responses', { ...question, ...over })
    expect([status, body.error.param]).toEqual([400, expect.stringMatching(new RegExp(`^${param}`))])
    expect((await post('/responses', { ...question, ...within })).status).toBe(200)
  })

  it('and what asks for nothing is accepted', async () => {
    const neutral = {
      ...{ store: false, background: false, tools: [], tool_choice: 'auto', truncation: 'disabled', reasoning: { effort: 'none' } },
      ...{ text: { format: { type: 'text' }, verbosity: 'medium' }, user: 'ada', parallel_tool_calls: true, previous_response_id: null },
    }
    expect((await post('/responses', { ...question, ...neutral })).status).toBe(200)
  })

  it('embeddings are refused in clear words', async () => {
    const error = await client()
      .embeddings.create({ model: MODEL, input: 'x' })
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error).toMatchObject({ status: 404, code: 'embeddings_not_served', message: expect.stringContaining('trained to write') })
  })
})

it('an estimate knows a response by its input', async () => {
  const { status, body } = await post('/estimate', { ...question, max_output_tokens: 5 })
  expect([status, body]).toEqual([200, expect.objectContaining({ promptTokens: 2, maxTokens: 5 })])
})
