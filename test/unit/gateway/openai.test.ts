/** The `openai` package against the API: what its users call, what they catch, what it retries by itself. */

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
const messages = [{ role: 'user', content: 'Say hello' }] as const
const question = { model: MODEL, messages: [...messages] }

describe('models', () => {
  it('lists them, each with what it costs and can do now', async () => {
    const listed = []
    for await (const model of client().models.list()) listed.push(model)
    expect(listed).toEqual([await client().models.retrieve(MODEL)])
    expect(listed).toMatchObject([
      {
        id: MODEL,
        object: 'model',
        owned_by: 'tabswarm',
        context_length: 2_048,
        quantization: 'q4_1',
        capacity: { tabs: 3, layers_served: 4 },
      },
    ])
    expect(world.fetch.seen.bodies).toBe(2)
  })

  it('says by its class of errors that there is no such model', async () => {
    const error = await client()
      .models.retrieve('gpt-4o')
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error).toMatchObject({ status: 404, code: 'model_not_found' })
  })
})

describe('chat.completions', () => {
  it('answers whole, with its usage and its way', async () => {
    const { data, request_id } = await client().chat.completions.create(question).withResponse()
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: MODEL,
      created: NOW_SECONDS,
      service_tier: 'default',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello, world' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    })
    expect(data.usage).toMatchObject({ tabswarm: { request_id, routes: [{ stages: [{ peer: PEER }], path: 'webrtc', repairs: 1 }] } })
  })

  it('asks the driver for what the client asked, by the voucher of its key, and ends it', async () => {
    await client().chat.completions.create({
      model: MODEL,
      messages: [
        { role: 'developer', content: 'Be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Say ' },
            { type: 'text', text: 'hello' },
          ],
        },
        { role: 'assistant', content: 'Hello' },
        { role: 'user', content: 'Again' },
      ],
      temperature: 0.5,
      top_p: 0.9,
      seed: 11,
      stop: ['\n', 'END'],
      max_completion_tokens: 20,
      service_tier: 'flex',
      user: 'ada',
      metadata: { run: '1' },
      store: false,
    })
    expect(world.driver.asks.map(({ request }) => request)).toEqual([
      {
        modelId: MODEL,
        prompt: {
          kind: 'messages',
          messages: [
            { role: 'system', content: 'Be brief' },
            { role: 'user', content: 'Say hello' },
            { role: 'assistant', content: 'Hello' },
            { role: 'user', content: 'Again' },
          ],
        },
        maxTokens: 20,
        sampling: {
          ...{ temperature: 0.5, topP: 0.9, topK: 0, minP: 0, seed: 11 },
          ...{ presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [] },
        },
        stop: ['\n', 'END'],
        tier: 'spot',
        voucher: 'voucher 0',
        waitMs: 30_000,
        grammar: null,
        topLogprobs: null,
        echo: false,
      },
    ])
    expect(world.accounts.asked).toEqual([[KEY, { model: MODEL, pool: null }]])
    expect(world.accounts.payments).toMatchObject([{ payer: { keyId: KEY }, isOver: true }])
  })

  it('draws a seed where none is named, another for each request', async () => {
    await client().chat.completions.create(question)
    await client().chat.completions.create(question)
    const [one, other] = world.driver.asks.map(({ request }) => request.sampling.seed)
    expect(one).not.toBe(other)
    expect(world.driver.asks[0]?.request.sampling).toMatchObject({ temperature: 1, topP: 1, topK: 0, minP: 0 })
    expect(world.driver.asks[0]?.request.maxTokens).toBeNull()
  })

  it('streams the role, the texts, the reason, and the usage where it is asked for', async () => {
    const stream = await client().chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.map(({ choices: [choice] }) => choice?.delta ?? null)).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { content: 'Hello' },
      { content: ', ' },
      { content: 'world' },
      {},
      null,
    ])
    expect(chunks.map(({ choices: [choice] }) => choice?.finish_reason ?? null)).toEqual([null, null, null, null, 'stop', null])
    expect(chunks.map(({ usage }) => usage?.total_tokens ?? usage)).toEqual([null, null, null, null, null, 10])
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    expect(world.fetch.seen.chunks).toBe(7)
  })

  it('streams no usage where none is asked for', async () => {
    const chunks = []
    for await (const chunk of await client().chat.completions.create({ ...question, stream: true })) chunks.push(chunk)
    expect(chunks.filter((chunk) => 'usage' in chunk || chunk.choices.length === 0)).toEqual([])
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
  })

  it('gives several choices, each with a seed of its own, whole and streamed', async () => {
    world.driver.play = (ask) => answerWith(ask, [`choice ${ask.request.sampling.seed}`], 'length')
    const { choices, usage } = await client().chat.completions.create({ ...question, n: 3, seed: 5 })
    expect(choices.map(({ message, finish_reason }) => [message.content, finish_reason])).toEqual([
      ['choice 5', 'length'],
      ['choice 6', 'length'],
      ['choice 7', 'length'],
    ])
    expect(usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 3 })
    const texts = ['', '']
    for await (const { choices } of await client().chat.completions.create({ ...question, n: 2, seed: 1, stream: true }))
      for (const { index, delta } of choices) texts[index] += delta.content ?? ''
    expect(texts).toEqual(['choice 1', 'choice 2'])
  })

  it('tells log-probabilities of tokens, and of the best beside them', async () => {
    const best = { id: 4, text: 'Hi', bytes: [72, 105], logprob: -0.1 }
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Yo', [{ id: 5, text: 'Yo', bytes: [89, 111], logprob: -2.5, top: [best] }])
      ask.finish()
    }
    const { choices } = await client().chat.completions.create({ ...question, logprobs: true, top_logprobs: 1 })
    expect(choices[0]?.logprobs?.content).toEqual([
      { token: 'Yo', logprob: -2.5, bytes: [89, 111], top_logprobs: [{ token: 'Hi', logprob: -0.1, bytes: [72, 105] }] },
    ])
    expect(world.driver.asks[0]?.request.topLogprobs).toBe(1)
  })

  it('stops the driver when the client aborts, before its place and after its first words', async () => {
    world.driver.play = (ask) => {
      if (ask.request.sampling.seed === 2) {
        ask.admit()
        ask.say('Once')
      }
    }
    const controller = new AbortController()
    const waiting = client().chat.completions.create({ ...question, seed: 1 }, { signal: controller.signal })
    const first = await world.driver.asked(0)
    controller.abort()
    await expect(waiting).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    const stream = await client().chat.completions.create({ ...question, seed: 2, stream: true })
    for await (const { choices } of stream) if (choices[0]?.delta.content === 'Once') break
    const second = await world.driver.asked(1)
    await until(() => first.isStopped && second.isStopped)
    await until(() => world.accounts.payments.length === 2 && world.accounts.payments.every(({ isOver }) => isOver))
  })
})

