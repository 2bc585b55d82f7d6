/** Batches with the `openai` package: each line answered once, whatever happens meanwhile, paid out of one sum, and nothing unsealed in the store. */

import OpenAI, { toFile } from 'openai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ask, StoredWorld } from './storedWorld.ts'
import { answerWith, MODEL, type ScriptedAsk, until } from './world.ts'

let stored: StoredWorld
beforeAll(async () => {
  stored = await StoredWorld.open()
})
afterAll(() => stored.close())
beforeEach(() => stored.renew())
afterEach(() => {
  expect(stored.world.fetch.seen.faults).toEqual([])
})

const HOUR_MS = 3_600_000
const nowSeconds = () => Math.floor(stored.clock.nowMs() / 1_000)
/** Answers with the question. */
const echo = (scripted: ScriptedAsk) => {
  const { prompt } = scripted.request
  answerWith(scripted, [prompt.kind === 'messages' ? `to ${prompt.messages.at(-1)?.content}` : 'to a text'])
}
const names = (count: number) => Array.from({ length: count }, (_, index) => `line-${index}`)
const thrown = (work: PromiseLike<unknown>) =>
  Promise.resolve(work).then(
    () => null,
    (error: unknown) => error,
  )

describe('a batch', () => {
  it('answers each line, at the spot price, out of one sum', async () => {
    const { world, accounts } = stored
    world.driver.play = echo
    const made = await stored.batch(names(20).map((name) => ask(name, name, { max_tokens: 10 })))
    expect(made).toMatchObject({
      status: 'validating',
      endpoint: '/v1/chat/completions',
      created_at: nowSeconds(),
      expires_at: nowSeconds() + 86_400,
      request_counts: { total: 20, completed: 0, failed: 0 },
      output_file_id: null,
    })
    const batch = await stored.until(made.id, 'completed')
    expect(batch).toMatchObject({
      request_counts: { total: 20, completed: 20, failed: 0 },
      error_file_id: null,
      completed_at: nowSeconds(),
    })
    const answers = await stored.answers(batch.output_file_id)
    const told = answers.map(({ custom_id, response: { body } }) => [custom_id, 'choices' in body ? body.choices[0] : null])
    expect(told).toEqual(
      names(20).map((name) => [name, expect.objectContaining({ message: expect.objectContaining({ content: `to ${name}` }) })]),
    )
    expect(new Set(world.driver.asks.map(({ request }) => request.tier))).toEqual(new Set(['spot']))
    // A token a word of the prompt, ten of the answer: at the price of half.
    const [[fund, held] = []] = [...accounts.funds]
    expect(held).toMatchObject({ amount: 20n * 101n, isOver: true })
    expect(accounts.payments.map(({ payer, isOver }) => [payer.fund, isOver])).toEqual(names(20).map(() => [fund, true]))
    const file = await stored.client().files.retrieve(batch.output_file_id ?? '')
    expect(file).toMatchObject({ purpose: 'batch_output', filename: `${batch.id}_output_questions.jsonl` })
  })

  it('of completions and of responses answers as these do', async () => {
    const lines = { '/v1/completions': { prompt: 'Once' }, '/v1/responses': { input: 'Say hello' } } as const
    for (const [url, body] of Object.entries(lines)) {
      const { id } = await stored.upload([{ custom_id: 'a', method: 'POST', url, body: { model: MODEL, ...body } }])
      const endpoint = url as keyof typeof lines
      const made = await stored.client().batches.create({ input_file_id: id, endpoint, completion_window: '24h', metadata: { run: '1' } })
      const batch = await stored.until(made.id, 'completed')
      expect(batch.metadata).toEqual({ run: '1' })
      expect(JSON.stringify(await stored.answers(batch.output_file_id))).toContain('Hello, world')
    }
  })

  it('has what cannot be answered in its error file, by name, and the rest answered', async () => {
    stored.world.driver.play = (scripted) => {
      if (scripted.request.stop[0] === 'fail') scripted.fail('prompt-too-long')
      else echo(scripted)
    }
    const made = await stored.batch([
      ask('good', 'x'),
      ask('bad', 'x', { temperature: 3 }),
      ask('unknown', 'x', { model: 'gpt-4o' }),
      ask('stream', 'x', { stream: true }),
      ask('tier', 'x', { service_tier: 'priority' }),
      ask('long', 'word '.repeat(2_048)),
      ask('late', 'x', { stop: 'fail' }),
    ])
    const batch = await stored.until(made.id, 'completed')
    expect(batch.request_counts).toEqual({ total: 7, completed: 1, failed: 6 })
    expect((await stored.answers(batch.output_file_id)).map(({ custom_id }) => custom_id)).toEqual(['good'])
    const errors = await stored.errors(batch.error_file_id)
    expect(errors.map(({ custom_id, response }) => [custom_id, response?.status_code, response?.body.error.param ?? null])).toEqual([
      ['bad', 400, 'temperature'],
      ['unknown', 404, null],
      ['stream', 400, 'stream'],
      ['tier', 400, 'service_tier'],
      ['long', 400, 'messages'],
      ['late', 400, null],
    ])
  })

  it('waits while nobody has room, and asks again what was lost', async () => {
    const { world } = stored
    world.swarm.hasRoom = false
    const made = await stored.batch([ask('one', 'x'), ask('two', 'y')])
    await stored.until(made.id, 'in_progress')
    for (let second = 0; second < 60; second++) world.clock.advance(1_000)
    expect(world.driver.asks).toEqual([])
    let lost = 0
    world.driver.play = (scripted) => (lost++ < 2 ? scripted.fail('stage-lost') : echo(scripted))
    world.swarm.hasRoom = true
    const passing = until(() => {
      world.clock.advance(1_000)
      return lost >= 4
    })
    await passing
    const batch = await stored.until(made.id, 'completed')
    expect(batch.request_counts).toEqual({ total: 2, completed: 2, failed: 0 })
  })

  it('gives up on a line that is lost three times, and never on one that finds all busy', async () => {
    const { world } = stored
    let busy = 0
    world.driver.play = (scripted) => {
      if (scripted.request.stop[0] !== 'busy') return scripted.fail('stage-lost')
      if (busy++ < 10) scripted.fail('busy')
      else echo(scripted)
    }
    const made = await stored.batch([ask('lost', 'x'), ask('busy', 'y', { stop: 'busy' })])
    await until(() => {
      world.clock.advance(1_000)
      return busy > 10
    })
    const batch = await stored.until(made.id, 'completed')
    expect((await stored.answers(batch.output_file_id)).map(({ custom_id }) => custom_id)).toEqual(['busy'])
    expect(await stored.errors(batch.error_file_id)).toMatchObject([{ custom_id: 'lost', response: { status_code: 503 } }])
    expect(world.driver.asks.filter(({ request }) => request.stop[0] !== 'busy')).toHaveLength(3)
  })

  it('is cancelled: what runs stops, what was answered stays', async () => {
    stored.world.driver.play = (scripted) => {
      if (stored.world.driver.asks.indexOf(scripted) < 3) echo(scripted)
      else scripted.admit()
    }
    const made = await stored.batch(names(30).map((name) => ask(name, name)))
    await until(() => stored.world.driver.asks.length >= 8)
    const cancelled = await stored.client().batches.cancel(made.id)
    expect(['cancelling', 'cancelled']).toContain(cancelled.status)
    const batch = await stored.until(made.id, 'cancelled')
    expect(batch).toMatchObject({ request_counts: { total: 30, completed: 3, failed: 0 } })
    expect(await stored.answers(batch.output_file_id)).toHaveLength(3)
    await until(() => stored.world.driver.open === 0)
    expect([...stored.accounts.funds.values()].map(({ isOver }) => isOver)).toEqual([true])
    expect(await thrown(stored.client().batches.cancel(made.id))).toMatchObject({ status: 409, code: 'batch_ended' })
  })

  it('ends with its day: what was not answered is told as expired', async () => {
    stored.world.swarm.hasRoom = false
    const made = await stored.batch([ask('one', 'x')])
    await stored.until(made.id, 'in_progress')
    stored.clock.advance(24 * HOUR_MS)
    const batch = await stored.until(made.id, 'expired')
    expect(await stored.errors(batch.error_file_id)).toMatchObject([{ custom_id: 'one', response: null, error: { code: 'batch_expired' } }])
    stored.clock.advance(24 * HOUR_MS)
    expect(await thrown(stored.client().batches.retrieve(made.id))).toBeInstanceOf(OpenAI.NotFoundError)
    expect((await stored.client().files.list()).data).toEqual([])
  })

  it('fails in words where its sum is missing', async () => {
    stored.accounts.refusal = { reason: 'insufficient-credits', message: '3 credits are missing' }
    const made = await stored.batch([ask('one', 'x')])
    const batch = await stored.until(made.id, 'failed')
    expect(batch.errors?.data).toEqual([{ code: 'insufficient_quota', message: '3 credits are missing', param: null, line: null }])
    expect(stored.world.driver.asks).toEqual([])
  })

  it('keeps its input while it runs', async () => {
    stored.world.swarm.hasRoom = false
    const made = await stored.batch([ask('one', 'x')])
    expect(await thrown(stored.client().files.delete(made.input_file_id))).toMatchObject({ status: 409, code: 'file_in_use' })
    await stored.client().batches.cancel(made.id)
    await stored.until(made.id, 'cancelled')
    await stored.client().files.delete(made.input_file_id)
  })
})

