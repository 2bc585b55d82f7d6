/**
 * `tabswarm bench api`: many clients that stream answers at once, on a gateway of its own whose driver computes nothing, or on a coordinator that runs.
 * The clients have a process of their own, so that the memory is the gateway's.
 */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import { type ApiFigures, apiFigures } from './apiFigures.ts'
import { figureLines } from './figureLines.ts'
import { printJson, printLine, printNote, wholeNumber } from './output.ts'

interface BenchOptions {
  readonly clients: number
  readonly requests: number
  readonly tokens: number
  readonly tokenMs: number
  readonly url?: string
  readonly model?: string
  readonly json: boolean
}

/** Megabytes. */
interface Memory {
  readonly rssBefore: number
  readonly rssMost: number
  readonly heapMost: number
}

const KEY_VARIABLE = 'TABSWARM_KEY'
const MEMORY_MS = 50
/** One line of JSON. */
const CLIENTS_OUTPUT_BYTES_MAX = 1024 * 1024

export function registerBenchApi(bench: Command): void {
  bench
    .command('api')
    .description('clients that stream answers at once: time to the first text, tokens a second, errors, memory')
    .option('--clients <n>', 'at once', wholeNumber('--clients', 1, 1_000), 50)
    .option('--requests <n>', 'of each client, one after another', wholeNumber('--requests', 1, 10_000), 4)
    .option('--tokens <n>', 'of each answer', wholeNumber('--tokens', 2, 100_000), 200)
    .option('--token-ms <n>', 'a token every so many ms, of the driver that computes nothing', wholeNumber('--token-ms', 1, 10_000), 20)
    .option('--url <url>', `of a running coordinator’s API, with /v1; its key is read from ${KEY_VARIABLE}`)
    .option('--model <id>', 'the model to ask there; left out: the first that it lists')
    .option('--json', 'one JSON value on stdout', false)
    .action(benchApi)
}

async function benchApi(options: BenchOptions): Promise<void> {
  const { clients, requests, tokens, json } = options
  const asked = { clients, requestsEach: requests, tokensEach: tokens }
  const figures =
    options.url === undefined
      ? { ...asked, tokenMs: options.tokenMs, ...(await onFastSwarm(options)) }
      : { ...asked, ...(await onCoordinator(options.url, options)) }
  if (json) return printJson(figures)
  for (const line of figureLines(figures)) printLine(line)
}

async function onFastSwarm(options: BenchOptions): Promise<ApiFigures & { readonly memoryMb: Memory }> {
  const [{ startFastSwarm }, { nodeClock: clock }] = await Promise.all([import('./fastSwarm.ts'), import('../node/index.ts')])
  const swarm = await startFastSwarm({ clock, tokenMs: options.tokenMs, word: ' word', log: printNote })
  const before = process.memoryUsage()
  const most = { rss: before.rss, heap: before.heapUsed }
  const timer = setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage()
    most.rss = Math.max(most.rss, rss)
    most.heap = Math.max(most.heap, heapUsed)
  }, MEMORY_MS)
  try {
    const figures = await inOwnProcess(swarm.baseUrl, options)
    return { ...figures, memoryMb: { rssBefore: megabytes(before.rss), rssMost: megabytes(most.rss), heapMost: megabytes(most.heap) } }
  } finally {
    clearInterval(timer)
    await swarm.close()
  }
}

/** The same command again, as its clients. */
async function inOwnProcess(baseUrl: string, { clients, requests, tokens }: BenchOptions): Promise<ApiFigures> {
  const numbers = ['--clients', clients, '--requests', requests, '--tokens', tokens].map(String)
  const script = fileURLToPath(new URL('../../bin/tabswarm.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script, 'bench', 'api', '--url', baseUrl, ...numbers, '--json'], {
    maxBuffer: CLIENTS_OUTPUT_BYTES_MAX,
  })
  const { clients: _clients, requestsEach: _requests, tokensEach: _tokens, ...figures } = JSON.parse(stdout)
  return figures
}

async function onCoordinator(baseUrl: string, options: BenchOptions): Promise<ApiFigures> {
  const { runApiClients } = await import('./apiClients.ts')
  const key = process.env[KEY_VARIABLE] ?? null
  const model = options.model ?? (await firstModel(baseUrl, key))
  const startMs = performance.now()
  const samples = await runApiClients({ ...options, baseUrl, key, model })
  return apiFigures(samples, performance.now() - startMs)
}

async function firstModel(baseUrl: string, key: string | null): Promise<string> {
  const response = await fetch(`${baseUrl}/models`, { headers: key === null ? {} : { authorization: `Bearer ${key}` } })
  const { data, error } = await response.json()
  if (data?.[0]?.id === undefined) throw new Error(`${baseUrl} lists no models: ${error?.message ?? response.status}`)
  return data[0].id
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10
}
