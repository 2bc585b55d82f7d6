/** Calls of tools, and answers held to schemas, through the helpers of real clients: `openai`, the AI SDK and LangChain. */

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { tool as chainTool } from '@langchain/core/tools'
import { ChatOpenAI } from '@langchain/openai'
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterEach, beforeEach, expect, it } from 'vitest'
import * as z from 'zod'
import { answerWith, type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const CITY = { type: 'object' as const, properties: { city: { type: 'string' as const } }, required: ['city'], additionalProperties: false }
const CALL = ['<tool', '_call>\n{"name": "weather", "argu', 'ments": {"city"', ': "Rome"}}\n</tool_call>']
const definition = { type: 'function', function: { name: 'weather', description: 'The weather', parameters: { ...CITY } } } as const
const messages = [{ role: 'user', content: 'How is Rome?' }] as const

/** The first question is answered by a call, those after it by what came of it. */
function callFirst(): void {
  world.driver.play = (ask) => answerWith(ask, world.driver.asks[0] === ask ? CALL : ['It is ', 'sunny.'])
}

const client = () => new OpenAI({ baseURL: world.baseUrl, apiKey: KEY, maxRetries: 0, fetch: world.fetch })
const provider = () => createOpenAICompatible({ name: 'tabswarm', baseURL: world.baseUrl, apiKey: KEY, fetch: world.fetch })
const chat = () =>
  new ChatOpenAI({ model: MODEL, apiKey: KEY, maxRetries: 0, configuration: { baseURL: world.baseUrl, fetch: world.fetch } })

it('openai: an answer is its calls', async () => {
  callFirst()
  const { choices } = await client().chat.completions.create({
    model: MODEL,
    messages: [...messages],
    tools: [definition],
    tool_choice: 'required',
  })
  expect(choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: { content: null, tool_calls: [{ type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } }] },
  })
})

it('openai: calls are streamed as they come', async () => {
  callFirst()
  const stream = await client().chat.completions.create({ model: MODEL, messages: [...messages], tools: [definition], stream: true })
  const deltas = []
  const reasons = []
  for await (const { choices } of stream) {
    deltas.push(...(choices[0]?.delta.tool_calls ?? []))
    if (choices[0]?.finish_reason) reasons.push(choices[0].finish_reason)
  }
  expect(deltas.map(({ function: called }) => called?.name)).toEqual(['weather', undefined])
  expect(deltas.map(({ function: called }) => called?.arguments).join('')).toBe('{"city": "Rome"}')
  expect(new Set(deltas.map(({ index }) => index))).toEqual(new Set([0]))
  expect(reasons).toEqual(['tool_calls'])
})

it('openai: runTools calls the function, and goes on with what it says', async () => {
  callFirst()
  const runner = client().chat.completions.runTools({
    ...{ model: MODEL, messages: [...messages] },
    tools: [
      {
        type: 'function',
        function: { ...definition.function, parse: JSON.parse, function: async ({ city }: { city: string }) => `sunny in ${city}` },
      },
    ],
  })
  expect(await runner.finalContent()).toBe('It is sunny.')
  const { id } = required(world.driver.asks[1]?.request.prompt)
  expect(world.driver.asks[1]?.request.prompt).toMatchObject({
    messages: [
      ...messages,
      { role: 'assistant', toolCalls: [{ id, name: 'weather', arguments: { city: 'Rome' } }] },
      { role: 'tool', content: 'sunny in Rome', toolCallId: id, name: 'weather' },
    ],
  })
})

/** The first call of a conversation. */
function required(prompt: unknown): { readonly id: string } {
  const { messages: said = [] } = (prompt ?? {}) as { messages?: readonly { readonly toolCalls?: readonly { readonly id: string }[] }[] }
  const call = said.flatMap(({ toolCalls = [] }) => toolCalls)[0]
  if (call === undefined) throw new Error('nothing was called')
  return call
}

it('openai: parse reads an answer that is held to a schema', async () => {
  world.driver.play = (ask) => answerWith(ask, ['{"city":', ' "Rome"}'])
  const response_format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: { ...CITY } } } as const
  const { choices } = await client().chat.completions.parse({ model: MODEL, messages: [...messages], response_format })
  expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual({ city: 'Rome' })
  expect(world.driver.asks[0]?.request.grammar).toContain('city')
})

