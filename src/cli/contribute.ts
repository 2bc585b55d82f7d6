/**
 * `tabswarm contribute`: a machine computes for a coordinator without a browser, by the same rules as a tab, until it is told to stop. Prints what becomes of
 * it, a line each.
 */

import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import type { EngineChoice, PeerState, VolunteerState } from '../peer/index.ts'
import { formatCredits, fromErrorBody, TabswarmError } from '../shared/index.ts'
import { printJson, printLine, UsageError, wholeNumber } from './output.ts'
import { parseEngine } from './serve.ts'

interface ContributeFlags {
  readonly url: string
  readonly data: string
  readonly memory: number
  readonly engine: EngineChoice
  readonly json: boolean
}

interface Line {
  /** One of a kind follows another only where it says something else. */
  readonly kind: string
  readonly text: string
  readonly json: object
}

const MEMORY_MB_MAX = 1_000_000
/** Sessions are handed over, and the last receipts told, by then. */
const STOP_MS = 5_000
/** A coordinator that is there answers. */
const ANSWER_MS = 10_000

export function registerContributeCommand(program: Command): void {
  program
    .command('contribute')
    .description('compute for a coordinator without a browser, until stopped with Ctrl-C')
    .requiredOption('--url <url>', 'the coordinator, as in https://swarm.example')
    .option('--data <folder>', 'where the account that earns is kept; its recovery phrase lies there in the open', 'data')
    .option('--memory <MB>', 'memory to pledge', wholeNumber('--memory', 64, MEMORY_MB_MAX), 1_024)
    .option('--engine <engine>', 'webgpu (Dawn), wasm (no GPU), or auto: the faster one', parseEngine, 'auto')
    .option('--json', 'each line as one JSON value', false)
    .action(contribute)
}

async function contribute({ url, data, memory, engine, json }: ContributeFlags): Promise<void> {
  const origin = originOf(url)
  await checkCoordinator(origin)
  const folder = resolve(data)
  await mkdir(folder, { recursive: true })
  const { openContributor } = await import('../contributor/index.ts')
  const accountPath = join(folder, 'contributor.json')
  const runtime = await openContributor({ origin, accountPath, weightsPath: join(folder, 'weights'), fetch: (at, init) => fetch(at, init) })
  const print = (line: Line) => (json ? printJson(line.json) : printLine(line.text))
  const printed = new Map<string, string>()
  const tell = (lines: readonly (Line | null)[]) => {
    for (const line of lines) {
      if (line === null || printed.get(line.kind) === line.text) continue
      printed.set(line.kind, line.text)
      print(line)
    }
  }
  print({
    kind: 'account',
    text: `what this machine earns belongs to the account in ${accountPath}`,
    json: { kind: 'account', accountPath },
  })
  runtime.store.subscribe((state) => tell([connectionLine(state), volunteerLine(state.volunteer), earnedLine(state), alarmLine(state)]))
  runtime.contribute({ pledgeBytes: memory * 1e6, engine })
  const failure = await ended(runtime.store)
  runtime.stopContributing()
  await Promise.race([until(runtime.store, ({ volunteer }) => volunteer.kind === 'off'), new Promise((done) => setTimeout(done, STOP_MS))])
  runtime.dispose()
  if (failure !== null) throw fromErrorBody(failure)
  // Sockets and threads of a process that has said goodbye.
  process.exit()
}

function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol))
    throw new UsageError(`--url must be the address of a coordinator, as in https://swarm.example, not "${url}"`)
  return parsed.origin
}

/** Rejects with a TabswarmError: somebody who is not there would be tried again for ever. */
async function checkCoordinator(origin: string): Promise<void> {
  const { parseModelList } = await import('../protocol/index.ts')
  const response = await fetch(new URL('/models', origin), { signal: AbortSignal.timeout(ANSWER_MS) }).catch((error: unknown) => {
    const { cause } = error as { readonly cause?: unknown }
    const why = cause instanceof Error ? cause.message : String(error)
    throw new TabswarmError('unreachable', `nobody answers at ${origin} (${why}); check the address, and that the coordinator runs`)
  })
  const list: unknown = response.ok ? await response.json().catch(() => null) : null
  if (!parseModelList(list).ok)
    throw new TabswarmError('unreachable', `${origin} is no coordinator of this version: its list of models cannot be read`)
}

