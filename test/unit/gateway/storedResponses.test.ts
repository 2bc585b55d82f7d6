/** Responses that are kept, with the `openai` package: for keys that were made for it alone, sealed, for a day, and to be gone on from. */

import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { StoredWorld } from './storedWorld.ts'
import { answerWith, MODEL } from './world.ts'

let stored: StoredWorld
beforeAll(async () => {
  stored = await StoredWorld.open()
})
afterAll(() => stored.close())
beforeEach(async () => {
  await stored.renew()
  stored.key = await stored.newKey(true)
})
afterEach(() => {
  expect(stored.world.fetch.seen.faults).toEqual([])
})

const DAY_MS = 24 * 3_600_000
const kept = { model: MODEL, store: true }
const thrown = (work: PromiseLike<unknown>) =>
  Promise.resolve(work).then(
    () => null,
    (error: unknown) => error,
  )
const asked = (index: number) => {
  const prompt = stored.world.driver.asks[index]?.request.prompt
  return prompt?.kind === 'messages' ? prompt.messages.map(({ role, content }) => `${role}: ${content}`) : null
}

describe('a response that is kept', () => {
  it('is told again by its id, as it was, also after a restart', async () => {
    const response = await stored.client().responses.create({ ...kept, input: 'Say hello' })
    expect(response).toMatchObject({ store: true, previous_response_id: null, output_text: 'Hello, world' })
    const { _request_id: _, ...told } = response
    expect(await stored.client().responses.retrieve(response.id)).toEqual(told)
    await stored.stop()
    await stored.start()
    expect(await stored.client().responses.retrieve(response.id)).toEqual(told)
  })

  it('is gone on from, with all that was said before and instructions of its own', async () => {
    const first = await stored.client().responses.create({ ...kept, instructions: 'Be brief', input: 'Say hello' })
    const second = await stored
      .client()
      .responses.create({ ...kept, input: 'Again', previous_response_id: first.id, instructions: 'Be long' })
    expect(second.previous_response_id).toBe(first.id)
    await stored.client().responses.create({ model: MODEL, input: 'And again', previous_response_id: second.id })
    const said = ['user: Say hello', 'assistant: Hello, world', 'user: Again']
    expect([asked(0), asked(1), asked(2)]).toEqual([
      ['system: Be brief', 'user: Say hello'],
      ['system: Be long', ...said],
      [...said, 'assistant: Hello, world', 'user: And again'],
    ])
  })

  it('is gone on from by what came of its calls', async () => {
    stored.world.driver.play = (ask) => answerWith(ask, ['<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'])
    const tools = [{ type: 'function', name: 'f', parameters: null, strict: null }] as const
    const { id, output } = await stored.client().responses.create({ ...kept, input: 'Call f', tools: [...tools] })
    const [call] = output
    if (call?.type !== 'function_call') throw new Error(`the answer is a ${call?.type}`)
    const input = [{ type: 'function_call_output', call_id: call.call_id, output: 'done' }] as const
    await stored.client().responses.create({ model: MODEL, input: [...input], previous_response_id: id })
    const prompt = stored.world.driver.asks[1]?.request.prompt
    expect(prompt).toEqual({
      kind: 'messages',
      messages: [
        { role: 'user', content: 'Call f' },
        { role: 'assistant', content: '', toolCalls: [{ id: call.call_id, name: 'f', arguments: { a: 1 } }] },
        { role: 'tool', content: 'done', toolCallId: call.call_id, name: 'f' },
      ],
    })
  })

  it('is kept where it was streamed, before its end is told', async () => {
    let response: OpenAI.Responses.Response | null = null
    for await (const event of await stored.client().responses.create({ ...kept, input: 'Say hello', stream: true }))
      if (event.type === 'response.completed') response = event.response
    const { output_text: _, ...told } = await stored.client().responses.retrieve(response?.id ?? '')
    expect(told).toEqual(response)
  })

  it('is gone at once when it is deleted, and else after a day', async () => {
    const one = await stored.client().responses.create({ ...kept, input: 'Say hello' })
    const two = await stored.client().responses.create({ ...kept, input: 'Say hello again' })
    await stored.client().responses.delete(one.id)
    expect(await thrown(stored.client().responses.retrieve(one.id))).toBeInstanceOf(OpenAI.NotFoundError)
    stored.clock.advance(DAY_MS)
    expect(await thrown(stored.client().responses.retrieve(two.id))).toBeInstanceOf(OpenAI.NotFoundError)
    const next = stored.client().responses.create({ model: MODEL, input: 'x', previous_response_id: two.id })
    expect(await thrown(next)).toMatchObject({ status: 404, param: 'previous_response_id' })
    expect(stored.world.driver.asks).toHaveLength(2)
  })

  it('is its own key’s alone', async () => {
    const { id } = await stored.client().responses.create({ ...kept, input: 'Say hello' })
    const other = stored.client(await stored.newKey(true))
    expect(await thrown(other.responses.retrieve(id))).toMatchObject({ status: 404 })
    expect(await thrown(other.responses.create({ model: MODEL, input: 'x', previous_response_id: id }))).toMatchObject({ status: 404 })
  })

  it('stands in the store sealed', async () => {
    stored.world.driver.play = (ask) => answerWith(ask, ['quaggaberry'])
    const { id } = await stored.client().responses.create({ ...kept, input: 'zanzibarquux', metadata: { note: 'plinkersnoot' } })
    await stored.stop()
    for (const marker of ['zanzibarquux', 'quaggaberry', 'plinkersnoot']) expect(stored.filesWith(marker), marker).toEqual([])
    expect(stored.filesWith(id)).not.toEqual([])
    await stored.start()
  })
})

describe('nothing is kept', () => {
  it('where a request does not say so', async () => {
    for (const more of [{}, { store: false }]) {
      const { id, store } = (await stored.client().responses.create({ model: MODEL, input: 'x', ...more })) as OpenAI.Responses.Response & {
        store: boolean
      }
      expect(store).toBe(false)
      expect(await thrown(stored.client().responses.retrieve(id))).toMatchObject({ status: 404 })
    }
  })

  it.each([
    ['store', { store: true }],
    ['previous_response_id', { previous_response_id: 'resp_1' }],
  ])('for a key that was not made for it: %s', async (param, more) => {
    const other = stored.client(await stored.newKey())
    const error = await thrown(other.responses.create({ model: MODEL, input: 'x', ...more }))
    expect(error).toMatchObject({ status: 403, param, code: 'storage_off' })
    expect(stored.world.driver.asks).toEqual([])
  })

  it('of an answer that broke off', async () => {
    stored.world.driver.play = (ask) => {
      ask.admit()
      ask.say('zanzibarquux')
      ask.fail('timeout')
    }
    expect(await thrown(stored.client().responses.create({ ...kept, input: 'x' }))).toMatchObject({ status: 503 })
    const [keyId = ''] = stored.key.split('_').slice(1)
    const listing = { kinds: ['response'], after: null, limit: 9, newestFirst: true } as const
    expect(await stored.store.sealed.list(keyId, listing)).toEqual([])
  })
})
