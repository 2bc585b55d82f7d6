/**
 * Machines that contribute without a browser, as `tabswarm contribute` begins them: they share the model, answer over WebRTC, take over from one that
 * is killed, say goodbye when they are told to stop, and earn.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ensureWebApp, resolveModel } from '../../src/node/index.ts'
import { createServer, openServerStore, type Server } from '../../src/server.ts'
import { required } from '../../src/shared/index.ts'

const TIMEOUT_MS = 240_000
const PROGRAM = fileURLToPath(new URL('../../bin/tabswarm.mjs', import.meta.url))

/** What a machine says, line by line. */
class Machine {
  readonly folder: string
  readonly lines: Record<string, unknown>[] = []
  readonly process: ChildProcess
  readonly ended: Promise<number | null>

  constructor(folder: string, url: string) {
    this.folder = folder
    this.process = spawn(process.execPath, [PROGRAM, 'contribute', '--url', url, '--data', folder, '--engine', 'wasm', '--json'])
    let rest = ''
    this.process.stdout?.on('data', (bytes: Buffer) => {
      const lines = `${rest}${bytes}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.lines.push(JSON.parse(line) as Record<string, unknown>)
    })
    this.ended = new Promise((resolve) => this.process.on('exit', resolve))
  }

  last(kind: string): Record<string, unknown> | undefined {
    return this.lines.findLast((line) => line.kind === kind)
  }

  get isServing(): boolean {
    return this.last('contribution')?.state === 'serving'
  }
}

let folder: string
let server: Server
let client: OpenAI
let model: string
const machines: Machine[] = []

function begin(name: string): Machine {
  const machine = new Machine(join(folder, name), server.url)
  machines.push(machine)
  return machine
}
async function serve(machine: Machine): Promise<void> {
  const endsMs = Date.now() + TIMEOUT_MS
  while (!machine.isServing) {
    if (Date.now() > endsMs) throw new Error(`it says: ${JSON.stringify(machine.lines.slice(-3))}`)
    await new Promise((done) => setTimeout(done, 100))
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-contribute-'))
  const served = await resolveModel('default')
  model = served.hashedManifest.manifest.id
  const opening = openServerStore({ kind: 'memory' })
  const webRoot = await ensureWebApp(() => undefined)
  server = await createServer({ host: '127.0.0.1', port: 0, models: [served], minStages: 2, webRoot, store: opening, log: () => undefined })
  const store = await opening
  const account = (await store.accounts.createNamed('a stranger')).id
  const { text } = await store.keys.create(account, 'laptop', { models: null, pools: null, budget: null, requestsAMinute: null })
  client = new OpenAI({ apiKey: text, baseURL: new URL('/v1', server.url).href })
  await Promise.all([begin('one'), begin('two')].map(serve))
}, TIMEOUT_MS)
afterAll(async () => {
  for (const { process: child } of machines) child.kill('SIGKILL')
  await server?.close()
  await rm(folder, { recursive: true, force: true })
})

const asked = () => ({
  model,
  messages: [{ role: 'user' as const, content: 'Tell me a story about a lighthouse.' }],
  max_tokens: 60,
  temperature: 0,
})
let undisturbed: string

it('two machines share the model and answer, the account of each in a file of its owner’s alone', async () => {
  const { choices, usage } = await client.chat.completions.create(asked())
  undisturbed = required(choices[0]?.message.content, 'an answer')
  expect(undisturbed.length).toBeGreaterThan(40)
  const { routes } = (usage as unknown as { tabswarm: { routes: readonly { readonly stages: readonly { readonly engine: string }[] }[] } })
    .tabswarm
  expect(routes[0]?.stages.map(({ engine }) => engine)).toEqual(['wasm', 'wasm'])
  const path = join(required(machines[0], 'a machine').folder, 'contributor.json')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ phrase: expect.stringMatching(/^(?:[a-z]+ ){11}[a-z]+$/) })
})

it('one that is killed in mid-answer is replaced by another, and the answer is the same', async () => {
  await serve(begin('three'))
  const stream = await client.chat.completions.create({ ...asked(), stream: true })
  let text = ''
  let isKilled = false
  for await (const { choices } of stream) {
    text += choices[0]?.delta.content ?? ''
    if (isKilled || text.length < 20) continue
    isKilled = true
    const busy = machines.find((machine) => machine.isServing && machine.last('contribution')?.sessionsOpen === 1)
    required(busy, 'a machine that computes').process.kill('SIGKILL')
  }
  expect(isKilled).toBe(true)
  expect(text).toBe(undisturbed)
})

it('they earn, and one that is told to stop says goodbye and ends with 0', async () => {
  const alive = machines.filter(({ process: child }) => child.signalCode === null && child.exitCode === null)
  expect(alive).toHaveLength(2)
  const worth = (machine: Machine) => Number(machine.last('earned')?.earned ?? 0) + Number(machine.last('earned')?.escrow ?? 0)
  await expect.poll(() => alive.some((machine) => worth(machine) > 0), { timeout: 60_000 }).toBe(true)
  const [leaving] = alive
  leaving?.process.kill('SIGTERM')
  expect(await leaving?.ended).toBe(0)
})

it('comes back as the same account', async () => {
  const [leaving] = machines.filter(({ process: child }) => child.exitCode === 0)
  const { folder: kept } = required(leaving, 'a machine that has stopped')
  const before = await readFile(join(kept, 'contributor.json'), 'utf8')
  const again = new Machine(kept, server.url)
  machines.push(again)
  await serve(again)
  expect(await readFile(join(kept, 'contributor.json'), 'utf8')).toBe(before)
})

it('says what is wrong with an address where nobody is, and ends with 1', async () => {
  const machine = new Machine(join(folder, 'nobody'), 'http://127.0.0.1:9')
  expect(await machine.ended).toBe(1)
  expect(machine.lines.at(-1)).toMatchObject({ error: { reason: 'unreachable' } })
})
