/** The API's own description, held against the running gateway in both directions: what it answers, what it takes and refuses, and where it answers at all. */

import { Ajv2020 } from 'ajv/dist/2020.js'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { required } from '../../../src/shared/index.ts'
import { StoredWorld } from './storedWorld.ts'
import { answerWith, MODEL, startGatewayWorld } from './world.ts'

interface Operation {
  readonly operationId: string
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>>
}
interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, { readonly properties?: Readonly<Record<string, { description?: string }>> }>>
  }
}

let stored: StoredWorld
let document: Document
let ajv: Ajv2020
/** Every answer of every client that was checked. */
const checked = new Set<string>()

beforeAll(async () => {
  stored = await StoredWorld.open()
  await stored.renew()
  stored.key = await stored.newKey(true)
  document = await (await fetch(new URL('/openapi.json', stored.world.baseUrl))).json()
  ajv = new Ajv2020({ strict: false })
  ajv.addSchema(document, 'api')
})
afterAll(() => stored.close())

const operationAt = (method: string, path: string): [string, Operation] => {
  const known = Object.keys(document.paths).find((one) => new RegExp(`^${one.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path))
  const operation = document.paths[known ?? '']?.[method.toLowerCase()]
  return [`${method} ${known}`, required(operation, `${method} ${path} in the document`)]
}
/** What is wrong with a value, by a schema of the document. */
function faults(schema: object | undefined, value: unknown): string | null {
  const relative = JSON.parse(JSON.stringify(required(schema, 'a schema')).replaceAll('"#/', '"api#/'))
  return ajv.validate(relative, value) ? null : ajv.errorsText()
}
const requestSchema = (path: string) => operationAt('POST', path)[1].requestBody?.content['application/json']?.schema

/** A fetch that holds requests and answers against the document. */
const described: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  if (!response.url.startsWith('http')) return response
  const path = new URL(response.url).pathname.slice('/v1'.length)
  const [name, operation] = operationAt(init?.method?.toUpperCase() ?? 'GET', path)
  if (response.ok && typeof init?.body === 'string' && init.body !== '')
    expect(faults(requestSchema(path), JSON.parse(init.body)), name).toBeNull()
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';')
  const { responses } = operation
  if (!response.ok) {
    expect(responses).toHaveProperty(String(response.status))
    expect(faults({ $ref: '#/components/schemas/Error' }, await response.clone().json()), name).toBeNull()
    return response
  }
  checked.add(`${name} ${type}`)
  const { schema } = required(responses['200']?.content?.[type], `${name} as ${type}`)
  const text = await response.clone().text()
  if (type === 'application/json') expect(faults(schema, JSON.parse(text)), name).toBeNull()
  for (const [, data = ''] of type === 'text/event-stream' ? text.matchAll(/^data: (.*)$/gm) : [])
    if (data !== '[DONE]') expect(faults(schema, JSON.parse(data)), name).toBeNull()
  return response
}
const client = () => new OpenAI({ baseURL: stored.world.baseUrl, apiKey: stored.key, maxRetries: 0, fetch: described })

describe('what the gateway answers is as its document says', () => {
  const messages = [{ role: 'user' as const, content: 'Hi' }]
  const tools = [{ type: 'function' as const, function: { name: 'f', parameters: { type: 'object' } } }]
  const CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'

  it('for answers, whole and streamed, with calls, log-probabilities and all', async () => {
    const { driver } = stored.world
    driver.play = (ask) => answerWith(ask, ['Well. ', CALL])
    await client().chat.completions.create({ model: MODEL, messages, tools, n: 2, metadata: { a: 'b' }, stop: ['x'], logit_bias: { 5: 1 } })
    for await (const _ of await client().chat.completions.create({ model: MODEL, messages, tools, stream: true }));
    const input = [{ role: 'user' as const, content: [{ type: 'input_text' as const, text: 'Hi' }] }]
    const flat = [{ type: 'function' as const, name: 'f', parameters: { type: 'object' }, strict: null }]
    const first = await client().responses.create({ model: MODEL, input, tools: flat, store: true })
    for await (const _ of await client().responses.create({ model: MODEL, input, tools: flat, stream: true }));
    await client().responses.retrieve(first.id)
    await client().responses.delete(first.id)
    const token = { id: 1, text: 'Hi', bytes: [72, 105], logprob: -1 }
    driver.play = (ask) => {
      ask.admit()
      if (ask.request.echo) ask.echo('Hi', [{ ...token, logprob: null, top: [] }])
      ask.say('Hi', [{ ...token, top: [token] }])
      ask.finish('length')
    }
    await client().completions.create({ model: MODEL, prompt: [1, 2], echo: true, logprobs: 1, max_tokens: 0, suffix: null })
    for await (const _ of await client().completions.create({ model: MODEL, prompt: 'Hi', echo: true, logprobs: 1, stream: true }));
    await client().chat.completions.create({ model: MODEL, messages, logprobs: true, top_logprobs: 1 })
    driver.play = (ask) => {
      ask.admit()
      ask.say('Hi')
      ask.fail('timeout')
    }
    const cut = async () => {
      for await (const _ of await client().chat.completions.create({ model: MODEL, messages, stream: true }));
    }
    await expect(cut()).rejects.toThrow()
  })

  it('for facts, files and batches, and for refusals', async () => {
    const { driver } = stored.world
    driver.play = (ask) => answerWith(ask, ['Hi'])
    await client().models.list()
    await client().models.retrieve(MODEL)
    await client().post('/estimate', { body: { model: MODEL, input: 'Hi' } })
    const usage = (await client().get('/usage')) as { readonly data: readonly { readonly request_id: string }[] }
    await client().get(`/usage/${required(usage.data[0], 'a request').request_id}`)
    const line = { custom_id: 'a', method: 'POST', url: '/v1/completions', body: { model: MODEL, prompt: 'Hi' } }
    const file = await client().files.create({ file: await toFile(Buffer.from(JSON.stringify(line)), 'a.jsonl'), purpose: 'batch' })
    await client().files.retrieve(file.id)
    await client().files.list()
    await (await client().files.content(file.id)).text()
    const batch = { input_file_id: file.id, endpoint: '/v1/completions', completion_window: '24h' } as const
    const { id } = await client().batches.create(batch)
    await expect.poll(async () => (await client().batches.retrieve(id)).status).toBe('completed')
    await client().batches.list()
    await expect(client().batches.cancel(id)).rejects.toMatchObject({ status: 409 })
    await client().files.delete(file.id)
    await expect(client().models.retrieve('none')).rejects.toMatchObject({ status: 404 })
    await expect(client().responses.create({ model: MODEL, input: '', temperature: 3 })).rejects.toMatchObject({ status: 400 })
  })

  it('and nothing of it was left out', () => {
    const all = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { responses }]) =>
        Object.keys(responses['200']?.content ?? {}).map((type) => `${method.toUpperCase()} ${path} ${type}`),
      ),
    )
    // A batch that has ended cannot be cancelled; its form is that of all others.
    expect(all.filter((one) => !checked.has(one))).toEqual(['POST /batches/{id}/cancel application/json'])
  })
})

describe('what the gateway takes is what its document says', () => {
  const chat = { model: MODEL, messages: [{ role: 'user', content: 'Hi' }] }
  const completion = { model: MODEL, prompt: 'Hi' }
  const response = { model: MODEL, input: 'Hi' }

  it.each<[string, object, boolean]>([
    ['/chat/completions', chat, true],
    ['/chat/completions', { ...chat, temperature: 2, seed: null, user: 'ada', tool_choice: 'none' }, true],
    ['/chat/completions', { ...chat, messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] }, true],
    ['/chat/completions', { ...chat, messages: [{ role: 'tool', content: 'x' }] }, false],
    ['/chat/completions', { ...chat, messages: [] }, false],
    ['/chat/completions', { ...chat, temperature: 2.1 }, false],
    ['/chat/completions', { ...chat, n: 9 }, false],
    ['/chat/completions', { ...chat, max_tokens: 0 }, false],
    ['/chat/completions', { ...chat, tool_choice: 'perhaps' }, false],
    ['/chat/completions', { ...chat, colour: 'red' }, false],
    ['/chat/completions', { messages: chat.messages }, false],
    ['/completions', { ...completion, prompt: [[1, 2]] }, true],
    ['/completions', { ...completion, prompt: [-1] }, false],
    ['/completions', { ...completion, logprobs: 6 }, false],
    ['/completions', { ...completion, stop: ['a', 'b', 'c', 'd', 'e'] }, false],
    ['/responses', { ...response, input: [{ type: 'function_call_output', call_id: 'x', output: 'y' }] }, true],
    ['/responses', { ...response, input: [{ role: 'user', content: 'x', colour: 'red' }] }, false],
    ['/responses', { ...response, include: ['file_search_call.results'] }, false],
    ['/responses', { ...response, text: { format: { type: 'xml' } } }, false],
    ['/estimate', response, true],
    ['/estimate', { ...completion, echo: 'yes' }, false],
  ])('%s %j', async (path, body, isTaken) => {
    stored.world.driver.play = (ask) => answerWith(ask, ['Hi'])
    const headers = { authorization: `Bearer ${stored.key}`, 'content-type': 'application/json' }
    const { status } = await fetch(`${stored.world.baseUrl}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    expect([status, faults(requestSchema(path), body) === null]).toEqual([isTaken ? 200 : 400, isTaken])
  })

  it('says in words what each parameter means', () => {
    for (const [name, { properties = {} }] of Object.entries(document.components.schemas))
      if (name.endsWith('Request'))
        for (const [parameter, { description }] of Object.entries(properties)) expect(description, `${name}.${parameter}`).toMatch(/\.$/)
  })
})

describe('where the gateway answers is where its document says', () => {
  it('by these methods, and no others', async () => {
    expect(document.openapi).toBe('3.1.0')
    for (const [path, operations] of Object.entries(document.paths)) {
      const { status, headers } = await fetch(`${stored.world.baseUrl}${path.replace('{id}', 'x')}`, { method: 'PATCH' })
      const allowed = (headers.get('allow') ?? '').split(', ').filter((method) => method !== 'HEAD')
      expect([status, allowed.sort()], path).toEqual([
        405,
        Object.keys(operations)
          .map((method) => method.toUpperCase())
          .sort(),
      ])
    }
  })

  it('as far as its coordinator keeps anything', async () => {
    const world = await startGatewayWorld({ hasAccounts: false })
    const small: Document = await (await fetch(new URL('/openapi.json', world.baseUrl))).json()
    for (const path of Object.keys(document.paths)) {
      const { status } = await fetch(`${world.baseUrl}${path.replace('{id}', 'x')}`, { method: 'PATCH' })
      expect(status, path).toBe(path in small.paths ? 405 : 404)
    }
    expect(small).not.toHaveProperty('security')
    await world.close()
  })
})
