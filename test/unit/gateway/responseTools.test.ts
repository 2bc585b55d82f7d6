/** Calls of functions and answers held to schemas in the words of the Responses API, with the `openai` package and its helpers. */

import OpenAI from 'openai'
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { required } from '../../../src/shared/index.ts'
import { answerWith, type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const client = () => new OpenAI({ baseURL: world.baseUrl, apiKey: KEY, maxRetries: 0, fetch: world.fetch })
const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
const tool = { type: 'function', name: 'weather', description: 'The weather', parameters: CITY, strict: true } as const
const question = { model: MODEL, input: 'How is Rome?', tools: [tool] }
const CALL = ['<tool', '_call>\n{"name": "weather", "argu', 'ments": {"city"', ': "Rome"}}\n</tool_call>']
const CALLED = { type: 'function_call', name: 'weather', arguments: '{"city": "Rome"}' }

const asked = (index: number) => required(world.driver.asks[index], 'a question')

async function refused(more: object) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ ...question, ...more })
  const response = await world.fetch(`${world.baseUrl}/responses`, { method: 'POST', headers, body })
  return { status: response.status, error: (await response.json()).error }
}

describe('a response with tools', () => {
  it('has its calls as items, and repeats what may be called', async () => {
    world.driver.play = (ask) => answerWith(ask, CALL)
    const { output, status, tools, tool_choice } = await client().responses.create({ ...question, tool_choice: 'required' })
    expect([status, tool_choice, tools]).toEqual(['completed', 'required', [tool]])
    expect(output).toEqual([{ ...CALLED, status: 'completed', id: expect.any(String), call_id: expect.any(String) }])
    const { prompt, grammar } = asked(0).request
    const definition = { type: 'function', function: { name: 'weather', description: 'The weather', parameters: CITY } }
    expect(prompt).toEqual({ kind: 'messages', messages: [{ role: 'user', content: 'How is Rome?' }], tools: [definition] })
    expect(grammar).toContain('weather')
  })

  it('streams the arguments of several calls, each as it comes, behind what is said before', async () => {
    const second = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
    world.driver.play = (ask) => answerWith(ask, ['Let me see. ', ...CALL, second])
    const types: string[] = []
    const deltas: Record<number, string> = {}
    let last: OpenAI.Responses.ResponseStreamEvent | null = null
    for await (const event of await client().responses.create({ ...question, stream: true })) {
      types.push(event.type.replace('response.', ''))
      if (event.type === 'response.function_call_arguments.delta')
        deltas[event.output_index] = (deltas[event.output_index] ?? '') + event.delta
      last = event
    }
    expect(deltas).toEqual({ 1: '{"city": "Rome"}', 2: '{"city": "Oslo"}' })
    expect(types.filter((type) => !type.endsWith('.delta'))).toEqual([
      ...['created', 'in_progress', 'output_item.added', 'content_part.added', 'output_item.added', 'output_item.added'],
      ...['output_text.done', 'content_part.done', 'output_item.done'],
      ...['function_call_arguments.done', 'output_item.done', 'function_call_arguments.done', 'output_item.done', 'completed'],
    ])
    if (last?.type !== 'response.completed') throw new Error(`it ended by ${last?.type}`)
    expect(last.response.output).toMatchObject([
      { type: 'message', content: [{ text: 'Let me see. ' }] },
      CALLED,
      { ...CALLED, arguments: '{"city": "Oslo"}' },
    ])
  })

  it('is put together by the client’s own helper, without a message where nothing is said', async () => {
    world.driver.play = (ask) => answerWith(ask, CALL)
    const stream = client().responses.stream(question)
    let snapshot = ''
    stream.on('response.function_call_arguments.delta', (event) => {
      snapshot = event.snapshot
    })
    expect((await stream.finalResponse()).output).toMatchObject([CALLED])
    expect(snapshot).toBe('{"city": "Rome"}')
  })

  it('goes on from its own output and what came of the call', async () => {
    world.driver.play = (ask) => answerWith(ask, world.driver.asks[0] === ask ? ['One moment.', ...CALL] : ['It is sunny.'])
    const first = await client().responses.create(question)
    const call = required(
      first.output.find((item) => item.type === 'function_call'),
      'a call',
    )
    const input = [...first.output, { type: 'function_call_output' as const, call_id: call.call_id, output: 'sunny' }]
    const { output_text } = await client().responses.create({ ...question, input: input as OpenAI.Responses.ResponseInput })
    expect(output_text).toBe('It is sunny.')
    const toolCalls = [{ id: call.call_id, name: 'weather', arguments: { city: 'Rome' } }]
    expect(world.driver.asks[1]?.request.prompt).toMatchObject({
      messages: [
        { role: 'assistant', content: 'One moment.', toolCalls },
        { role: 'tool', content: 'sunny', toolCallId: call.call_id, name: 'weather' },
      ],
    })
  })

  it('is incomplete where a call was cut', async () => {
    world.driver.play = (ask) => answerWith(ask, CALL.slice(0, 3), 'length')
    const { status, output } = await client().responses.create(question)
    expect([status, output]).toMatchObject(['incomplete', [{ ...CALLED, arguments: '{"city"', status: 'incomplete' }]])
  })

  it('calls no more than one at a time where the client says so, and none where it says that', async () => {
    world.driver.play = (ask) => answerWith(ask, [...CALL, ...CALL])
    const one = await client().responses.create({ ...question, parallel_tool_calls: false })
    expect([one.output.length, one.parallel_tool_calls]).toEqual([1, false])
    world.driver.play = (ask) => answerWith(ask, ['Fine.'])
    await client().responses.create({ ...question, tool_choice: 'none' })
    expect(asked(1).request.prompt).not.toHaveProperty('tools')
  })

  it.each<[string, object, string]>([
    ['a tool that there is not', { tool_choice: { type: 'function', name: 'time' } }, 'tool_choice'],
    ['two tools of one name', { tools: [tool, tool] }, 'tools.1.name'],
    ['a name with a space', { tools: [{ ...tool, name: 'a b' }] }, 'tools.0.name'],
    [
      'a schema that nothing satisfies',
      { tools: [{ ...tool, parameters: { type: 'wrong' } }], tool_choice: 'required' },
      'tools.0.parameters.type',
    ],
  ])('refuses %s by its place', async (_what, more, param) => {
    expect(await refused(more)).toMatchObject({ status: 400, error: { param } })
  })

  it('is parsed by the helper for functions', async () => {
    world.driver.play = (ask) => answerWith(ask, CALL)
    const tools = [zodResponsesFunction({ name: 'weather', parameters: z.object({ city: z.string() }) })]
    const { output } = await client().responses.parse({ model: MODEL, input: 'How is Rome?', tools, tool_choice: 'required' })
    expect(output).toMatchObject([{ name: 'weather', parsed_arguments: { city: 'Rome' } }])
  })
})

