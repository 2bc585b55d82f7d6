/**
 * A word that nobody else says, sent in every place where a request has room for text, to every endpoint, and said by answers and failures: it is told to its client
 * alone. Without storage it is nowhere else; with storage, nowhere unsealed.
 */

import { join } from 'node:path'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { UsageFile } from '../../../src/cli/usageFile.ts'
import { UsageWebhook } from '../../../src/coordinator/gateway/index.ts'
import { Metrics } from '../../../src/coordinator/server/metrics.ts'
import { required } from '../../../src/shared/index.ts'
import { StoredWorld } from './storedWorld.ts'
import { MODEL, type ScriptedAsk } from './world.ts'

const MARKER = 'zanzibarquux'
const schema = {
  type: 'object',
  description: MARKER,
  properties: { [MARKER]: { enum: [MARKER] } },
  required: [MARKER],
  additionalProperties: false,
}
const noted = { metadata: { note: MARKER }, user: MARKER, safety_identifier: MARKER, prompt_cache_key: MARKER }

let stored: StoredWorld
beforeAll(async () => {
  stored = await StoredWorld.open()
})
afterAll(() => stored.close())

async function post(path: string, body: object | string, method = 'POST') {
  const headers = {
    authorization: `Bearer ${stored.key}`,
    'content-type': 'application/json',
    'user-agent': MARKER,
    'idempotency-key': `${MARKER} ${keys++}`,
  }
  const content = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(`${stored.world.baseUrl}${path}`, { method, headers, ...(method === 'POST' && { body: content }) })
  return { status: response.status, text: await response.text() }
}
let keys = 0

function answer(ask: ScriptedAsk): void {
  ask.admit()
  if (ask.request.echo) ask.echo(MARKER)
  ask.say(`<tool_call>{"name": "${MARKER}", "arguments": {"${MARKER}": "${MARKER}"}}</tool_call>`)
  ask.finish()
}

const tool = { name: MARKER, description: MARKER, parameters: schema }
const call = { id: MARKER, type: 'function', function: { name: MARKER, arguments: `{"${MARKER}": 1}` } }
const chat = {
  ...{ model: MODEL, stop: [MARKER], tools: [{ type: 'function', function: tool }], ...noted },
  messages: [
    { role: 'user', content: [{ type: 'text', text: MARKER }] },
    { role: 'assistant', content: MARKER, tool_calls: [call] },
    { role: 'tool', content: MARKER, tool_call_id: MARKER },
  ],
}
const completion = { model: MODEL, prompt: MARKER, echo: true, stop: MARKER, ...noted }
const response = {
  ...{ model: MODEL, instructions: MARKER, tools: [{ type: 'function', ...tool }], ...noted },
  input: [
    { role: 'user', content: MARKER },
    { type: 'function_call', call_id: MARKER, name: MARKER, arguments: `{"${MARKER}": 1}` },
    { type: 'function_call_output', call_id: MARKER, output: MARKER },
  ],
}
const held = { response_format: { type: 'json_schema', json_schema: { name: MARKER, description: MARKER, schema } } }

/** Everything that a request without storage can say, and be refused for. */
async function sayEverything(): Promise<void> {
  for (const stream of [false, true])
    for (const [path, body] of [
      ['/chat/completions', { ...chat, stream }],
      ['/chat/completions', { ...chat, ...held, stream, tool_choice: 'auto' }],
      ['/completions', { ...completion, stream }],
      ['/responses', { ...response, stream }],
    ] as const) {
      const { status, text } = await post(path, body)
      expect([status, text.includes(MARKER)], `${path} ${text}`).toEqual([200, true])
    }
  for (const body of [chat, completion, response]) expect((await post('/estimate', body)).status).toBe(200)
  const wrong: [string, object | string, number][] = [
    ['/embeddings', { model: MODEL, input: MARKER }, 404],
    ['/chat/completions', { ...chat, [MARKER]: MARKER }, 400],
    ['/chat/completions', { ...chat, model: MARKER }, 404],
    ['/chat/completions', { ...chat, temperature: MARKER }, 400],
    ['/chat/completions', { ...chat, messages: [{ role: MARKER, content: MARKER }] }, 400],
    [
      '/chat/completions',
      { ...chat, tools: [{ type: 'function', function: { name: 'f', parameters: { type: MARKER } } }], tool_choice: 'required' },
      400,
    ],
    ['/chat/completions', `{"model": "${MARKER}`, 400],
    ['/responses', { ...response, input: [{ type: MARKER }] }, 400],
    ['/completions', { ...completion, prompt: { [MARKER]: MARKER } }, 400],
    [`/${MARKER}`, {}, 404],
    [`/models?${MARKER}=${MARKER}`, {}, 405],
  ]
  for (const [path, body, status] of wrong) expect((await post(path, body)).status, `${path} ${JSON.stringify(body)}`).toBe(status)
  expect((await post(`/models/${MARKER}`, '', 'GET')).status).toBe(404)
  expect((await post(`/usage/${MARKER}`, '', 'GET')).status).toBe(404)
}