describe('a batch over a restart', () => {
  it('goes on where it was, once its key is seen again, and asks no line twice that was answered', async () => {
    stored.world.driver.play = (scripted) => {
      if (stored.world.driver.asks.indexOf(scripted) < 4) echo(scripted)
      else scripted.admit()
    }
    const made = await stored.batch(names(12).map((name) => ask(name, name)))
    const before = await until(() => (stored.world.driver.asks.length >= 8 ? stored.world.driver : null))
    await until(() => before.open === 8)
    await stored.stop()
    expect(before.asks.slice(4).every(({ isStopped }) => isStopped)).toBe(true)
    await stored.start()
    stored.world.driver.play = echo
    // Nobody has shown the key: it waits.
    stored.clock.advance(10 * 60_000)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(stored.world.driver.asks).toEqual([])
    // Any request with it will do.
    await stored.client().models.list()
    stored.clock.advance(5_000)
    await until(() => stored.world.driver.asks.length === 8)
    const batch = await stored.until(made.id, 'completed')
    expect(batch.request_counts).toEqual({ total: 12, completed: 12, failed: 0 })
    expect((await stored.answers(batch.output_file_id)).map(({ custom_id }) => custom_id)).toEqual(names(12))
    expect([...stored.accounts.funds.values()]).toMatchObject([{ isOver: true }])
  })

  it('whose key never comes again is over with its day, and gone a day later', async () => {
    stored.world.swarm.hasRoom = false
    const made = await stored.batch([ask('one', 'x')])
    await stored.until(made.id, 'in_progress')
    await stored.stop()
    await stored.start()
    stored.clock.advance(24 * HOUR_MS + 5_000)
    await until(async () => (await stored.store.batches.of([made.id]))[0]?.status === 'expired')
    expect(await stored.store.batches.of([made.id])).toMatchObject([{ status: 'expired' }])
    stored.clock.advance(24 * HOUR_MS + 11 * 60_000)
    await until(async () => (await stored.store.batches.of([made.id])).length === 0)
  })

  it('whose key was revoked is gone', async () => {
    stored.world.swarm.hasRoom = false
    const made = await stored.batch([ask('one', 'x')])
    await stored.until(made.id, 'in_progress')
    await stored.store.keys.revoke(stored.key.split('_')[1] ?? '', null)
    stored.world.swarm.hasRoom = true
    stored.clock.advance(5_000)
    await until(() => [...stored.accounts.funds.values()].every(({ isOver }) => isOver))
    expect(await stored.store.batches.of([made.id])).toEqual([])
  })
})

