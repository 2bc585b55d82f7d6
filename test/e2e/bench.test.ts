/**
 * The Benchmark page in a real Chromium: nothing before the button, a real run of small cases in a worker, alone and against ONNX Runtime,
 * files out and in, Cancel, and the link that brings a choice back.
 */

import { readFile } from 'node:fs/promises'
import type { Browser, Download, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseRun } from '../../src/kernels/suite/index.ts'
import { ensureWebApp, launchChromium, resolveModel } from '../../src/node/index.ts'
import { createServer, type Server } from '../../src/server.ts'

const RUN_TIMEOUT_MS = 120_000
/** SmolLM2's four projections, one row: the smallest that a person can choose. */
const SMALL = '?kernels=matvec&presets=smollm2-135m&formats=q4_1&rows=1'

let server: Server
let browser: Browser
let page: Page
const foreign: string[] = []

beforeAll(async () => {
  const model = await resolveModel('default')
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 1, webRoot })
  browser = await launchChromium()
  page = await browser.newPage()
  page.context().on('request', (request) => {
    const { protocol, host } = new URL(request.url())
    if (protocol.startsWith('http') && host !== new URL(server.url).host) foreign.push(request.url())
  })
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const open = (search: string) => page.goto(new URL(`/bench${search}`, server.url).href)
const results = () => page.getByTestId('bench-result')
const state = (kind: string) => page.locator(`[data-testid=bench-state][data-state=${kind}]`).waitFor({ timeout: RUN_TIMEOUT_MS })

async function save(testId: string): Promise<{ name: string; text: string }> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId(testId).click()] as [
    Promise<Download>,
    Promise<void>,
  ])
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') }
}

describe('the Benchmark page', () => {
  it('preselects what a link says, and runs nothing', async () => {
    await open(SMALL)
    expect(await page.getByTestId('bench-run').innerText()).toBe('Run 4 cases')
    await page.waitForTimeout(500)
    expect(page.workers()).toHaveLength(0)
    expect(await results().count()).toBe(0)
  })

  it('checks and times each case, shows the adapter, and gives the GPU back', async () => {
    await page.getByTestId('bench-run').click()
    await state('finished')
    expect(await results().count()).toBe(4)
    const row = await results().first().innerText()
    expect(row).toMatch(/Mat-vec/)
    expect(row).toMatch(/[µm]s/)
    expect(row).toMatch(/GB\/s/)
    expect(row).toMatch(/✓ \d/)
    expect(await page.getByTestId('bench-adapter').innerText()).toMatch(/copies memory at[\s\S]*GB\/s[\s\S]*computes at[\s\S]*FLOP\/s/)
    expect(await page.getByRole('img', { name: /Roofline plot of 4 cases/ }).count()).toBe(1)
    await expect.poll(() => page.workers().length, { timeout: 5_000 }).toBe(0)
  })

  it('saves the run as JSON and CSV, and compares it with a file', async () => {
    const json = await save('bench-export-json')
    const run = parseRun(json.text)
    expect(json.name).toMatch(/^tabswarm-bench-.*\.json$/)
    expect(run.cases).toHaveLength(4)
    for (const { ms, nmse, nmseMax } of run.cases) {
      expect(ms).toBeGreaterThan(0)
      expect(nmse).toBeLessThanOrEqual(nmseMax)
    }
    const csv = await save('bench-export-csv')
    expect(csv.text.trim().split('\r\n')).toHaveLength(5)

    const slower = { ...run, cases: run.cases.map((each) => ({ ...each, ms: 2 * each.ms })) }
    await page.setInputFiles('input[type=file]', {
      name: 'earlier.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify(slower)),
    })
    await page.getByTestId('bench-comparison').waitFor()
    const bars = await page.getByRole('list', { name: 'This run against the file' }).getByRole('listitem').allInnerTexts()
    expect(bars).toHaveLength(4)
    for (const bar of bars) expect(bar).toContain('2.00 ×')
  })

  it('compares with ONNX Runtime on the same adapter', async () => {
    await open('?kernels=attention_decode&presets=smollm2-135m&positions=512')
    await page.getByTestId('bench-ort').check({ force: true })
    await page.getByTestId('bench-run').click()
    await state('finished')
    expect(await results().count()).toBe(1)
    const ratios = await page.getByRole('list', { name: 'How many times as fast as ONNX Runtime' }).getByRole('listitem').allInnerTexts()
    expect(ratios).toHaveLength(1)
    for (const ratio of ratios) expect(ratio).toMatch(/[\d.]+ ×/)
    expect(parseRun((await save('bench-export-json')).text).cases[0]?.baseline?.name).toMatch(/onnx/i)
    expect(foreign).toEqual([])
  })

  it('stops at Cancel, and keeps what was measured', async () => {
    await open('?kernels=matmul&presets=smollm2-135m,llama-3.2-1b&formats=q4_1&prompt=128,512')
    await page.getByTestId('bench-run').click()
    await page.getByTestId('bench-adapter').waitFor({ timeout: RUN_TIMEOUT_MS })
    await page.getByTestId('bench-cancel').click()
    await state('cancelled')
    await expect.poll(() => page.workers().length, { timeout: 5_000 }).toBe(0)
    expect(await page.getByTestId('bench-state').innerText()).toMatch(/of 16 cases measured/)
    expect(await page.getByTestId('bench-run').isEnabled()).toBe(true)
  })

  it('loads a whole model only on request, and gives it back at Cancel', async () => {
    const card = page.getByTestId('bench-model')
    expect(await card.getAttribute('data-state')).toBe('idle')
    await page.getByTestId('bench-model-run').click()
    await card.getByText(/Loading .* MB of/).waitFor({ timeout: RUN_TIMEOUT_MS })
    expect(await page.getByTestId('bench-run').isDisabled()).toBe(true)
    await page.getByTestId('bench-model-stop').click()
    expect(await card.getAttribute('data-state')).toBe('idle')
    await expect.poll(() => page.workers().length, { timeout: 5_000 }).toBe(0)
  })

  it('makes a link that brings the choice back', async () => {
    await page.getByText('q8_0', { exact: true }).click()
    const link = await page.getByTestId('bench-link').getAttribute('data-link')
    const label = await page.getByTestId('bench-run').innerText()
    expect(label).toBe('Run 32 cases')
    await page.goto(link ?? '')
    expect(await page.getByTestId('bench-run').innerText()).toBe(label)
    expect(page.workers()).toHaveLength(0)
  })

  it('says what to do in a browser that gives no GPU, and still opens files', async () => {
    const plain = await launchChromium({ webGpu: false })
    try {
      const other = await plain.newPage()
      await other.goto(new URL('/bench', server.url).href)
      await other.getByTestId('bench-run').click()
      await other.getByText('The run ended early').waitFor({ timeout: RUN_TIMEOUT_MS })
      expect(await other.getByRole('alert').innerText()).toMatch(/offers no GPU[\s\S]*hardware acceleration/)
      expect(await other.getByTestId('bench-run').isEnabled()).toBe(true)
      await other.setInputFiles('input[type=file]', { name: 'x.json', mimeType: 'application/json', buffer: Buffer.from('{}') })
      await other.getByText('This file cannot be opened').waitFor()
    } finally {
      await plain.close()
    }
  })
})
