/**
 * Volunteers whose windows are minimized, in a browser that slows the timers of hidden pages down to one a second as a person's browser
 * does: they serve on as before. Prints the rate beside that of the same tabs while they were visible.
 */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openRequesterTab, type RequesterTab, resolveModel } from '../../src/node/index.ts'
import type { AskRequest } from '../../src/peer/index.ts'
import { createServer, type Server, smallestPledgeBytes } from '../../src/server.ts'
import { WindowPage } from './windowPage.ts'

const SERVING_TIMEOUT_MS = 240_000
const TOKENS = 48
/** A lap that waits for a timer of a hidden page takes up to a second more for each. */
const WAITED_MS = 500

/** Of the page: timers that it sets, and frames that pass it on their way to its worker. */
const COUNT = `{
  globalThis.framesPassed = 0
  const { postMessage } = MessagePort.prototype
  MessagePort.prototype.postMessage = function (message, ...rest) {
    if (message?.kind === 'frame') globalThis.framesPassed++
    return postMessage.call(this, message, ...rest)
  }
  globalThis.timersSet = 0
  for (const name of ['setTimeout', 'setInterval', 'requestAnimationFrame', 'requestIdleCallback']) {
    const set = globalThis[name]
    globalThis[name] = (...options) => {
      globalThis.timersSet++
      return set.apply(globalThis, options)
    }
  }
}`

/** Milliseconds that five timers of 100 ms take, one after the other. */
const FIVE_TIMERS = `new Promise((resolve) => {
  const begunMs = performance.now()
  let left = 5
  const next = () => (left-- === 0 ? resolve(performance.now() - begunMs) : setTimeout(next, 100))
  next()
})`

let server: Server
let browser: Browser
let requester: RequesterTab
let request: AskRequest
const volunteers: WindowPage[] = []

beforeAll(async () => {
  const model = await resolveModel('default')
  const { manifest } = model.hashedManifest
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 2, webRoot })
  browser = await launchChromium({ webGpu: false, throttlesHidden: true })
  request = {
    modelId: manifest.id,
    prompt: { kind: 'messages', messages: [{ role: 'user', content: 'Write a short story about a lighthouse.' }] },
    maxTokens: TOKENS,
    sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, stop: [] },
    speculation: 'off',
  }
  const pledgeMb = Math.ceil(smallestPledgeBytes(manifest, 2, 0, 'unpacked') / 1e6)
  const url = new URL(`/contribute?pledge-mb=${pledgeMb}&engine=wasm&pressure=off`, server.url).href
  for (let index = 0; index < 2; index++) {
    const page = await WindowPage.open(browser, url, COUNT)
    await page.waitFor(`document.querySelector('[data-testid=start-contributing]') !== null`, 60_000)
    await page.evaluate(`document.querySelector('[data-testid=start-contributing]').click()`)
    volunteers.push(page)
  }
  for (const page of volunteers) await page.waitFor(`tabswarm.store.getState().volunteer.kind === 'serving'`, SERVING_TIMEOUT_MS)
  requester = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const all = (expression: string) => Promise.all(volunteers.map((page) => page.evaluate(expression)))

/** An answer, what each of its laps took beside its passes, and how many timers the volunteers' pages set meanwhile. */
async function ask() {
  const laps: number[] = []
  const before = await all('timersSet')
  const answer = await requester.ask(request, ({ completionTokens, lastLapMs }) => {
    // The first token's lap is the prompt's.
    if (lastLapMs !== null && completionTokens > 1) laps[completionTokens] = lastLapMs
  })
  const timers = (await all('timersSet')).map((count, index) => Number(count) - Number(before[index]))
  const computeMs = answer.stages.reduce((sum, { computeMsPerLap }) => sum + (computeMsPerLap ?? 0), 0)
  const waits = laps.flatMap((lapMs) => [lapMs - computeMs]).sort((a, b) => a - b)
  return { ids: answer.completionTokenIds, rate: answer.tokensPerSecond ?? 0, waits, timers }
}

describe('volunteers in hidden windows', () => {
  it('serve as quickly as in visible ones, though their timers are slowed down', async () => {
    expect(await all('document.visibilityState')).toEqual(['visible', 'visible'])
    await ask()
    const visible = await ask()

    for (const page of volunteers) await page.minimize()
    // The control: here a wait of a tenth of a second takes a whole one.
    for (const tookMs of await all(FIVE_TIMERS)) expect(Number(tookMs)).toBeGreaterThan(3_000)
    const hidden = await ask()
    expect(await all('document.visibilityState')).toEqual(['hidden', 'hidden'])

    expect(hidden.ids).toEqual(visible.ids)
    expect(hidden.ids).toHaveLength(TOKENS)
    const lateLaps = hidden.waits.filter((waitMs) => waitMs >= WAITED_MS)
    const [median, slowest] = [hidden.waits[hidden.waits.length >> 1] ?? Number.NaN, hidden.waits.at(-1) ?? Number.NaN]
    process.stdout.write(
      `hidden ${hidden.rate.toFixed(1)} tokens/s, visible ${visible.rate.toFixed(1)}: ratio ${(hidden.rate / visible.rate).toFixed(2)}; ` +
        `beside its passes a hidden lap took ${median.toFixed(1)} ms (median), ${slowest.toFixed(1)} (most); ` +
        `timers set by the volunteers' pages in ${TOKENS} laps: ${hidden.timers.join(' and ')}\n`,
    )
    // A machine that is busy with something else may delay one or two.
    expect(lateLaps.length).toBeLessThanOrEqual(TOKENS / 20)
    // None of the page's timers belongs to a lap.
    for (const count of hidden.timers) expect(count).toBeLessThan(TOKENS / 2)
    // Nor does a frame of it pass the page.
    expect(await all('framesPassed')).toEqual([0, 0])
  })
})
