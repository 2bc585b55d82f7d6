/** LangChain's `@langchain/openai` against the API. */

import { HumanMessage, SystemMessage } from '@langchain/core/messages'
import { ChatOpenAI, OpenAI } from '@langchain/openai'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { answerWith, type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const fields = () => ({ model: MODEL, apiKey: KEY, maxRetries: 0, configuration: { baseURL: world.baseUrl, fetch: world.fetch } })

it('invokes a chat model', async () => {
  const chat = new ChatOpenAI({ ...fields(), temperature: 0.2, maxTokens: 12, stop: ['END'] })
  const { content, usage_metadata, response_metadata } = await chat.invoke([new SystemMessage('Be brief'), new HumanMessage('Say hello')])
  expect(content).toBe('Hello, world')
  expect(usage_metadata).toMatchObject({ input_tokens: 7, output_tokens: 3, total_tokens: 10 })
  expect(response_metadata).toMatchObject({ finish_reason: 'stop' })
  expect(world.driver.asks[0]?.request).toMatchObject({ maxTokens: 12, stop: ['END'], sampling: { temperature: 0.2 } })
})

it('streams a chat model, with the usage at its end', async () => {
  const texts = []
  const usages: unknown[] = []
  for await (const { content, usage_metadata } of await new ChatOpenAI(fields()).stream('Say hello')) {
    texts.push(content)
    if (usage_metadata !== undefined) usages.push(usage_metadata)
  }
  expect(texts.join('')).toBe('Hello, world')
  expect(usages).toMatchObject([{ input_tokens: 7, output_tokens: 3, total_tokens: 10 }])
  expect(world.fetch.seen.chunks).toBe(7)
})

it('completes a text', async () => {
  expect(await new OpenAI(fields()).invoke('Once upon')).toBe('Hello, world')
  expect(world.driver.asks[0]?.request.prompt).toEqual({ kind: 'raw', text: 'Once upon' })
})

it('retries what passes, and throws what stays', async () => {
  world.driver.play = (ask) => {
    if (world.driver.asks.length < 2) ask.fail('no-volunteers', 'nobody serves it', 1_000)
    else answerWith(ask, ['now'])
  }
  expect((await new ChatOpenAI({ ...fields(), maxRetries: 1 }).invoke('Say hello')).content).toBe('now')
  world.driver.play = (ask) => ask.fail('over-budget', 'the budget of this key is spent')
  await expect(new ChatOpenAI({ ...fields(), maxRetries: 1 }).invoke('Say hello')).rejects.toMatchObject({ status: 402 })
  expect(world.driver.asks).toHaveLength(3)
})
