/**
 * A GPU that goes away under a serving tab: the browser's GPU process is killed, as a driver's crash does; the tab gets a new device by
 * itself and serves the same layers again, without a download.
 */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openVolunteerTab, resolveModel } from '../../src/node/index.ts'
import { createServer, type Server, smallestPledgeBytes } from '../../src/server.ts'

const TIMEOUT_MS = 240_000

let server: Server
let browser: Browser
let pledgeMb = 0

beforeAll(async () => {
  const model = await resolveModel('default')
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 1, webRoot })
  browser = await launchChromium()
  pledgeMb = Math.ceil(smallestPledgeBytes(model.hashedManifest.manifest, 1) / 1e6)
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

describe('a tab whose GPU is lost', () => {
  it('comes back by itself with the same layers, out of its own storage', async () => {
    const tab = await openVolunteerTab(browser, { url: server.url, latencyMs: 0, pledgeMb, engine: 'webgpu' })
    await tab.serving(TIMEOUT_MS)
    const { page } = tab
    const state = page.getByTestId('volunteer-state')
    const headline = await state.getByRole('heading').first().innerText()
    const downloads: string[] = []
    page.context().on('request', (request) => {
      if (request.url().includes('/file')) downloads.push(request.url())
    })
    const states: string[] = []
    const recovering = page.locator('[data-testid=volunteer-state][data-state=recovering]').waitFor({ timeout: TIMEOUT_MS })
    const session = await browser.newBrowserCDPSession()
    // Chromium says nothing when it has done so.
    session.send('Browser.crashGpuProcess').catch(() => undefined)
    await recovering
    states.push(await page.locator('main').innerText())
    await page.locator('[data-testid=volunteer-state][data-state=serving]').waitFor({ timeout: TIMEOUT_MS })
    expect(states[0]).toMatch(/getting your gpu back/i)
    expect(await state.getByRole('heading').first().innerText()).toBe(headline)
    expect(downloads).toEqual([])
    await page.close()
  })
})
