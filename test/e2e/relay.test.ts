/**
 * Every pair connects: real tabs with the real model, without a direct path between some or all of them. The answer is right over the
 * coordinator's relay and over TURN, and the page says which way each hop took.
 */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openRequesterTab, openVolunteerTab, resolveModel } from '../../src/node/index.ts'
import type { Answer, AskRequest } from '../../src/peer/index.ts'
import { createServer, type PathOptions, type Server, smallestPledgeBytes } from '../../src/server.ts'
import { startTurnServer, turnObstacle } from '../support/turnServer.ts'

const TIMEOUT_MS = 240_000
const QUESTION = 'What is the capital of France?'
/** A browser whose owner has switched WebRTC off. */
const WITHOUT_WEBRTC = 'delete globalThis.RTCPeerConnection'

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium({ webGpu: false })
})
afterAll(() => browser?.close())

interface Swarm {
  readonly server: Server
  readonly request: AskRequest
  close(): Promise<void>
}

/** Two volunteers, each with one half of the model. */
async function openSwarm(paths: Partial<PathOptions>): Promise<Swarm> {
  const model = await resolveModel('default')
  const { manifest } = model.hashedManifest
  const server = await createServer({
    host: '127.0.0.1',
    port: 0,
    models: [model],
    minStages: 2,
    webRoot: await ensureWebApp(() => undefined),
    paths,
  })
  const pledgeMb = Math.ceil(smallestPledgeBytes(manifest, 2, 0, 'unpacked') / 1e6)
  const open = () => openVolunteerTab(browser, { url: server.url, latencyMs: 0, pledgeMb, engine: 'wasm' })
  const volunteers = await Promise.all([open(), open()])
  await Promise.all(volunteers.map((tab) => tab.serving(TIMEOUT_MS)))
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, stop: [] }
  return {
    server,
    request: {
      modelId: manifest.id,
      prompt: { kind: 'messages', messages: [{ role: 'user', content: QUESTION }] },
      maxTokens: 12,
      sampling,
    },
    async close() {
      await Promise.all(volunteers.map((tab) => tab.close()))
      await server.close()
    },
  }
}

async function ask({ server, request }: Swarm, initScript?: string): Promise<Answer> {
  const tab = await openRequesterTab(browser, { url: server.url, latencyMs: 0, ...(initScript === undefined ? {} : { initScript }) })
  try {
    return await tab.ask(request, () => undefined)
  } finally {
    await tab.close()
  }
}

/** From the driver to the first stage, from there to the second, from there back to the driver. */
const hops = ({ firstLink, stages }: Answer) => [firstLink, ...stages.map(({ link }) => link.kind)]

describe('where nobody has a direct path', () => {
  let swarm: Swarm
  beforeAll(async () => {
    // Over TURN alone, and there is none.
    swarm = await openSwarm({ iceTransportPolicy: 'relay' })
  })
  afterAll(() => swarm?.close())

  it('[L9] an answer is right over the relay on every hop, and the page says so', async () => {
    const { page, close } = await openRequesterTab(browser, { url: swarm.server.url, latencyMs: 0 })
    await page.getByTestId('chat-input').fill(QUESTION)
    await page.getByTestId('chat-send').click()
    await page.locator('[data-testid=chat-answer][data-status=done]').waitFor({ timeout: TIMEOUT_MS, state: 'attached' })
    expect(await page.getByTestId('chat-answer').innerText()).toContain('Paris')
    const route = await page.getByTestId('route-panel').first().innerText()
    expect(route.match(/relay, sealed/g)).toHaveLength(3)
    expect(route).not.toContain('webrtc')
    await page.goto(new URL('/', swarm.server.url).href)
    await page.getByTestId('network-reach').waitFor({ timeout: 30_000 })
    expect(await page.getByTestId('network-reach').innerText()).toMatch(/only tabs of one network connect directly/i)
    await close()
  })
})

describe('where the requester’s browser has no WebRTC', () => {
  let swarm: Swarm
  beforeAll(async () => {
    swarm = await openSwarm({})
  })
  afterAll(() => swarm?.close())

  it('[L9] only its own hops are relayed', async () => {
    const answer = await ask(swarm, WITHOUT_WEBRTC)
    expect(answer.text).toContain('Paris')
    expect(hops(answer)).toEqual(['relay', 'webrtc', 'relay'])
    expect(answer.dataPath).toBe('relay')
    const direct = await ask(swarm)
    expect([direct.completionTokenIds, hops(direct)]).toEqual([answer.completionTokenIds, ['webrtc', 'webrtc', 'webrtc']])
  })
})

const obstacle = turnObstacle()
if (obstacle !== null) console.warn(`TURN is not tested: ${obstacle}`)

describe.skipIf(obstacle !== null)('where only a TURN server lies between', () => {
  let swarm: Swarm
  let turn: Awaited<ReturnType<typeof startTurnServer>>
  beforeAll(async () => {
    turn = await startTurnServer()
    swarm = await openSwarm({ iceTransportPolicy: 'relay', turn })
  })
  afterAll(async () => {
    await swarm?.close()
    turn?.close()
  })

  it('[L10] every hop goes over it, with the credentials that the coordinator gave, and says so', async () => {
    const answer = await ask(swarm)
    expect(answer.text).toContain('Paris')
    expect(hops(answer)).toEqual(['turn', 'turn', 'turn'])
    expect(answer.dataPath).toBe('turn')
  })
})