/** What breaks in the driver and in mid-answer, whose words may have the prompt's. */
async function failEverywhere(): Promise<void> {
  for (const reason of ['stage-lost', 'bad-request', 'nobody knows it'])
    for (const isBegun of [false, true]) {
      stored.world.driver.play = (ask) => {
        if (isBegun) ask.admit()
        if (isBegun) ask.say(MARKER)
        ask.fail(reason, `it failed at ${MARKER}`)
      }
      for (const stream of [false, true]) await post('/chat/completions', { ...chat, stream })
    }
  stored.world.driver.play = answer
}

async function leaveEverything(): Promise<string> {
  const client = new OpenAI({ baseURL: stored.world.baseUrl, apiKey: stored.key, maxRetries: 0 })
  const kept = await post('/responses', { ...response, store: true })
  expect([kept.status, kept.text.includes(MARKER)]).toEqual([200, true])
  const { id } = JSON.parse(kept.text)
  expect((await post('/responses', { ...response, previous_response_id: id, store: true })).status).toBe(200)
  expect((await post(`/responses/${id}`, '', 'GET')).text).toContain(MARKER)
  const bodies = { '/v1/chat/completions': chat, '/v1/completions': completion, '/v1/responses': response }
  for (const [endpoint, body] of Object.entries(bodies)) {
    const lines = [body, { ...body, [MARKER]: 1 }].map((one, index) => ({
      custom_id: `${MARKER} ${index}`,
      method: 'POST',
      url: endpoint,
      body: one,
    }))
    const file = await client.files.create({
      file: await toFile(Buffer.from(lines.map((one) => JSON.stringify(one)).join('\n')), `${MARKER}.jsonl`),
      purpose: 'batch',
    })
    const batch = await client.batches.create({
      ...{ input_file_id: file.id, endpoint: endpoint as '/v1/completions', completion_window: '24h' },
      metadata: { note: MARKER },
    })
    await expect.poll(async () => (await client.batches.retrieve(batch.id)).status).toBe('completed')
    const { output_file_id: output } = await client.batches.retrieve(batch.id)
    expect(await (await client.files.content(required(output, 'an output'))).text()).toContain(MARKER)
  }
  return id
}

it.each([false, true])('a word of a request is told to its client alone; with storage: %s', async (isStored) => {
  await stored.renew()
  stored.key = await stored.newKey(isStored)
  const { world } = stored
  world.driver.play = answer
  await sayEverything()
  await failEverywhere()
  const left = isStored ? await leaveEverything() : null
  // What was computed is told of once it is paid.
  for (const { sessionId } of world.driver.asks) stored.accounts.settle(sessionId, 5n)
  await expect.poll(() => world.usage.length).toBeGreaterThanOrEqual(14)
  // What the log has of each request, what the metrics count, and what other programs are told.
  const metrics = new Metrics({
    summary: () => ({ swarms: [] }) as unknown as ReturnType<ConstructorParameters<typeof Metrics>[0]['summary']>,
    answersRunning: () => 0,
  })
  for (const entry of world.requests) metrics.request(entry)
  const heard: string[] = []
  const webhook = new UsageWebhook({
    ...{
      url: 'https://siem.example',
      secret: `whsec_${'A'.repeat(32)}`,
      clock: stored.clock,
      randomBytes: (count: number) => new Uint8Array(count),
      log: () => undefined,
    },
    send: async (_url, init) => {
      heard.push(String(init.body))
      return new Response(null, { status: 204 })
    },
  })
  const usageLog = await UsageFile.open({ file: join(stored.folder, 'usage.jsonl'), log: () => undefined })
  for (const event of world.usage) for (const sink of [webhook, usageLog]) sink.push(event)
  await usageLog.close()
  await expect.poll(() => heard.length).toBeGreaterThan(0)
  const told = { log: world.log, requests: world.requests, usage: world.usage, webhook: heard, metrics: await metrics.render() }
  await stored.stop()
  for (const [where, what] of Object.entries(told)) {
    expect(JSON.stringify(what).length, where).toBeGreaterThan(100)
    expect(JSON.stringify(what), where).not.toContain(MARKER)
  }
  expect(stored.filesWith(MARKER)).toEqual([])
  // The search finds what is there.
  expect(stored.filesWith(left ?? required(world.usage[0], 'usage').request_id)).not.toEqual([])
  await stored.start()
})
