/**
 * Real tabs without hands: opens volunteers and a requester in headless Chromium, presses the same buttons that a person
 * would, and reads what the page says. Used by `demo`, `serve --volunteers` and the browser tests.
 */

import type { Browser, Page } from 'playwright-core'
import type { Answer, AskProgress, AskRequest, EngineChoice } from '../peer/index.ts'
import { type ErrorBody, fromErrorBody, type ModelId, type PeerId, TabswarmError } from '../shared/index.ts'

export interface TabOptions {
  readonly url: string
  /** Added to every message at this tab's end, each way, milliseconds. */
  readonly latencyMs: number
  readonly ignoreCertificate?: boolean
  /** JavaScript that runs in the page before its own. */
  readonly initScript?: string
}

export interface VolunteerTabOptions extends TabOptions {
  readonly pledgeMb: number
  /** What it pledges where it turns out to compute without a GPU; `pledgeMb` where it is left out. */
  readonly pledgeMbWasm?: number
  /** `auto` where it is left out. */
  readonly engine?: EngineChoice
  /** Pauses when its machine is wanted elsewhere. Not where it is left out: the tabs of one machine would pause for each other. */
  readonly yieldsToOthers?: boolean
}

export interface Tab {
  readonly page: Page
  /** In place of `latencyMs`, for connections that are made from now on. */
  setLatency(latencyMs: number): Promise<void>
  close(): Promise<void>
}

export interface VolunteerTab extends Tab {
  /** Resolves when the page says that it serves; rejects with what the page says when it fails. */
  serving(timeoutMs: number): Promise<void>
  /** Who it contributes as; null while it does not. */
  peerId(): Promise<PeerId | null>
}

export interface TimedAnswer {
  readonly answer: Answer
  /** When each token came, milliseconds since the epoch. */
  readonly tokensMs: readonly number[]
}

export interface RequesterTab extends Tab {
  /** Resolves with the answer. Rejects with the page's TabswarmError. */
  ask(request: AskRequest, onProgress: (progress: AskProgress) => void, signal?: AbortSignal): Promise<Answer>
  /** The same question so many times at once; nobody is told how far they are, so that nothing but the answers is timed. */
  askTogether(request: AskRequest, count: number): Promise<readonly TimedAnswer[]>
  /** Resolves when the model is ready to draft; rejects with what the page says when it is not. */
  loadDraftModel(modelId: ModelId, engine: EngineChoice, timeoutMs: number): Promise<void>
}

/** Opens *Contribute* in a browser context of its own and presses the button. */
export async function openVolunteerTab(browser: Browser, options: VolunteerTabOptions): Promise<VolunteerTab> {
  const { pledgeMb, pledgeMbWasm = pledgeMb, engine = 'auto', yieldsToOthers = false } = options
  const query = `pledge-mb=${pledgeMb}&pledge-mb-wasm=${pledgeMbWasm}&engine=${engine}${yieldsToOthers ? '' : '&pressure=off'}`
  const tab = await openPage(browser, options, `/contribute?${query}`)
  const { page } = tab
  await page.getByTestId('start-contributing').click()
  return {
    ...tab,
    async serving(timeoutMs) {
      const state = page.getByTestId('volunteer-state')
      await page
        .waitForFunction(() => ['serving', 'failed'].includes(globalThis.tabswarm?.store.getState().volunteer.kind ?? ''), undefined, {
          timeout: timeoutMs,
        })
        .catch(async () => {
          const text = await state.textContent().catch(() => 'nothing')
          throw new TabswarmError(
            'volunteer-timeout',
            `a volunteer tab did not serve within ${Math.round(timeoutMs / 1000)} s; it says: ${text}`,
          )
        })
      const failure = await page.evaluate((): ErrorBody | null => {
        const volunteer = globalThis.tabswarm?.store.getState().volunteer
        return volunteer?.kind === 'failed' ? volunteer.error : null
      })
      if (failure !== null) throw fromErrorBody(failure)
    },
    peerId: () => page.evaluate(() => globalThis.tabswarm?.store.getState().contributingAs ?? null),
  }
}

