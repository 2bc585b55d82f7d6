/**
 * The API with real clients, the real model and real tabs: the coordinator's driver reaches them over WebRTC from Node, what a key pays is the ledger's, and
 * no word of a prompt is written anywhere.
 */

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatOpenAI } from '@langchain/openai'
import { generateText } from 'ai'
import OpenAI, { toFile } from 'openai'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openVolunteerTab, resolveModel, type VolunteerTab } from '../../src/node/index.ts'
import { type CoordinatorStore, createServer, openServerStore, type Server, smallestPledgeBytes } from '../../src/server.ts'
import { parseCredits, required } from '../../src/shared/index.ts'

const TIMEOUT_MS = 240_000
/** No model says it by itself. */
const MARKER = 'zanzibarquux'
const QUESTION = [{ role: 'user', content: `Tell me a long story about a ship called ${MARKER}.` }] as const

let folder: string
let server: Server
let store: CoordinatorStore
let browser: Browser
let model: string
let key: string
let account: string
let client: OpenAI
const volunteers: VolunteerTab[] = []
const lines: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-api-'))
  const served = await resolveModel('default')
  const opening = openServerStore({ kind: 'folder', folder: join(folder, 'data') })
  const webRoot = await ensureWebApp(() => undefined)
  const log = (line: string) => void lines.push(line)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [served], minStages: 2, webRoot, store: opening, log })
  store = await opening
  model = served.hashedManifest.manifest.id
  account = (await store.accounts.createNamed('a stranger')).id
  const scope = { models: null, pools: null, budget: null, requestsAMinute: null }
  key = (await store.keys.create(account, 'laptop', scope)).text
  client = new OpenAI({ apiKey: key, baseURL: new URL('/v1', server.url).href })
  browser = await launchChromium({ webGpu: false })
  const pledgeMb = Math.ceil(smallestPledgeBytes(served.hashedManifest.manifest, 2, 0, 'unpacked') / 1e6)
  // Two share the model, and a third has a place to take over.
  for (let count = 0; count < 3; count++)
    volunteers.push(await openVolunteerTab(browser, { url: server.url, latencyMs: 0, pledgeMb, engine: 'wasm' }))
  await Promise.all(volunteers.map((tab) => tab.serving(TIMEOUT_MS)))
}, TIMEOUT_MS)
afterAll(async () => {
  await browser?.close()
  await server?.close()
  await rm(folder, { recursive: true, force: true })
})

interface TabswarmUsage {
  readonly request_id: string
  readonly routes: readonly { readonly path: string; readonly repairs: number; readonly stages: readonly { readonly peer: string }[] }[]
}
const ownUsage = (usage: OpenAI.CompletionUsage | undefined | null) => (usage as { tabswarm?: TabswarmUsage } | undefined)?.tabswarm
const ask = (maxTokens: number) => ({ model, messages: [...QUESTION], max_tokens: maxTokens, temperature: 0 })
const sessions = async () => {
  const found = (await client.models.retrieve(model)) as OpenAI.Model & { readonly capacity: { readonly sessions: number } }
  return found.capacity.sessions
}
/** The only process that this one has begun from the coordinator's own files. */
async function driverProcess(): Promise<number> {
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8')
  for (const pid of children.trim().split(' '))
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('bin/driver.mjs')) return Number(pid)
  throw new Error('there is no driver')
}
let undisturbed: string

/** A tab that computes the answer under way. */
async function stageOfNow(): Promise<VolunteerTab> {
  for (const tab of volunteers) {
    const isStage = await tab.page.evaluate(() => {
      const volunteer = globalThis.tabswarm?.store.getState().volunteer
      return volunteer?.kind === 'serving' && volunteer.work.sessionsOpen > 0
    })
    if (isStage) return tab
  }
  throw new Error('nobody computes')
}

