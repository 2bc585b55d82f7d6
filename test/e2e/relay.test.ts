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
import { askInChat, lastAnswer, waitForStatus } from './chatPage.ts'

const TIMEOUT_MS = 240_000
const QUESTION = 'What is the capital of France?'
/** A browser whose owner has switched WebRTC off; `cutRelays` breaks its sockets at the relay. */
const WITHOUT_WEBRTC = `delete globalThis.RTCPeerConnection
const relays = []
globalThis.WebSocket = class extends WebSocket {
  constructor(url) { super(url); if (url.includes('/relay')) relays.push(this) }
}
globalThis.cutRelays = () => { for (const socket of relays.splice(0)) socket.close() }`
/** A network that no packet of WebRTC leaves: over TURN alone, and there is none. */
const WITHOUT_A_PATH = `globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) { super({ ...configuration, iceTransportPolicy: 'relay' }) }
}`

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

/** Two volunteers, each with one half of the model; the second page runs the script first. */
async function openSwarm(paths: Partial<PathOptions>, initScript = ''): Promise<Swarm> {
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
  const volunteers = await Promise.all(
    ['', initScript].map((script) =>
      openVolunteerTab(browser, { url: server.url, latencyMs: 0, pledgeMb, engine: 'wasm', initScript: script }),
    ),
  )
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

/** From the driver to the first stage, from there to the second, from there back to the driver. */
const hops = ({ firstLink, stages }: Answer) => [firstLink, ...stages.map(({ link }) => link.kind)]

describe('where one of two volunteers has no direct path to anybody', () => {
  let swarm: Swarm
  beforeAll(async () => {
    swarm = await openSwarm({}, WITHOUT_A_PATH)
  })
  afterAll(() => swarm?.close())

  it('[L9] an answer is right over the relay on its hops, and the page says which those are', async () => {
    const { page, close } = await openRequesterTab(browser, { url: swarm.server.url, latencyMs: 0 })
    await askInChat(page, QUESTION)
    await waitForStatus(page, 'done')
    expect(await lastAnswer(page).innerText()).toContain('Paris')
    const route = await page.getByTestId('route-panel').first().innerText()
    expect([route.match(/relay, sealed/g)?.length, route.match(/webrtc/g)?.length]).toEqual([2, 1])
    await page.goto(new URL('/', swarm.server.url).href)
    await page.getByTestId('network-reach').waitFor({ timeout: 30_000 })
    expect(await page.getByTestId('network-reach').innerText()).toMatch(/only tabs of one network connect directly/i)
    await close()
  })

  it('[L5] [L9] a browser without WebRTC asks all the same, over the relay on every hop, and goes on when that breaks', async () => {
    const tab = await openRequesterTab(browser, { url: swarm.server.url, latencyMs: 0, initScript: WITHOUT_WEBRTC })
    const answer = await tab.ask(swarm.request, () => undefined)
    expect(answer.text).toContain('Paris')
    expect(hops(answer)).toEqual(['relay', 'relay', 'relay'])
    expect(answer.dataPath).toBe('relay')
    let isCut = false
    const repaired = await tab.ask(swarm.request, ({ completionTokens }) => {
      if (isCut || completionTokens < 2) return
      isCut = true
      void tab.page.evaluate('cutRelays()')
    })
    expect(repaired.repairs.length).toBeGreaterThan(0)
    expect([repaired.completionTokenIds, hops(repaired)]).toEqual([answer.completionTokenIds, ['relay', 'relay', 'relay']])
    await tab.close()
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
    const tab = await openRequesterTab(browser, { url: swarm.server.url, latencyMs: 0 })
    const answer = await tab.ask(swarm.request, () => undefined)
    expect(answer.text).toContain('Paris')
    expect(hops(answer)).toEqual(['turn', 'turn', 'turn'])
    expect(answer.dataPath).toBe('turn')
    await tab.close()
  })
})
