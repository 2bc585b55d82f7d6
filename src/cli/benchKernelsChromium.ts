/** The kernel suite in a headless Chromium tab, on the WebGPU that pages get: suite.html of the built web app. */

import type { Page } from 'playwright-core'
import { serveWebSite } from '../coordinator/server/index.ts'
import type { SuiteAdapter, SuiteCase, SuiteMessage } from '../kernels/suite/index.ts'
import { ensureWebApp, launchChromium } from '../node/index.ts'
import { type ErrorBody, fromErrorBody, type Result } from '../shared/index.ts'
import type { TerminalRun } from './benchRun.ts'
import { printNote } from './output.ts'

/** Starting the worker and the GPU process on a busy machine. */
const START_TIMEOUT_MS = 60_000

export async function runInChromium(run: TerminalRun): Promise<void> {
  const site = await serveWebSite(await ensureWebApp(printNote))
  try {
    const flags = run.adapter === 'swiftshader' ? ['--use-webgpu-adapter=swiftshader'] : []
    const browser = await launchChromium({ webGpu: true, flags })
    try {
      await runInTab(await browser.newPage(), site.url, run)
    } finally {
      await browser.close()
    }
  } finally {
    await site.close()
  }
}

async function runInTab(page: Page, url: string, { compare, casesFor, listen, onProgress }: TerminalRun): Promise<void> {
  page.on('pageerror', (error) => printNote(`the page failed: ${error.message}`))
  // tsx compiles with esbuild's keepNames: functions that are sent into the page may call this helper.
  await page.addInitScript('globalThis.__name ??= (value) => value')
  await page.exposeFunction('tabswarmMessage', (message: SuiteMessage) => {
    if (message.kind === 'progress') onProgress(message.progress)
    else listen(message)
  })
  await page.goto(new URL('suite.html', url).href)
  await page.waitForFunction(() => globalThis.tabswarmSuite !== undefined, undefined, { timeout: START_TIMEOUT_MS })
  const adapter = resultOf(
    await page.evaluate((): Promise<Result<SuiteAdapter, ErrorBody>> | undefined => globalThis.tabswarmSuite?.adapter()),
  )
  const request = { cases: casesFor(adapter), baseline: compare ? ('ort' as const) : null }
  resultOf(await page.evaluate(runInPage, request))
}

/** Runs in the page. */
function runInPage(request: { readonly cases: readonly SuiteCase[]; readonly baseline: 'ort' | null }) {
  const emit: unknown = Reflect.get(globalThis, 'tabswarmMessage')
  return globalThis.tabswarmSuite?.run(request, (message) => {
    if (typeof emit === 'function') emit(message)
  })
}

function resultOf<Value>(result: Result<Value, ErrorBody> | undefined): Value {
  if (result === undefined) throw fromErrorBody({ reason: 'page-broken', message: 'the suite did not start in the tab' })
  if (!result.ok) throw fromErrorBody(result.error)
  return result.value
}