describe('the API over real tabs', () => {
  it('answers whole and streamed alike, over tabs that the driver reaches by WebRTC', async () => {
    const whole = await client.chat.completions.create(ask(60))
    undisturbed = required(whole.choices[0]?.message.content, 'an answer')
    expect(undisturbed.length).toBeGreaterThan(40)
    expect(whole.choices[0]?.finish_reason).toBe('length')
    const [route] = required(ownUsage(whole.usage), 'what is not OpenAI’s').routes
    expect(route).toMatchObject({ path: 'webrtc', repairs: 0, stages: [{}, {}] })
    let text = ''
    for await (const { choices } of await client.chat.completions.create({ ...ask(60), stream: true }))
      text += choices[0]?.delta.content ?? ''
    expect(text).toBe(undisturbed)
  })

  it('a tab that is lost in mid-answer changes nothing of it', async () => {
    const stream = await client.chat.completions.create({ ...ask(60), stream: true, stream_options: { include_usage: true } })
    let [text, usage, isCut]: [string, OpenAI.CompletionUsage | null, boolean] = ['', null, false]
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      usage = chunk.usage ?? usage
      if (text.length < 20 || isCut) continue
      isCut = true
      await (await stageOfNow()).page.close()
    }
    expect(text).toBe(undisturbed)
    expect(usage?.completion_tokens).toBe(60)
    expect(ownUsage(usage)?.routes[0]?.repairs).toBeGreaterThan(0)
  })

  it('the Vercel AI SDK and LangChain get the same answer', async () => {
    const provider = createOpenAICompatible({ name: 'tabswarm', apiKey: key, baseURL: new URL('/v1', server.url).href })
    const { text } = await generateText({ model: provider(model), messages: [...QUESTION], maxOutputTokens: 60, temperature: 0 })
    expect(text).toBe(undisturbed)
    const chain = new ChatOpenAI({
      model,
      apiKey: key,
      maxTokens: 60,
      temperature: 0,
      configuration: { baseURL: new URL('/v1', server.url).href },
    })
    expect((await chain.invoke(QUESTION[0].content)).content).toBe(undisturbed)
  })

  it('stops within a lap when its client goes', async () => {
    const stop = new AbortController()
    const stream = await client.chat.completions.create({ ...ask(400), stream: true }, { signal: stop.signal })
    for await (const _ of stream) {
      expect(await sessions()).toBe(1)
      stop.abort()
    }
    await expect.poll(sessions, { timeout: 3_000 }).toBe(0)
  })

  it('says so where its driver is lost in mid-answer, and the next question has another', async () => {
    const stream = await client.chat.completions.create({ ...ask(400), stream: true })
    const cut = (async () => {
      let isKilled = false
      for await (const _ of stream) {
        if (isKilled) continue
        isKilled = true
        process.kill(await driverProcess(), 'SIGKILL')
      }
    })()
    await expect(cut).rejects.toMatchObject({ code: 'driver-lost' })
    expect((await client.chat.completions.create(ask(60))).choices[0]?.message.content).toBe(undisturbed)
    expect(lines.join()).toContain('SIGKILL')
  })

  it('prompts go in as text and as token ids, too', async () => {
    const byText = await client.completions.create({ model, prompt: `${MARKER} is`, max_tokens: 8, temperature: 0, logprobs: 1 })
    expect(byText.choices[0]?.logprobs?.token_logprobs?.every((logprob) => logprob < 0)).toBe(true)
    const byIds = await client.completions.create({ model, prompt: [504, 3575, 282, 4649, 314], max_tokens: 8, temperature: 0 })
    expect(byIds.choices[0]?.text.length).toBeGreaterThan(0)
  })

  it('weighs a given text as evaluation harnesses ask: each token of the prompt as likely as when the model says it itself', async () => {
    const scored = (prompt: string | number[], maxTokens: number) =>
      client.completions.create({ model, prompt, max_tokens: maxTokens, temperature: 0, logprobs: 1, echo: true })
    const said = await client.completions.create({ model, prompt: [504, 3575, 282, 4649, 314], max_tokens: 8, temperature: 0, logprobs: 1 })
    const own = required(said.choices[0]?.logprobs?.token_logprobs, 'log-probabilities')
    const text = required(said.choices[0]?.text, 'a text')
    const beginning = required((await scored([504, 3575, 282, 4649, 314], 0)).choices[0], 'a choice')
    expect(beginning).toMatchObject({ finish_reason: 'length' })
    expect(beginning.logprobs?.token_logprobs).toEqual([null, ...Array(4).fill(expect.any(Number))])
    const whole = required((await scored(`${beginning.text}${text}`, 1)).choices[0], 'a choice')
    expect(whole.text.startsWith(`${beginning.text}${text}`)).toBe(true)
    const { tokens = [], token_logprobs: logprobs = [], top_logprobs: top = [], text_offset: offsets = [] } = whole.logprobs ?? {}
    expect(tokens).toHaveLength(5 + 8 + 1)
    expect(tokens.join('')).toBe(whole.text)
    expect(offsets.slice(0, 2)).toEqual([0, tokens[0]?.length])
    // As one prompt and one row after the other: other kernels, which round otherwise.
    for (const [index, logprob] of own.entries()) {
      expect(logprobs[5 + index]).toBeCloseTo(logprob, 1)
      // What was said was the best each time.
      expect(Math.max(...Object.values(top[5 + index] ?? {}))).toBeCloseTo(logprobs[5 + index] ?? Number.NaN, 1)
    }
  })

  it('a batch is answered over tabs, line by line, at the spot price', async () => {
    const line = (id: string, maxTokens: number) => ({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body: ask(maxTokens) })
    const lines = [line('one', 60), line('two', 4), { ...line('three', 4), body: { ...ask(4), temperature: 3 } }]
    const file = await toFile(Buffer.from(lines.map((one) => JSON.stringify(one)).join('\n')), 'questions.jsonl')
    const { id } = await client.files.create({ file, purpose: 'batch' })
    const made = await client.batches.create({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' })
    const status = async () => (await client.batches.retrieve(made.id)).status
    await expect.poll(status, { timeout: 120_000 }).toBe('completed')
    const batch = await client.batches.retrieve(made.id)
    expect(batch.request_counts).toEqual({ total: 3, completed: 2, failed: 1 })
    const output = await (await client.files.content(required(batch.output_file_id, 'an output'))).text()
    const answers = output
      .trimEnd()
      .split('\n')
      .map((one) => JSON.parse(one))
    expect(answers.map(({ custom_id }) => custom_id)).toEqual(['one', 'two'])
    expect(answers[0].response.body).toMatchObject({ service_tier: 'flex', choices: [{ message: { content: undisturbed } }] })
    const used = await fetch(new URL(`/v1/usage/${answers[0].response.request_id}`, server.url), {
      headers: { authorization: `Bearer ${key}` },
    })
    expect(await used.json()).toMatchObject({ service_tier: 'flex', completion_tokens: 60 })
  })

  it('an answer that is held to a schema satisfies it, whatever is drawn', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 2, maxLength: 12 },
        age: { type: 'integer', minimum: 0, maximum: 120 },
        moods: { type: 'array', items: { enum: ['calm', 'wild'] }, minItems: 1, maxItems: 3 },
      },
      required: ['name', 'age', 'moods'],
      additionalProperties: false,
    }
    for (const seed of [1, 2, 3]) {
      const { choices } = await client.chat.completions.create({
        ...{ model, messages: [{ role: 'user', content: 'Describe a sailor.' }], max_tokens: 120, temperature: 1.5, seed },
        response_format: { type: 'json_schema', json_schema: { name: 'sailor', strict: true, schema } },
      })
      expect(choices[0]?.finish_reason).toBe('stop')
      const sailor = JSON.parse(choices[0]?.message.content ?? '')
      expect(Object.keys(sailor)).toEqual(['name', 'age', 'moods'])
      expect([...sailor.name].length).toBeGreaterThanOrEqual(2)
      expect(sailor.age >= 0 && sailor.age <= 120).toBe(true)
      expect(sailor.moods.every((mood: string) => ['calm', 'wild'].includes(mood))).toBe(true)
    }
  })

  it('a required call has arguments that satisfy its schema, streamed as they come', async () => {
    const parameters = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 20 }, unit: { enum: ['celsius', 'fahrenheit'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    }
    const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather of a city', parameters } }] as const
    const asked = { model, messages: [{ role: 'user', content: 'How is the weather in Rome?' }], max_tokens: 120, temperature: 1 } as const
    const called = (
      await client.chat.completions.create({
        ...asked,
        messages: [...asked.messages],
        tools: [...tools],
        tool_choice: 'required',
        parallel_tool_calls: false,
      })
    ).choices[0]
    expect(called?.finish_reason).toBe('tool_calls')
    const [call] = called?.message.tool_calls ?? []
    const given = call?.type === 'function' ? JSON.parse(call.function.arguments) : null
    expect(Object.keys(given)).toEqual(['city', 'unit'])
    expect(['celsius', 'fahrenheit']).toContain(given.unit)
    const named = { type: 'function', function: { name: 'get_weather' } } as const
    const stream = await client.chat.completions.create({
      ...asked,
      messages: [...asked.messages],
      tools: [...tools],
      tool_choice: named,
      stream: true,
    })
    const parts: string[] = []
    for await (const chunk of stream)
      parts.push(...(chunk.choices[0]?.delta.tool_calls ?? []).map((delta) => delta.function?.arguments ?? ''))
    expect(parts.length).toBeGreaterThan(3)
    expect(Object.keys(JSON.parse(parts.join('')))).toEqual(['city', 'unit'])
  })

  it('a response calls what it has to, with arguments of the schema, and ends as its stream said', async () => {
    const parameters = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 20 }, unit: { enum: ['celsius', 'fahrenheit'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    }
    const stream = client.responses.stream({
      ...{ model, input: 'How is the weather in Rome?', max_output_tokens: 120, tool_choice: 'required', parallel_tool_calls: false },
      tools: [{ type: 'function', name: 'get_weather', description: 'The weather of a city', parameters, strict: true }],
    })
    let deltas = 0
    stream.on('response.function_call_arguments.delta', () => void deltas++)
    const [call] = (await stream.finalResponse()).output
    if (call?.type !== 'function_call') throw new Error(`the answer is a ${call?.type}`)
    expect(deltas).toBeGreaterThan(3)
    expect([call.name, call.status, Object.keys(JSON.parse(call.arguments))]).toEqual(['get_weather', 'completed', ['city', 'unit']])
  })

  it('tokens that are favoured come, wherever they stand among all others, and penalties change the answer', async () => {
    const asked = { ...ask(6), logprobs: true } as const
    const favoured = await client.chat.completions.create({ ...asked, logit_bias: { 4999: 100 } })
    const tokens = favoured.choices[0]?.logprobs?.content ?? []
    expect(new Set(tokens.map(({ token }) => token)).size).toBe(1)
    // Its own probability, before the bias.
    expect(tokens[0]?.logprob).toBeLessThan(-5)
    const repeated = await client.chat.completions.create({ ...ask(24), presence_penalty: 2, frequency_penalty: 2 })
    expect(repeated.choices[0]?.message.content).not.toBe((await client.chat.completions.create(ask(24))).choices[0]?.message.content)
  })

  it('what requests cost is what the key has spent and the ledger has taken', async () => {
    const get = async () => (await fetch(new URL('/v1/usage', server.url), { headers: { authorization: `Bearer ${key}` } })).json()
    await expect.poll(async () => (await get()).data.every(({ settled }: { settled: boolean }) => settled), { timeout: 60_000 }).toBe(true)
    const { totals } = await get()
    const told = parseCredits(totals.credits)
    expect(told).toBeGreaterThan(0n)
    await expect.poll(async () => (await store.keys.list(account))[0]?.spent, { timeout: 10_000 }).toBe(told)
    const balances = await store.ledger.balances(account)
    expect(balances.filter(({ account: { kind } }) => kind === 'hold')).toEqual([])
  })

  it('no word of a prompt is in what is logged or kept, but for what was left there sealed', async () => {
    await browser.close()
    await server.close()
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    expect(files.length).toBeGreaterThan(10)
    for (const { parentPath, name } of files) expect((await readFile(join(parentPath, name))).includes(MARKER), name).toBe(false)
    expect(lines.join('\n')).not.toContain(MARKER)
  })
})
