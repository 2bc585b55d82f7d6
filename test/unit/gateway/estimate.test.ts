/** What a request may cost and wait for, asked before it is made. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answerWith, type GatewayWorld, KEY, MODEL, startGatewayWorld } from './world.ts'

let world: GatewayWorld
beforeEach(async () => {
  world = await startGatewayWorld()
})
afterEach(async () => {
  await world.close()
  expect(world.fetch.seen.faults).toEqual([])
})

const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
async function send(path: string, body: object) {
  const response = await world.fetch(`${world.baseUrl}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}
const estimate = (body: object) => send('/estimate', { model: MODEL, ...body })
const chat = { messages: [{ role: 'user', content: 'one two three' }] }

describe('an estimate', () => {
  it('is of the whole answer where none was given yet, by tier and for each choice', async () => {
    expect(await estimate({ ...chat, max_tokens: 10 })).toEqual({
      status: 200,
      body: {
        promptTokens: 3,
        maxTokens: 10,
        expectedTokens: 10,
        holdCredits: '0.000206',
        expectedCredits: '0.000206',
        waitMs: 0,
        policySatisfied: true,
      },
    })
    expect(await estimate({ ...chat, max_tokens: 10, service_tier: 'flex', n: 3 })).toMatchObject({ body: { holdCredits: '0.000309' } })
    expect(world.driver.asks).toEqual([])
    expect(world.accounts.payments).toEqual([])
  })

  it('expects what answers have had in the middle, and no more than is asked for', async () => {
    for (const tokens of [2, 4, 400]) {
      world.driver.play = (ask) =>
        answerWith(
          ask,
          Array.from({ length: tokens }, () => 'x'),
        )
      expect((await send('/chat/completions', { model: MODEL, ...chat })).status).toBe(200)
    }
    expect(await estimate({ ...chat, max_tokens: 10 })).toMatchObject({
      body: { expectedTokens: 4, expectedCredits: '0.000086', holdCredits: '0.000206' },
    })
    expect(await estimate({ ...chat, max_tokens: 3 })).toMatchObject({ body: { expectedTokens: 3 } })
  })

  it('reads completions too, and says where the context leaves less', async () => {
    expect(await estimate({ prompt: [1, 2, 3, 4], max_tokens: 2 })).toMatchObject({ body: { promptTokens: 4, maxTokens: 2 } })
    expect(await estimate({ messages: [{ role: 'user', content: 'x '.repeat(2_000) }] })).toMatchObject({ body: { maxTokens: 47 } })
    expect(await estimate({ messages: [{ role: 'user', content: 'x '.repeat(3_000) }] })).toMatchObject({
      status: 400,
      body: { error: { code: 'context_length_exceeded' } },
    })
  })

  it('does not know how long a wait is that there is, nor whether layers come that nobody serves', async () => {
    world.swarm.hasRoom = false
    expect(await estimate(chat)).toMatchObject({ body: { waitMs: null, policySatisfied: true } })
    world.swarm.layersCovered = 3
    expect(await estimate(chat)).toMatchObject({ body: { waitMs: null, policySatisfied: false } })
  })

  it('is refused as the request itself would be', async () => {
    expect(await estimate({ ...chat, audio: {} })).toMatchObject({ status: 400, body: { error: { param: 'audio' } } })
    expect(await send('/estimate', { model: 'gpt-4', ...chat })).toMatchObject({ status: 404 })
    headers.authorization = 'Bearer key-of-others'
    expect(await estimate(chat)).toMatchObject({ status: 403 })
    headers.authorization = `Bearer ${KEY}`
  })
})