describe('what is no batch', () => {
  const create = async (lines: readonly object[] | string, more: object = {}) => {
    const text = typeof lines === 'string' ? lines : lines.map((line) => JSON.stringify(line)).join('\n')
    const { id } = await stored.client().files.create({ file: await toFile(Buffer.from(text), 'x'), purpose: 'batch' })
    return stored.client().batches.create({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h', ...more })
  }

  it('fails at once where a line has another form, and says which', async () => {
    const other = { ...ask('url', 'x'), url: '/v1/completions' }
    const text = [ask('one', 'x'), 'not JSON: zanzibarquux', { custom_id: 'two' }, ask('one', 'again'), other]
    const batch = await create(text.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
    expect(batch).toMatchObject({ status: 'failed', failed_at: nowSeconds() })
    expect(batch.errors?.data?.map(({ line, code }) => [line, code])).toEqual([
      [2, 'invalid_json_line'],
      [3, 'invalid_json_line'],
      [4, 'duplicate_custom_id'],
      [5, 'mismatched_endpoint'],
    ])
    expect(JSON.stringify(batch)).not.toContain('zanzibarquux')
    expect((await create('\n\n')).errors?.data?.[0]?.code).toBe('empty_file')
    expect((await create(Buffer.from([0xff, 0xfe]).toString('latin1'))).status).toBe('failed')
  })

  it.each<[string, object]>([
    ['endpoint', { endpoint: '/v1/embeddings' }],
    ['completion_window', { completion_window: '1h' }],
    ['metadata', { metadata: { a: 'b'.repeat(513) } }],
    ['output_expires_after', { output_expires_after: { anchor: 'created_at', seconds: 3_600 } }],
    ['colour', { colour: 'red' }],
  ])('is refused by its name: %s', async (param, more) => {
    const error = await thrown(create([ask('one', 'x')], more))
    expect(error).toMatchObject({ status: 400, param: expect.stringMatching(new RegExp(`^${param}`)) })
  })

  it('is refused where its file is none of the key’s', async () => {
    const { id } = await stored.upload([ask('one', 'x')])
    const other = stored.client(await stored.newKey())
    const error = await thrown(other.batches.create({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' }))
    expect(error).toMatchObject({ status: 404, param: 'input_file_id' })
  })

  it('is refused where the key may not use a model of it', async () => {
    const scope = { models: ['another'], pools: null, budget: null, requestsAMinute: null }
    stored.key = (await stored.store.keys.create(stored.account, 'k', scope)).text
    expect(await thrown(create([ask('one', 'x')]))).toMatchObject({ status: 403, code: 'not_allowed' })
  })
})

it('lists the batches of a key, and of no other', async () => {
  const ids = [(await stored.batch([ask('one', 'x')])).id]
  stored.clock.advance(1_000)
  ids.unshift((await stored.batch([ask('one', 'x')])).id)
  const seen = []
  for await (const { id } of stored.client().batches.list({ limit: 1 })) seen.push(id)
  expect(seen).toEqual(ids)
  expect((await stored.client(await stored.newKey()).batches.list()).data).toEqual([])
  for (const id of ids) await stored.until(id, 'completed')
})

it('nothing that was asked or answered stands in the store unsealed, nor the key, nor in the log', async () => {
  stored.world.driver.play = (scripted) => answerWith(scripted, ['quaggaberry'])
  const line = { ...ask('fuzzlewick', 'zanzibarquux'), url: '/v1/chat/completions' }
  const bad = ask('snarkenheim', 'zanzibarquux', { temperature: 'gribbledown' })
  const { id } = await stored.upload([line, bad])
  const metadata = { note: 'plinkersnoot' }
  const made = await stored
    .client()
    .batches.create({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata })
  const batch = await stored.until(made.id, 'completed')
  expect(JSON.stringify(await stored.answers(batch.output_file_id))).toContain('quaggaberry')
  const log = stored.world.log.join()
  await stored.stop()
  for (const marker of ['zanzibarquux', 'quaggaberry', 'fuzzlewick', 'snarkenheim', 'gribbledown', 'plinkersnoot', stored.key.slice(-43)]) {
    expect(stored.filesWith(marker), marker).toEqual([])
    expect(log).not.toContain(marker)
  }
  // The search finds what is there.
  expect(stored.filesWith(made.id)).not.toEqual([])
  await stored.start()
})

it('a batch stays in the pool that was demanded for it, over a restart', async () => {
  const { id } = await stored.upload([ask('one', 'x')])
  const policy = { tabswarm: { pool: 'trusted' } } as object
  stored.world.swarm.hasRoom = false
  const body = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h', ...policy } as const
  const made = await stored.client().batches.create(body)
  await stored.until(made.id, 'in_progress')
  await stored.stop()
  await stored.start()
  await stored.client().models.list()
  stored.clock.advance(5_000)
  await stored.until(made.id, 'completed')
  expect(stored.accounts.payments.map(({ payer }) => payer.pool)).toEqual(['trusted'])
  const dear = { ...body, tabswarm: { max_price: '1' } }
  expect(await thrown(stored.client().batches.create(dear))).toMatchObject({ status: 400, param: 'tabswarm.max_price' })
})