/** When a person or the machine ends it: null; or why it cannot go on. */
function ended(store: Store): Promise<Extract<VolunteerState, { kind: 'failed' }>['error'] | null> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done(null))
    void until(store, ({ volunteer }) => volunteer.kind === 'failed').then(({ volunteer }) => {
      if (volunteer.kind === 'failed') done(volunteer.error)
    })
  })
}

type Store = Awaited<ReturnType<typeof import('../contributor/index.ts')['openContributor']>>['store']

function until(store: Store, holds: (state: PeerState) => boolean): Promise<PeerState> {
  return new Promise((done) => {
    const look = (state: PeerState) => {
      if (!holds(state)) return
      unsubscribe()
      done(state)
    }
    const unsubscribe = store.subscribe(look)
    look(store.getState())
  })
}

function connectionLine({ connection }: PeerState): Line | null {
  if (connection.kind === 'connecting') return null
  const text = connection.kind === 'online' ? 'connected' : `not connected: ${connection.error.message}`
  const json = connection.kind === 'online' ? { isConnected: true } : { isConnected: false, error: connection.error }
  return { kind: 'connection', text, json: { kind: 'connection', ...json } }
}

function volunteerLine(volunteer: VolunteerState): Line | null {
  const json = { kind: 'contribution', state: volunteer.kind }
  const line = (text: string, more: object = {}): Line => ({ kind: 'contribution', text, json: { ...json, ...more } })
  switch (volunteer.kind) {
    case 'off':
    case 'failed':
      return null
    case 'starting':
      return line('looking for what can compute here')
    case 'waiting': {
      const { adapter, engine } = volunteer.gpu
      return line(`pledged, computing on ${adapter} (${engine}); waiting for layers`, { adapter, engine })
    }
    case 'loading': {
      const { span, modelId, bytesLoaded, bytesTotal } = volunteer
      const tenths = Math.floor((10 * bytesLoaded) / Math.max(1, bytesTotal))
      return line(`loading layers ${describe(span)} of ${modelId}: ${10 * tenths} %`, { modelId, span, percent: 10 * tenths })
    }
    case 'serving': {
      const { span, modelId, layerCount, work } = volunteer
      const { sessionsOpen, sessionsServed, positions } = work
      const what = `layers ${describe(span)} of ${layerCount} of ${modelId}`
      const served = { sessionsOpen, sessionsServed, positions }
      return line(`serving ${what}: ${sessionsOpen} sessions open, ${sessionsServed} served`, { modelId, span, layerCount, ...served })
    }
    case 'recovering':
      return line(`the GPU was lost and is looked for again: ${volunteer.reason}`, { reason: volunteer.reason })
    case 'draining':
      return line(`this machine is wanted elsewhere (${volunteer.reason}): sessions are handed over`, { reason: volunteer.reason })
    case 'paused':
      return line(`paused while this machine is wanted elsewhere (${volunteer.reason})`, { reason: volunteer.reason })
    case 'stopping':
      return line('stopping')
  }
}

function earnedLine({ account }: PeerState): Line | null {
  if (account === null) return null
  const [earned, escrow] = [formatCredits(account.earned), formatCredits(account.escrow)]
  return {
    kind: 'earned',
    text: `earned ${earned} credits, and ${escrow} that are not paid out yet`,
    json: { kind: 'earned', earned, escrow },
  }
}

function alarmLine({ ledgerAlarm }: PeerState): Line | null {
  return ledgerAlarm === null
    ? null
    : { kind: 'alarm', text: `the ledger: ${ledgerAlarm.what}`, json: { kind: 'alarm', what: ledgerAlarm.what } }
}

/** As people count: the first layer is 1. */
function describe({ firstLayer, endLayer }: { readonly firstLayer: number; readonly endLayer: number }): string {
  return `${firstLayer + 1}–${endLayer}`
}
