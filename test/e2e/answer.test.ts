/**
 * The product as a person uses it: real tabs, the real model, real WebRTC. Volunteers press the button, another tab types a
 * question into the chat and reads the answer; nothing but the coordinator's own origin is contacted. On WebGPU everything, without a
 * GPU what an answer needs.
 */

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Manifest, spanBytes } from '../../src/model/index.ts'
import { ensureWebApp, launchChromium, openRequesterTab, openVolunteerTab, resolveModel, type VolunteerTab } from '../../src/node/index.ts'
import type { EngineChoice } from '../../src/peer/index.ts'
import { createServer, type Server, smallestPledgeBytes } from '../../src/server.ts'
import { ANSWER_TIMEOUT_MS, askInChat, lastAnswer, waitForStatus } from './chatPage.ts'

const SERVING_TIMEOUT_MS = 240_000
const QUESTION = 'What is the capital of France?'

let server: Server
let browser: Browser
let manifest: Manifest
let volunteers: VolunteerTab[] = []
const foreign: string[] = []

/** Everything that any page or worker of the browser asks of another host. */
function watch(page: Page): void {
  const own = new URL(server.url).host
  page.context().on('request', (request) => {
    const { protocol, host } = new URL(request.url())
    if (protocol.startsWith('http') && host !== own) foreign.push(request.url())
  })
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== own) foreign.push(socket.url())
  })
}

async function openVolunteers(count: number, engine: EngineChoice): Promise<VolunteerTab[]> {
  const megabytes = (form: 'blocks' | 'unpacked') => Math.ceil(smallestPledgeBytes(manifest, 2, 0, form) / 1e6)
  const pledge = { pledgeMb: megabytes('blocks'), pledgeMbWasm: megabytes('unpacked'), engine }
  const open = async () => {
    const tab = await openVolunteerTab(browser, { url: server.url, latencyMs: 0, ...pledge })
    watch(tab.page)
    return tab
  }
  const tabs = await Promise.all(Array.from({ length: count }, open))
  await Promise.all(tabs.map((tab) => tab.serving(SERVING_TIMEOUT_MS)))
  return tabs
}

async function start(options: { webGpu: boolean }): Promise<void> {
  const model = await resolveModel('default')
  manifest = model.hashedManifest.manifest
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 2, webRoot })
  browser = await launchChromium(options)
}

async function stop(): Promise<void> {
  volunteers = []
  await browser?.close()
  await server?.close()
}