it('openai: the helpers of zod are read in both directions', async () => {
  const place = z.object({ city: z.string() })
  world.driver.play = (ask) => answerWith(ask, world.driver.asks[0] === ask ? ['{"city": "Rome"}'] : CALL)
  const asked = { model: MODEL, messages: [...messages] }
  const held = await client().chat.completions.parse({ ...asked, response_format: zodResponseFormat(place, 'place') })
  expect(held.choices[0]?.message.parsed).toEqual({ city: 'Rome' })
  const called = await client().chat.completions.parse({ ...asked, tools: [zodFunction({ name: 'weather', parameters: place })] })
  expect(called.choices[0]?.message.tool_calls?.[0]?.function.parsed_arguments).toEqual({ city: 'Rome' })
  expect(world.driver.asks.map(({ request }) => request.grammar?.includes('city') ?? false)).toEqual([true, false])
})

it('AI SDK: a tool runs, whole and streamed', async () => {
  const weather = tool({
    description: 'The weather',
    inputSchema: jsonSchema<{ city: string }>({ ...CITY }),
    execute: async ({ city }) => `sunny in ${city}`,
  })
  const asked = { model: provider()(MODEL), prompt: 'How is Rome?', tools: { weather }, stopWhen: stepCountIs(3) }
  callFirst()
  const { text, steps } = await generateText(asked)
  expect(text).toBe('It is sunny.')
  expect(steps[0]?.toolResults).toMatchObject([{ toolName: 'weather', input: { city: 'Rome' }, output: 'sunny in Rome' }])
  const before = world.driver.asks.length
  world.driver.play = (ask) => answerWith(ask, world.driver.asks[before] === ask ? CALL : ['It is sunny.'])
  expect(await streamText(asked).text).toBe('It is sunny.')
})

it('AI SDK: generateObject gives an object of the schema', async () => {
  world.driver.play = (ask) => answerWith(ask, ['{"city": "Rome"}'])
  const model = createOpenAICompatible({
    name: 'tabswarm',
    baseURL: world.baseUrl,
    apiKey: KEY,
    fetch: world.fetch,
    supportsStructuredOutputs: true,
  })(MODEL)
  const { object } = await generateObject({ model, prompt: 'Which city?', schema: jsonSchema<{ city: string }>({ ...CITY }) })
  expect(object).toEqual({ city: 'Rome' })
  expect(world.driver.asks[0]?.request.grammar).toContain('city')
})

it('LangChain: bound tools are called, and structured output is read', async () => {
  callFirst()
  const weather = chainTool(async () => 'sunny', { name: 'weather', description: 'The weather', schema: { ...CITY } })
  const { tool_calls } = await chat().bindTools([weather]).invoke('How is Rome?')
  expect(tool_calls).toMatchObject([{ name: 'weather', args: { city: 'Rome' } }])
  for (const method of ['jsonSchema', 'functionCalling'] as const) {
    world.driver.play = (ask) =>
      answerWith(
        ask,
        method === 'jsonSchema' ? ['{"city": "Rome"}'] : ['<tool_call>\n{"name": "place", "arguments": {"city": "Rome"}}\n</tool_call>'],
      )
    expect(
      await chat()
        .withStructuredOutput({ ...CITY }, { name: 'place', method })
        .invoke('Which city?'),
    ).toEqual({ city: 'Rome' })
    expect(world.driver.asks.at(-1)?.request.grammar, method).toContain('city')
  }
})

it('a choice that ends before the others says so at once', async () => {
  world.driver.play = (ask) => {
    ask.admit()
    ask.say('said')
    if (ask.request.sampling.seed === 3) ask.finish()
  }
  const stream = await client().chat.completions.create({ model: MODEL, messages: [...messages], seed: 3, n: 2, stream: true })
  const reasons: string[] = []
  for await (const { choices } of stream) {
    if (choices[0]?.finish_reason) reasons.push(`${choices[0].index} ${choices[0].finish_reason}`)
    if (reasons.length === 1) world.driver.asks[1]?.finish('length')
  }
  expect(reasons).toEqual(['0 stop', '1 length'])
})