describe('completions', () => {
  it.each([
    ['a text', 'Once upon', { kind: 'raw', text: 'Once upon' }],
    ['a list of one', ['Once upon'], { kind: 'raw', text: 'Once upon' }],
    ['token ids', [1, 2, 3], { kind: 'ids', ids: [1, 2, 3] }],
    ['a list of token ids', [[1, 2, 3]], { kind: 'ids', ids: [1, 2, 3] }],
  ])('goes on from %s', async (_what, prompt, read) => {
    const { choices, object } = await client().completions.create({ model: MODEL, prompt: prompt as string })
    expect([object, choices[0]?.text]).toEqual(['text_completion', 'Hello, world'])
    expect(world.driver.asks[0]?.request).toMatchObject({ prompt: read, maxTokens: 16 })
  })

  it('streams, with log-probabilities in the old form and offsets that go on', async () => {
    const token = (text: string) => ({ id: text.length, text, bytes: [...Buffer.from(text)], logprob: -1 })
    world.driver.play = (ask) => {
      ask.admit()
      for (const text of ['ab', 'cde', 'f']) ask.say(text, [{ ...token(text), top: [token(text), token(`${text}!`)] }])
      ask.finish('length')
    }
    const chunks = []
    for await (const chunk of await client().completions.create({ model: MODEL, prompt: 'x', logprobs: 2, stream: true }))
      chunks.push(chunk)
    expect(chunks.map(({ choices: [choice] }) => [choice?.text, choice?.finish_reason])).toEqual([
      ['ab', null],
      ['cde', null],
      ['f', null],
      ['', 'length'],
    ])
    expect(chunks.flatMap(({ choices: [choice] }) => choice?.logprobs?.text_offset ?? [])).toEqual([0, 2, 5])
    expect(chunks[1]?.choices[0]?.logprobs).toMatchObject({
      tokens: ['cde'],
      token_logprobs: [-1],
      top_logprobs: [{ cde: -1, 'cde!': -1 }],
    })
  })

  it('begins with the prompt where it is to be echoed, whose first token has no probability, whole and streamed', async () => {
    const token = (text: string, logprob: number | null) => ({ id: text.length, text, bytes: [...Buffer.from(text)], logprob, top: [] })
    const best = { ...token('!', -0.5), logprob: -0.5 }
    world.driver.play = (ask) => {
      ask.admit(2)
      ask.echo('Once', [token('Once', null)])
      ask.echo(' upon', [{ ...token(' upon', -2), top: [best] }])
      ask.say(' a', [{ ...token(' a', -1), top: [best] }])
      ask.finish('length')
    }
    const asked = { model: MODEL, prompt: 'Once upon', echo: true, max_tokens: 1, logprobs: 1 } as const
    const told = {
      tokens: ['Once', ' upon', ' a'],
      token_logprobs: [null, -2, -1],
      top_logprobs: [null, { '!': -0.5 }, { '!': -0.5 }],
      text_offset: [0, 4, 9],
    }
    const { choices, usage } = await client().completions.create(asked)
    expect(choices[0]).toMatchObject({ text: 'Once upon a', logprobs: told, finish_reason: 'length' })
    expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 1 })
    expect(world.driver.asks[0]?.request).toMatchObject({ echo: true, topLogprobs: 1, maxTokens: 1 })
    const [tokens, offsets, text]: [unknown[], unknown[], string[]] = [[], [], []]
    for await (const { choices } of await client().completions.create({ ...asked, stream: true })) {
      text.push(choices[0]?.text ?? '')
      tokens.push(...(choices[0]?.logprobs?.tokens ?? []))
      offsets.push(...(choices[0]?.logprobs?.text_offset ?? []))
    }
    expect([text.join(''), tokens, offsets]).toEqual(['Once upon a', told.tokens, told.text_offset])
  })

  it('may want no token at all where the prompt is echoed, and nowhere else', async () => {
    world.driver.play = (ask) => {
      ask.admit(2)
      ask.echo('Once upon')
      ask.finish('length')
    }
    const asked = { model: MODEL, prompt: 'Once upon', max_tokens: 0 }
    const { choices, usage } = await client().completions.create({ ...asked, echo: true })
    expect(choices).toMatchObject([{ text: 'Once upon', logprobs: null, finish_reason: 'length' }])
    expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 0, total_tokens: 2 })
    await expect(client().completions.create(asked)).rejects.toMatchObject({ status: 400, param: 'max_tokens' })
    await expect(client().chat.completions.create({ ...question, max_tokens: 0 })).rejects.toMatchObject({
      status: 400,
      param: 'max_tokens',
    })
  })

  it('tells parts of characters apart, which all look alike', async () => {
    const part = (byte: number, logprob: number) => ({ id: byte, text: '\u{fffd}', bytes: [byte], logprob })
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('', [{ ...part(0xe2, -1), top: [part(0xe2, -1), part(0xe3, -2)] }])
      ask.finish()
    }
    const { choices } = await client().completions.create({ model: MODEL, prompt: 'x', logprobs: 2 })
    expect(choices[0]?.logprobs).toMatchObject({ tokens: ['bytes:\\xe2'], top_logprobs: [{ 'bytes:\\xe2': -1, 'bytes:\\xe3': -2 }] })
  })
})

