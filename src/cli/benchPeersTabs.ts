/** The tabs of `bench peers`: one run of ours through the web app, one of wllama in a page of its own beside it. */

import { createRequire } from 'node:module'
import path from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { MeasureOptions } from '../peer/index.ts'
import { type ModelId, TabswarmError } from '../shared/index.ts'

/** What is asked for. */
export interface PeerSubject {
  readonly peer: 'tabswarm' | 'wllama'
  readonly asked: 'webgpu' | 'wasm'
  /** Of the processor; a GPU backend has one that feeds it. */
  readonly threads: number
}

export interface PeerRun {
  readonly ran: 'webgpu' | 'wasm'
  readonly adapter: string
  readonly decodeTokensPerSecond: number
  readonly prefillTokensPerSecond: number
}

export interface PeerRunRequest {
  readonly browser: Browser
  /** Of the coordinator, which serves the model's file. */
  readonly url: string
  readonly modelId: ModelId
  readonly subject: PeerSubject
}

/** Tokens of the prompt, and of the answer behind it: contexts short enough for the slowest. */
const PROMPT_TOKENS = 64
const ANSWER_TOKENS = 32
const PLAN: NonNullable<MeasureOptions['plan']> = {
  prefillTokens: [PROMPT_TOKENS],
  decodeSessions: [1],
  measureMs: 4_000,
  runsMin: 2,
  runsMax: ANSWER_TOKENS,
}
/** Loading and measuring on a software adapter that others use too. */
const RUN_TIMEOUT_MS = 300_000
/** What is used of the package; its own types lead to sources that our compiler's settings refuse. */
interface WllamaModule {
  readonly Wllama: new (
    paths: { readonly default: string },
    options: { readonly suppressNativeLog: boolean },
  ) => {
    loadModel(files: readonly Blob[], options: { n_ctx: number; n_gpu_layers: number; n_threads: number }): Promise<void>
    createCompletion(request: { prompt: string; max_tokens: number; temperature: number; stream: false }): Promise<{
      readonly timings?: { readonly predicted_per_second: number; readonly prompt_per_second: number }
    }>
    getNumThreads(): number
    exit(): Promise<void>
  }
}

/** Where the browser is told that wllama's files lie. */
const WLLAMA_PATH = '/wllama/'
/** llama.cpp names the backend of each buffer while it loads. */
const WEBGPU_BUFFER = /webgpu[^\n]*buffer size/i
/** About PROMPT_TOKENS tokens for llama.cpp's tokenizer, which counts them itself. */
const PROMPT = 'The lighthouse stood on a rock in the sea, and every night its keeper climbed the stairs to light the lamp. '.repeat(3)

export function measureTabswarm({ browser, url, modelId, subject }: PeerRunRequest): Promise<PeerRun> {
  return inPage(browser, async (page) => {
    await page.goto(url)
    await page.waitForFunction(() => globalThis.tabswarm?.store.getState().network !== null, undefined, { timeout: RUN_TIMEOUT_MS })
    const options: MeasureOptions = { engine: subject.asked, threads: subject.threads, plan: PLAN }
    const measured = await page.evaluate(async ({ id, wanted }) => globalThis.tabswarm?.measureModel(id, () => undefined, wanted).result, {
      id: modelId,
      wanted: options,
    })
    const [prefill, decode] = [measured?.speed.prefill[0], measured?.speed.decode[0]]
    if (measured === undefined || measured.engine === 'cpu' || prefill === undefined || decode === undefined)
      throw new TabswarmError('bench-peers', 'the page measured nothing; look at its console')
    return {
      ran: measured.engine,
      adapter: measured.adapter,
      decodeTokensPerSecond: decode.tokensPerSecond,
      prefillTokensPerSecond: prefill.tokensPerSecond,
    }
  })
}

/** llama.cpp's own timings. */
export function measureWllama({ browser, url, modelId, subject }: PeerRunRequest): Promise<PeerRun> {
  return inPage(browser, async (page, context) => {
    await serveWllama(context)
    const log: string[] = []
    page.on('console', (message) => log.push(message.text()))
    await page.goto(new URL(WLLAMA_PATH, url).href)
    const timings = await page.evaluate(runWllama, {
      module: `${WLLAMA_PATH}index.js`,
      wasm: `${WLLAMA_PATH}wasm/wllama.wasm`,
      model: new URL(`/models/${modelId}/file`, url).href,
      prompt: PROMPT,
      tokens: ANSWER_TOKENS,
      gpu: subject.asked === 'webgpu',
      threads: subject.threads,
    })
    const webgpu = log.some((line) => WEBGPU_BUFFER.test(line))
    return {
      ran: webgpu ? 'webgpu' : 'wasm',
      adapter: webgpu ? 'llama.cpp WebGPU' : `CPU (llama.cpp in WASM, ${timings.threads} thread${timings.threads === 1 ? '' : 's'})`,
      decodeTokensPerSecond: timings.decode,
      prefillTokensPerSecond: timings.prefill,
    }
  })
}

async function inPage<Value>(browser: Browser, work: (page: Page, context: BrowserContext) => Promise<Value>): Promise<Value> {
  const context = await browser.newContext()
  // tsx compiles with esbuild's keepNames: functions that are sent into the page may call this helper.
  await context.addInitScript('globalThis.__name ??= (value) => value')
  const page = await context.newPage()
  page.setDefaultTimeout(RUN_TIMEOUT_MS)
  try {
    return await work(page, context)
  } finally {
    // Where the browser is gone, so is the context; what ended the run is told.
    await context.close().catch(() => undefined)
  }
}

/** wllama's package at an address of the coordinator's origin, where it may read the model; isolated, so that it may use threads. */
async function serveWllama(context: BrowserContext): Promise<void> {
  const root = wllamaRoot()
  const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }
  await context.route(`**${WLLAMA_PATH}**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice(WLLAMA_PATH.length)
    if (name === '') return route.fulfill({ contentType: 'text/html', headers, body: '<!doctype html><title>wllama</title>' })
    const contentType = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript'
    return route.fulfill({ path: path.join(root, name), contentType, headers })
  })
}

/** Folder of its ES modules. */
function wllamaRoot(): string {
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve('@wllama/wllama/package.json')), 'esm')
  } catch (cause) {
    throw new TabswarmError('no-wllama', 'the package @wllama/wllama is not installed; run `npm install` with development dependencies', {
      cause,
    })
  }
}

interface WllamaRequest {
  readonly module: string
  readonly wasm: string
  readonly model: string
  readonly prompt: string
  readonly tokens: number
  readonly gpu: boolean
  readonly threads: number
}

/** Runs in the page. */
async function runWllama(request: WllamaRequest): Promise<{ decode: number; prefill: number; threads: number }> {
  const { Wllama }: WllamaModule = await import(request.module)
  const wllama = new Wllama({ default: request.wasm }, { suppressNativeLog: false })
  const file = await (await fetch(request.model)).blob()
  await wllama.loadModel([file], { n_ctx: 512, n_gpu_layers: request.gpu ? 99_999 : 0, n_threads: request.threads })
  const { timings } = await wllama.createCompletion({ prompt: request.prompt, max_tokens: request.tokens, temperature: 0, stream: false })
  if (timings === undefined) throw new Error('wllama gave no timings')
  return { decode: timings.predicted_per_second, prefill: timings.prompt_per_second, threads: wllama.getNumThreads() }
}
