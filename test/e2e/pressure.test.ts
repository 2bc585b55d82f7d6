/**
 * A volunteer's computer is its own: on battery a real tab hands its answer over to another one, gives everything back, says why, and comes
 * back when the computer is plugged in. The battery is played; everything else is real.
 */

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openRequesterTab, openVolunteerTab, resolveModel, type VolunteerTab } from '../../src/node/index.ts'
import type { AskRequest } from '../../src/peer/index.ts'
import { createServer, type Server, smallestPledgeBytes } from '../../src/server.ts'

const TIMEOUT_MS = 240_000
/** Some seconds: the page looks at its machine once a second. */
const TOKENS = 160

/**
 * A full battery that the test empties. What else the machine does is not this tab's matter here: it is busy with the other tabs. Counts the
 * page's workers: Playwright may miss the end of a worker's worker.
 */
const BATTERY = `{
  delete globalThis.PressureObserver
  globalThis.workersRunning = 0
  globalThis.Worker = class extends Worker {
    constructor(...options) {
      super(...options)
      globalThis.workersRunning++
    }
    terminate() {
      globalThis.workersRunning--
      super.terminate()
    }
  }
  const battery = Object.assign(new EventTarget(), { charging: true, level: 1 })
  navigator.getBattery = async () => battery
  globalThis.setBattery = (charging, level) => {
    Object.assign(battery, { charging, level })
    battery.dispatchEvent(new Event('chargingchange'))
  }
}`

/** Keeps what this page tells the coordinator of its links. */
const REPORTS = `{
  const { send } = WebSocket.prototype
  globalThis.reported = []
  WebSocket.prototype.send = function (text) {
    if (String(text).includes('"type":"measured"')) globalThis.reported.push(...JSON.parse(text).links)
    return send.call(this, text)
  }
}`

let server: Server
let browser: Browser
let request: AskRequest
let volunteers: VolunteerTab[] = []

beforeAll(async () => {
  const model = await resolveModel('default')
  const { manifest } = model.hashedManifest
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 1, webRoot })
  browser = await launchChromium({ webGpu: false })
  const pledgeMb = Math.ceil(smallestPledgeBytes(manifest, 1, 0, 'unpacked') / 1e6)
  request = {
    modelId: manifest.id,
    prompt: { kind: 'messages', messages: [{ role: 'user', content: 'Write a short story about a lighthouse.' }] },
    maxTokens: TOKENS,
    sampling: { temperature: 0.8, topP: 0.95, topK: 0, minP: 0, seed: 3, stop: [] },
  }
  const open = () =>
    openVolunteerTab(browser, { url: server.url, latencyMs: 0, pledgeMb, engine: 'wasm', yieldsToOthers: true, initScript: BATTERY })
  volunteers = await Promise.all([open(), open()])
  await Promise.all(volunteers.map((tab) => tab.serving(TIMEOUT_MS)))
  for (const { page } of volunteers) expect(await page.evaluate(workersRunning)).toBe(1)
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

function setBattery(page: Page | undefined, charging: boolean, level: number): Promise<void> | undefined {
  return page?.evaluate(
    ([isCharging, newLevel]) => {
      const set: unknown = Reflect.get(globalThis, 'setBattery')
      if (typeof set === 'function') set(isCharging, newLevel)
    },
    [charging, level] as const,
  )
}

function workersRunning(): unknown {
  return Reflect.get(globalThis, 'workersRunning')
}

async function tabOf(peerId: string | undefined): Promise<VolunteerTab | undefined> {
  for (const tab of volunteers) if ((await tab.peerId()) === peerId) return tab
  return undefined
}

describe('a tab whose computer is wanted elsewhere', () => {
  it('[C18][R11] hands its answer over, says why it stopped, and comes back by itself', async () => {
    const requester = await openRequesterTab(browser, { url: server.url, latencyMs: 0, initScript: REPORTS })
    const expected = await requester.ask(request, () => undefined)
    const drained: Promise<VolunteerTab | undefined>[] = []
    const answer = await requester.ask(request, ({ completionTokens, route }) => {
      if (completionTokens < 8 || drained.length > 0) return
      const onBattery = tabOf(route[0]?.peerId).then(async (tab) => {
        await setBattery(tab?.page, false, 0.2)
        return tab
      })
      drained.push(onBattery)
    })
    const page = (await drained[0])?.page
    expect(page).toBeDefined()
    expect(answer.completionTokenIds).toEqual(expected.completionTokenIds)
    expect(answer.completionTokenIds).toHaveLength(TOKENS)
    // Nothing broke: the other tab was there before this one stopped.
    expect(answer.repairs).toMatchObject([{ reason: 'draining', doneMs: expect.any(Number) }])

    await page?.locator('[data-testid=volunteer-state][data-state=paused]').waitFor({ timeout: TIMEOUT_MS })
    expect(await page?.getByTestId('volunteer-state').innerText()).toMatch(/paused: this computer is on battery/i)
    await expect.poll(() => page?.evaluate(workersRunning), { timeout: 10_000 }).toBe(0)

    const again = await requester.ask({ ...request, maxTokens: 8 }, () => undefined)
    expect(again.stages[0]?.peerId).toBe(answer.stages[0]?.peerId)
    await setBattery(page, true, 0.2)
    await page?.locator('[data-testid=volunteer-state][data-state=serving]').waitFor({ timeout: TIMEOUT_MS })

    // [C17] A requester tells how far its stages are.
    const reported = await requester.page.evaluate((): unknown => Reflect.get(globalThis, 'reported'))
    expect(reported).toContainEqual({ peerId: answer.stages[0]?.peerId, rttMs: expect.any(Number) })
    await requester.close()
  })

  it('goes on at once when its user says so', async () => {
    const page = volunteers[0]?.page
    await setBattery(page, false, 0.2)
    await page?.getByTestId('resume-contributing').click({ timeout: TIMEOUT_MS })
    await page?.locator('[data-testid=volunteer-state][data-state=serving]').waitFor({ timeout: TIMEOUT_MS })
  })
})
