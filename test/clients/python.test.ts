/** The Python package of OpenAI against real tabs; `npm run test:clients` makes it an environment of its own. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ensureWebApp, launchChromium, openVolunteerTab, resolveModel } from '../../src/node/index.ts'
import { createServer, openServerStore, type Server, smallestPledgeBytes } from '../../src/server.ts'
import { required } from '../../src/shared/index.ts'

const TIMEOUT_MS = 240_000
const SCRIPT = fileURLToPath(new URL('openai_client.py', import.meta.url))

let server: Server
let browser: Browser
let key: string
let model: string

beforeAll(async () => {
  const served = await resolveModel('default')
  const { manifest } = served.hashedManifest
  model = manifest.id
  const opening = openServerStore({ kind: 'memory' })
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [served], minStages: 2, webRoot, store: opening })
  const { accounts, keys } = await opening
  const scope = { models: null, pools: null, budget: null, requestsAMinute: null }
  key = (await keys.create((await accounts.createNamed('python')).id, 'python', scope, true)).text
  browser = await launchChromium({ webGpu: false })
  const pledgeMb = Math.ceil(smallestPledgeBytes(manifest, 2, 0, 'unpacked') / 1e6)
  const options = { url: server.url, latencyMs: 0, pledgeMb, engine: 'wasm' } as const
  const volunteers = await Promise.all([openVolunteerTab(browser, options), openVolunteerTab(browser, options)])
  await Promise.all(volunteers.map((tab) => tab.serving(TIMEOUT_MS)))
}, TIMEOUT_MS)
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

it(
  'the Python package lists, asks whole and streamed, calls tools, weighs prompts, leaves files and batches, and names its errors',
  async () => {
    const python = required(process.env.TABSWARM_PYTHON, 'npm run test:clients, which makes the environment')
    const { stdout } = await promisify(execFile)(python, [SCRIPT, new URL('/v1', server.url).href, key, model])
    const seen = JSON.parse(stdout)
    expect(seen).toMatchObject({
      models: [model],
      requestId: expect.stringMatching(/^req_[0-9a-f]{32}$/),
      logprobs: 24,
      usage: 34 + 24,
      badKey: ['AuthenticationError', 401, 'invalid_api_key'],
      noModel: ['NotFoundError', 404, 'model_not_found'],
      noFunctions: ['BadRequestError', 400, 'unsupported_parameter'],
      noEmbeddings: ['NotFoundError', 404, 'embeddings_not_served'],
      gone: ['NotFoundError', 404, 'not_found'],
      echoed: 'The capital of France is Paris',
      echoedFirst: [null, null],
      echoedTokens: 'The capital of France is Paris',
      called: ['tool_calls', 'get_weather', ['city', 'unit']],
      responseCalled: ['function_call', 'get_weather', ['city', 'unit']],
      responseCallStreamed: true,
      batch: ['completed', 1, 'one'],
      fileDeleted: true,
      kept: true,
      tooHot: ['BadRequestError', 400, 'invalid_value'],
    })
    expect(seen.streamed).toBe(seen.whole)
    expect(seen.batchAnswer).toBe(seen.whole)
    expect(new Set(seen.echoedLogprobs)).toEqual(new Set([true]))
    expect([seen.response, seen.responseStreamed, seen.responseEnd]).toEqual([seen.whole, seen.whole, seen.whole])
    expect(seen.completion.length).toBeGreaterThan(0)
  },
  TIMEOUT_MS,
)
