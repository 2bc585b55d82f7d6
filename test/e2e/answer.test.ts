/**
 * The product as a person uses it: real tabs, the real model, real WebRTC. Two volunteers press the button, a third tab types a
 * question into the chat and reads the answer; nothing but the coordinator's own origin is contacted.
 */

import type { Browser, Page, Request } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openRequesterTab, openVolunteerTab, resolveModel, type VolunteerTab } from '../../src/node/index.ts'
import { createServer, type Server, smallestPledgeBytes } from '../../src/server.ts'

const SERVING_TIMEOUT_MS = 240_000
const ANSWER_TIMEOUT_MS = 240_000

let server: Server
let browser: Browser
let pledgeMb: number
const foreignRequests: string[] = []

function watchRequests(page: Page): void {
  page.on('request', (request: Request) => {
    const { origin } = new URL(request.url().replace(/^ws/, 'http'))
    if (!request.url().startsWith('blob:') && !request.url().startsWith('data:') && origin !== new URL(server.url).origin)
      foreignRequests.push(request.url())
  })
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== new URL(server.url).host) foreignRequests.push(socket.url())
  })
}

beforeAll(async () => {
  const model = await resolveModel('default', () => undefined)
  pledgeMb = Math.ceil(smallestPledgeBytes(model.hashedManifest.manifest, 2) / 1e6)
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 2, webRoot })
  browser = await launchChromium()
  browser.on('disconnected', () => undefined)
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

describe('one answer by several tabs', () => {
  let volunteers: VolunteerTab[]

  it('tells a requester of an empty network what to do', async () => {
    const requester = await openRequesterTab(browser, { url: server.url, engine: 'webgpu', latencyMs: 0 })
    await requester.page.getByTestId('chat-input').fill('Hello?')
    await requester.page.getByTestId('chat-send').click()
    await requester.page
      .getByText(/nobody is contributing|no volunteers|no tab/i)
      .first()
      .waitFor({ timeout: 30_000 })
    await requester.close()
  })

  it('loads a span in each of two tabs after the button, and shows them serving', async () => {
    const tab = { url: server.url, engine: 'webgpu', latencyMs: 0, pledgeMb } as const
    volunteers = await Promise.all([openVolunteerTab(browser, tab), openVolunteerTab(browser, tab)])
    for (const { page } of volunteers) watchRequests(page)
    await Promise.all(volunteers.map((volunteer) => volunteer.serving(SERVING_TIMEOUT_MS)))
    const spans = await Promise.all(volunteers.map(({ page }) => page.evaluate(servedSpan)))
    const sorted = spans.filter((span) => span !== null).sort((a, b) => a.firstLayer - b.firstLayer)
    expect(sorted).toHaveLength(2)
    expect(sorted[0]?.firstLayer).toBe(0)
    expect(sorted[1]?.endLayer).toBe(30)
    expect(sorted[0]?.endLayer).toBe(sorted[1]?.firstLayer)
  })

  it('answers what is typed in a third tab, streams it, and shows who computed what', async () => {
    const requester = await openRequesterTab(browser, { url: server.url, engine: 'webgpu', latencyMs: 0 })
    watchRequests(requester.page)
    const { page } = requester
    await page.getByTestId('chat-input').fill('What is the capital of France?')
    await page.getByTestId('chat-send').click()
    await page.getByTestId('chat-answer').last().getByText('The capital of France is Paris.').waitFor({ timeout: ANSWER_TIMEOUT_MS })
    const panel = await page.getByTestId('route-panel').first().textContent()
    expect(panel).toContain('webrtc')
    expect(panel).toMatch(/ms/)
    await requester.close()
    expect(foreignRequests).toEqual([])
  })

  it('gives everything back at Stop, and says so to whoever asks next', async () => {
    const [first] = volunteers
    await first?.page.getByTestId('stop-contributing').click()
    await first?.page.waitForFunction(() => globalThis.tabswarm?.store.getState().volunteer.kind === 'off')
    for (const volunteer of volunteers) await volunteer.close()
  })
})

function servedSpan(): { firstLayer: number; endLayer: number } | null {
  const volunteer = globalThis.tabswarm?.store.getState().volunteer
  return volunteer?.kind === 'serving' ? { firstLayer: volunteer.span.firstLayer, endLayer: volunteer.span.endLayer } : null
}