describe('a response with a format', () => {
  it('is held to a schema, repeats it, and is parsed by the helper', async () => {
    world.driver.play = (ask) => answerWith(ask, ['{"city": ', '"Rome"}'])
    const format = zodTextFormat(z.object({ city: z.string() }), 'place')
    const { output_parsed, text } = await client().responses.parse({ model: MODEL, input: 'Where?', text: { format } })
    expect(output_parsed).toEqual({ city: 'Rome' })
    expect(text?.format).toMatchObject({ type: 'json_schema', name: 'place', schema: { required: ['city'] } })
    expect(world.driver.asks[0]?.request.grammar).toContain('city')
  })

  it('may be any object', async () => {
    world.driver.play = (ask) => answerWith(ask, ['{}'])
    await client().responses.create({ model: MODEL, input: 'x', text: { format: { type: 'json_object' } } })
    expect(world.driver.asks[0]?.request.grammar).not.toBeNull()
  })

  it('is refused by the place of what is wrong in it', async () => {
    const format = { type: 'json_schema', name: 'x', schema: { type: 'object', properties: { a: { type: 'wrong' } } } }
    expect(await refused({ tools: [], text: { format } })).toMatchObject({
      status: 400,
      error: { param: 'text.format.schema.properties.a.type', code: 'invalid_schema' },
    })
  })
})