describe('one answer by several tabs', () => {
  beforeAll(() => start({ webGpu: true }))
  afterAll(stop)

  it('tells who asks an empty network what to do', async () => {
    const { page, close } = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
    await askInChat(page, 'Hello?')
    await waitForStatus(page, 'failed')
    expect(await page.locator('main').innerText()).toMatch(/nobody is contributing to .*open Contribute/is)
    await close()
  })

  it('runs nothing and downloads no weights before the button is pressed', async () => {
    const page = await browser.newPage()
    const weights: string[] = []
    page.on('request', (request) => {
      if (request.url().includes('/file')) weights.push(request.url())
    })
    await page.goto(new URL('/contribute', server.url).href)
    await page.getByTestId('start-contributing').waitFor()
    await page.waitForTimeout(1_500)
    expect(page.workers()).toHaveLength(0)
    expect(weights).toEqual([])
    await page.close()
  })

  it('says what to do in a browser without WebGPU that shall use it', async () => {
    const plain = await launchChromium({ webGpu: false })
    try {
      const page = await plain.newPage()
      await page.goto(new URL('/contribute?engine=webgpu', server.url).href)
      await page.getByTestId('start-contributing').click()
      await page.locator('[data-testid=volunteer-state][data-state=failed]').waitFor({ timeout: 30_000 })
      expect(await page.locator('main').innerText()).toMatch(/use a current Chrome|update the graphics driver/)
    } finally {
      await plain.close()
    }
  })

  it('gives each of two tabs a span, and downloads only its bytes', async () => {
    volunteers = await openVolunteers(2, 'webgpu')
    const hosted = (await Promise.all(volunteers.map(({ page }) => page.evaluate(servedSpan)))).sort((a, b) => a.firstLayer - b.firstLayer)
    expect(hosted).toMatchObject([{ firstLayer: 0 }, { endLayer: manifest.config.layerCount }])
    expect(hosted[0]?.endLayer).toBe(hosted[1]?.firstLayer)
    // The page counts what it keeps by itself, after it serves.
    for (const { page } of volunteers) {
      const { firstLayer, endLayer } = await page.evaluate(servedSpan)
      await expect.poll(() => page.evaluate(keptBytes), { timeout: 10_000 }).toBe(spanBytes(manifest, { firstLayer, endLayer }))
    }
  })

  it('answers what is typed in a third tab, shows who computed what, and keeps the context of a follow-up', async () => {
    const { page, close } = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
    watch(page)
    await askInChat(page, QUESTION)
    await waitForStatus(page, 'done')
    expect(await lastAnswer(page).innerText()).toContain('Paris')
    const route = await page.getByTestId('route-panel').first().innerText()
    expect(route).toContain('webrtc')
    expect(route).toMatch(/\d+ ms a lap/)
    await askInChat(page, 'Repeat the name of that city.')
    await waitForStatus(page, 'done')
    expect(await lastAnswer(page).innerText()).toContain('Paris')
    await close()
    expect(foreign).toEqual([])
  })

  it('stops an answer at the button, and frees its memory in every tab', async () => {
    const { page, close } = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
    await askInChat(page, 'Write a long story about a lighthouse.')
    await page.waitForFunction(() => (document.querySelector('[data-testid=chat-answer]')?.textContent?.length ?? 0) > 10, undefined, {
      timeout: ANSWER_TIMEOUT_MS,
    })
    await page.getByTestId('chat-stop').click()
    await waitForStatus(page, 'done')
    for (const volunteer of volunteers) {
      await volunteer.page.waitForFunction(
        () => {
          const state = globalThis.tabswarm?.store.getState().volunteer
          return state?.kind === 'serving' && state.work.sessionsOpen === 0
        },
        undefined,
        { timeout: 30_000 },
      )
    }
    await close()
  })

  it('takes a reloaded tab back, from what the browser kept', async () => {
    const page = volunteers[0]?.page
    if (page === undefined) throw new Error('no volunteer')
    await page.reload()
    const weights: string[] = []
    page.on('request', (request) => {
      if (request.url().includes('/file')) weights.push(request.url())
    })
    await page.getByTestId('start-contributing').click()
    await volunteers[0]?.serving(SERVING_TIMEOUT_MS)
    expect(weights).toEqual([])
  })

  it('ends with a clear error, and soon, when a tab is lost in mid-answer', async () => {
    const { page, close } = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
    await askInChat(page, 'Write a long story about a lighthouse.')
    await page.waitForFunction(() => (document.querySelector('[data-testid=chat-answer]')?.textContent?.length ?? 0) > 10, undefined, {
      timeout: ANSWER_TIMEOUT_MS,
    })
    await volunteers.pop()?.close()
    await waitForStatus(page, 'failed')
    expect(await page.locator('main').innerText()).toMatch(/stage \d|layers/i)
    await close()
  })

  it('gives everything back at Stop', async () => {
    const page = volunteers[0]?.page
    await page?.getByTestId('stop-contributing').click()
    await page?.waitForFunction(() => globalThis.tabswarm?.store.getState().volunteer.kind === 'off')
    await expect.poll(() => page?.workers().length, { timeout: 10_000 }).toBe(0)
  })
})

describe('without a GPU', () => {
  beforeAll(() => start({ webGpu: false }))
  afterAll(stop)

  it('two tabs find that out by themselves, and answer through WebAssembly', async () => {
    volunteers = await openVolunteers(2, 'auto')
    for (const { page } of volunteers)
      expect(await page.locator('main').innerText()).toMatch(/WebAssembly, \d+ thread[\s\S]*no GPU: on the processor/)
    const { page, close } = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
    watch(page)
    await askInChat(page, QUESTION)
    await waitForStatus(page, 'done')
    expect(await lastAnswer(page).innerText()).toContain('Paris')
    expect(await page.getByTestId('route-panel').first().innerText()).toMatch(/WebAssembly/)
    await close()
    expect(foreign).toEqual([])
  })
})

function servedSpan(): { firstLayer: number; endLayer: number } {
  const state = globalThis.tabswarm?.store.getState()
  if (state?.volunteer.kind !== 'serving') throw new Error(`the volunteer is ${state?.volunteer.kind}`)
  return state.volunteer.span
}

function keptBytes(): number | undefined {
  return globalThis.tabswarm?.store.getState().storage?.keptBytes
}
