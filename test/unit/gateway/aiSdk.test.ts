/** The AI SDK (`ai` with `@ai-sdk/openai-compatible`) against the API. */

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, streamText } from 'ai'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type GatewayWorld, KEY, MODEL, startGatewayWorld, until } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const provider = () =>
  createOpenAICompatible({ name: 'tabswarm', baseURL: world.baseUrl, apiKey: KEY, fetch: world.fetch, includeUsage: true })

it('generates a text', async () => {
  const { text, finishReason, usage } = await generateText({
    model: provider()(MODEL),
    system: 'Be brief',
    prompt: 'Say hello',
    temperature: 0.3,
    topP: 0.8,
    seed: 4,
    maxOutputTokens: 9,
    stopSequences: ['END'],
  })
  expect([text, finishReason]).toEqual(['Hello, world', 'stop'])
  expect(usage).toMatchObject({ inputTokens: 7, outputTokens: 3, totalTokens: 10 })
  expect(world.driver.asks[0]?.request).toMatchObject({
    prompt: {
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'Say hello' },
      ],
    },
    sampling: { temperature: 0.3, topP: 0.8, seed: 4 },
    maxTokens: 9,
    stop: ['END'],
  })
})

it('streams a text, and its usage', async () => {
  const { textStream, usage, finishReason } = streamText({ model: provider()(MODEL), prompt: 'Say hello' })
  const texts = []
  for await (const text of textStream) texts.push(text)
  expect(texts).toEqual(['Hello', ', ', 'world'])
  expect(await finishReason).toBe('stop')
  expect(await usage).toMatchObject({ inputTokens: 7, outputTokens: 3 })
  expect(world.fetch.seen.chunks).toBe(7)
})

it('completes a text', async () => {
  const { text } = await generateText({ model: provider().completionModel(MODEL), prompt: 'Once upon' })
  expect(text).toBe('Hello, world')
  expect(world.driver.asks[0]?.request.prompt).toMatchObject({ kind: 'raw' })
})

it('knows an error that stays from one that passes', async () => {
  const failing = async (reason: string) => {
    world.driver.play = (ask) => ask.fail(reason, `failed: ${reason}`)
    return generateText({ model: provider()(MODEL), prompt: 'Say hello', maxRetries: 0 }).catch((thrown: unknown) => thrown)
  }
  const [stays, passes] = [await failing('prompt-too-long'), await failing('no-volunteers')]
  expect([APICallError.isInstance(stays), APICallError.isInstance(passes)]).toEqual([true, true])
  expect(stays).toMatchObject({ statusCode: 400, isRetryable: false, message: 'failed: prompt-too-long' })
  expect(passes).toMatchObject({ statusCode: 503, isRetryable: true, message: 'failed: no-volunteers' })
})

it('is told in its stream that the answer broke off', async () => {
  world.driver.play = (ask) => {
    ask.admit()
    ask.say('Once')
    ask.fail('timeout', 'the tabs were silent')
  }
  const parts: { type: string }[] = []
  const { fullStream } = streamText({ model: provider()(MODEL), prompt: 'Say hello', onError: () => undefined })
  for await (const part of fullStream) parts.push(part)
  expect(parts.map(({ type }) => type)).toContain('error')
})

it('stops the driver when it is aborted', async () => {
  world.driver.play = (ask) => {
    ask.admit()
    ask.say('Once')
  }
  const controller = new AbortController()
  const { textStream } = streamText({
    model: provider()(MODEL),
    prompt: 'Say hello',
    abortSignal: controller.signal,
    onError: () => undefined,
  })
  for await (const text of textStream) if (text === 'Once') controller.abort()
  const ask = await world.driver.asked()
  await until(() => ask.isStopped)
})