describe('errors', () => {
  const refused = (run: Promise<unknown>) => run.catch((thrown: unknown) => thrown)

  it.each([
    ['key-of-none', OpenAI.AuthenticationError, { status: 401, code: 'invalid_api_key' }],
    ['key-of-others', OpenAI.PermissionDeniedError, { status: 403 }],
    ['key-in-haste', OpenAI.RateLimitError, { status: 429 }],
  ])('are of the class that its users catch: %s', async (apiKey, kind, told) => {
    const error = await refused(client({ apiKey }).chat.completions.create(question))
    expect(error).toBeInstanceOf(kind)
    expect(error).toMatchObject(told)
    expect(world.driver.asks).toEqual([])
  })

  it('are told in a stream that has begun', async () => {
    world.driver.play = (ask) => {
      ask.admit()
      ask.say('Once')
      ask.fail('driver-lost', 'ask again')
    }
    const texts: unknown[] = []
    const reading = (async () => {
      for await (const { choices } of await client().chat.completions.create({ ...question, stream: true }))
        texts.push(choices[0]?.delta.content)
    })()
    expect(await refused(reading)).toMatchObject({ error: { code: 'driver-lost', message: 'ask again' } })
    expect(texts).toEqual(['', 'Once'])
  })

  it('that pass are retried by the client itself', async () => {
    world.driver.play = (ask) => {
      if (world.driver.asks.length < 2) ask.fail('busy', 'all tabs are busy', 300)
      else answerWith(ask, ['now'])
    }
    const { choices } = await client({ maxRetries: 2 }).chat.completions.create(question)
    expect(choices[0]?.message.content).toBe('now')
    expect(world.driver.asks).toHaveLength(2)
    expect(world.fetch.seen.headers[0]?.get('retry-after')).toBe('1')
  })

  it('that stay are not', async () => {
    world.driver.play = (ask) => ask.fail('insufficient-credits', '3 credits are missing')
    const error = await refused(client({ maxRetries: 2 }).chat.completions.create(question))
    expect(error).toMatchObject({ status: 402, type: 'insufficient_quota' })
    expect(String(error)).toContain('3 credits are missing')
    expect(world.driver.asks).toHaveLength(1)
  })
})