/** Opens *Chat* in a browser context of its own. */
export async function openRequesterTab(browser: Browser, options: TabOptions): Promise<RequesterTab> {
  const tab = await openPage(browser, options, '/chat')
  const { page } = tab
  let onProgress: (progress: AskProgress) => void = () => undefined
  await page.exposeFunction('tabswarmProgress', (progress: AskProgress) => onProgress(progress))
  return {
    ...tab,
    async ask(request, listener, signal) {
      onProgress = listener
      const stop = () => void page.evaluate(() => globalThis.dispatchEvent(new Event('tabswarm-stop'))).catch(() => undefined)
      signal?.addEventListener('abort', stop, { once: true })
      const outcome = await page.evaluate(askInPage, { request, tellsProgress: true })
      signal?.removeEventListener('abort', stop)
      return answerOf(outcome).answer
    },
    async askTogether(request, count) {
      const asked = Array.from({ length: count }, () => page.evaluate(askInPage, { request, tellsProgress: false }))
      return (await Promise.all(asked)).map(answerOf)
    },
    async loadDraftModel(modelId, engine, timeoutMs) {
      await page.waitForFunction(() => globalThis.tabswarm?.store.getState().draftOffers.length !== 0, undefined, { timeout: timeoutMs })
      await page.evaluate((wanted) => globalThis.tabswarm?.loadDraftModel(wanted.modelId, wanted.engine), { modelId, engine })
      const state = await page.waitForFunction(
        () => {
          const draftModel = globalThis.tabswarm?.store.getState().draftModel
          return draftModel?.kind === 'ready' || draftModel?.kind === 'failed' ? draftModel : null
        },
        undefined,
        { timeout: timeoutMs },
      )
      const draftModel = await state.jsonValue()
      if (draftModel?.kind === 'failed') throw fromErrorBody(draftModel.error)
    },
  }
}

type AskOutcome = ({ readonly ok: true } & TimedAnswer) | { readonly ok: false; readonly error: ErrorBody }

function answerOf(outcome: AskOutcome): TimedAnswer {
  if (!outcome.ok) throw fromErrorBody(outcome.error)
  return outcome
}

/** Runs in the page. */
async function askInPage(asked: { readonly request: AskRequest; readonly tellsProgress: boolean }): Promise<AskOutcome> {
  const { tabswarm } = globalThis
  if (tabswarm === undefined) return { ok: false, error: { reason: 'page-broken', message: 'the page did not start; look at its console' } }
  const emit: unknown = Reflect.get(globalThis, 'tabswarmProgress')
  const tokensMs: number[] = []
  const ask = tabswarm.ask(asked.request, (progress) => {
    if (progress.completionTokens > tokensMs.length) tokensMs.push(performance.timeOrigin + performance.now())
    if (asked.tellsProgress && typeof emit === 'function') emit(progress)
  })
  globalThis.addEventListener('tabswarm-stop', () => ask.stop(), { once: true })
  try {
    return { ok: true, answer: await ask.answer, tokensMs }
  } catch (error) {
    const body =
      error instanceof Error && 'reason' in error
        ? { reason: String(error.reason), message: error.message }
        : { reason: 'internal', message: String(error) }
    return { ok: false, error: body }
  }
}

async function openPage(browser: Browser, options: TabOptions, path: string): Promise<Tab> {
  const context = await browser.newContext({ ignoreHTTPSErrors: options.ignoreCertificate ?? false })
  // tsx compiles with esbuild's keepNames: functions that are sent into the page may call this helper.
  await context.addInitScript('globalThis.__name ??= (value) => value')
  if (options.initScript !== undefined) await context.addInitScript(options.initScript)
  const page = await context.newPage()
  const setLatency = await latencyOf(page)
  if (options.latencyMs > 0) await setLatency(options.latencyMs)
  await page.goto(new URL(path, options.url).href)
  await page.waitForFunction(() => globalThis.tabswarm !== undefined, undefined, { timeout: 60_000 })
  return { page, setLatency, close: () => context.close() }
}

/** Sets what is added to every message at the page's end, each way, milliseconds; 0 sends them as they are. */
export async function latencyOf(page: Page): Promise<(latencyMs: number) => Promise<void>> {
  const session = await page.context().newCDPSession(page)
  return async (latencyMs) => {
    await session.send('Network.enable')
    await session.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: latencyMs,
      downloadThroughput: -1,
      uploadThroughput: -1,
      packetLoss: 0,
      packetQueueLength: 0,
      packetReordering: false,
    })
  }
}
