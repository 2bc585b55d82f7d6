/**
 * `tabswarm bench ledger`: settled requests a second on PGlite, with shared transactions and without, in turn on one store, so that other work
 * on the machine slows both. A settled request is a hold, a settlement with three stages' shares, and the release of the rest, each
 * acknowledged before the next is posted.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Command } from 'commander'
import type { Work } from '../coordinator/ledger/index.ts'
import type { Database, LedgerStore } from '../coordinator/store/index.ts'
import { median } from '../kernels/suite/index.ts'
import { printJson, printLine, printNote, wholeNumber } from './output.ts'

interface BenchOptions {
  readonly requests: number
  readonly clients: number
  readonly rounds: number
  readonly json: boolean
}

interface Speed {
  readonly perSecond: number
  /** Of this process' own time on the processor: what a second holds when nobody else wants the machine. */
  readonly perCpuSecond: number
}

interface RoundSpeeds {
  readonly shared: Speed
  readonly unshared: Speed
}

/** Stages of a request, each with an account of its own. */
const STAGES = 3
/** Accounts that stages belong to. */
const VOLUNTEERS = 50
/** Unshared ones are slow: so many times fewer are timed. */
const UNSHARED_PART = 4

export function registerBenchLedger(bench: Command): void {
  bench
    .command('ledger')
    .description('settled requests a second on PGlite, with shared transactions and without')
    .option('--requests <n>', 'settled in each round with sharing', wholeNumber('--requests', 8, 1_000_000), 1_500)
    .option('--clients <n>', 'requests under way at a time', wholeNumber('--clients', 1, 1_000), 64)
    .option('--rounds <n>', 'both ways in turn', wholeNumber('--rounds', 1, 100), 3)
    .option('--json', 'one JSON value on stdout', false)
    .action(benchLedger)
}

async function benchLedger({ requests, clients, rounds, json }: BenchOptions): Promise<void> {
  const { LedgerStore, openDatabase } = await import('../coordinator/store/index.ts')
  const folder = await mkdtemp(path.join(tmpdir(), 'tabswarm-bench-'))
  let database: Database | null = null
  try {
    database = await openDatabase({ kind: 'folder', folder })
    const { nodeClock: clock } = await import('../node/index.ts')
    const shared = await LedgerStore.open(database, { clock })
    const unshared = await LedgerStore.open(database, { clock, sharing: false })
    await prepare(shared)
    const speeds: RoundSpeeds[] = []
    for (let round = 0; round < rounds; round++) {
      printNote(`round ${round + 1} of ${rounds}`)
      speeds.push({
        shared: await settleMany(shared, `shared-${round}`, requests, clients),
        unshared: await settleMany(unshared, `unshared-${round}`, Math.ceil(requests / UNSHARED_PART), clients),
      })
    }
    const { events, heads } = await shared.audit()
    report({ requests, clients, rounds, ...summary(speeds), events, transactions: heads }, json)
  } finally {
    await database?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function summary(rounds: readonly RoundSpeeds[]) {
  const middle = (of: (round: RoundSpeeds) => number) => Math.round(median(rounds.map(of)) * 10) / 10
  return {
    requestsPerSecond: middle(({ shared }) => shared.perSecond),
    requestsPerSecondUnshared: middle(({ unshared }) => unshared.perSecond),
    ratio: middle(({ shared, unshared }) => shared.perSecond / unshared.perSecond),
    requestsPerCpuSecond: middle(({ shared }) => shared.perCpuSecond),
    requestsPerCpuSecondUnshared: middle(({ unshared }) => unshared.perCpuSecond),
  }
}

function report(figures: ReturnType<typeof summary> & Readonly<Record<string, number>>, json: boolean): void {
  if (json) return printJson(figures)
  const { requestsPerSecond: shared, requestsPerSecondUnshared: unshared, ratio } = figures
  printLine(`${shared} settled requests/s with shared transactions, ${unshared} without: ${ratio} times as many`)
  printLine(`of one processor's second: ${figures.requestsPerCpuSecond} and ${figures.requestsPerCpuSecondUnshared}`)
  printLine(`${figures.events} events in ${figures.transactions} transactions, audited`)
}

async function prepare(store: LedgerStore): Promise<void> {
  const { DEFAULT_PRICES, EARNED } = await import('../coordinator/ledger/index.ts')
  await store.post({ kind: 'price', version: 0, table: DEFAULT_PRICES })
  await store.post({ kind: 'issue', reference: 'bench', account: 'requester', purse: EARNED, amount: 10n ** 15n, note: '' })
}

async function settleMany(store: LedgerStore, run: string, requests: number, clients: number): Promise<Speed> {
  let next = 0
  const client = async () => {
    while (next < requests) await settleRequest(store, `${run}-${next}`, next++)
  }
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  await Promise.all(Array.from({ length: clients }, client))
  const { user, system } = process.cpuUsage(startCpu)
  return { perSecond: (requests * 1e3) / (performance.now() - startMs), perCpuSecond: (requests * 1e6) / (user + system) }
}

async function settleRequest(store: LedgerStore, session: string, number: number): Promise<void> {
  const work = (decode: bigint): Work => ({ decode, prompt: 0n, cachedPrompt: 0n })
  const stages = Array.from({ length: STAGES }, (_, stage) => ({
    account: `volunteer-${(number * STAGES + stage) % VOLUNTEERS}`,
    work: work(1n),
    newcomer: false,
  }))
  await store.post({ kind: 'hold', session, account: 'requester', amount: 1_000n, priceVersion: 0, tier: 'standard' })
  await store.post({ kind: 'settle', session, part: 0, work: work(500_000_000n), stages })
  await store.post({ kind: 'release', session })
}
