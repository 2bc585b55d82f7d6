/** kill -9 in the middle of load: no posting that was acknowledged is lost, and no invariant is broken. */

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { businessId } from '../../src/coordinator/ledger/index.ts'
import type { StorePlace } from '../../src/coordinator/store/index.ts'
import { freshPlace, openStore } from '../support/ledger/stores.ts'
import { startPostgres } from '../support/postgres.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const loadProcess = fileURLToPath(new URL('../support/ledger/loadProcess.ts', import.meta.url))

interface Load {
  readonly process: ChildProcess
  /** Business ids that were acknowledged so far; complete when `ended` has resolved. */
  readonly acknowledged: readonly string[]
  readonly ended: Promise<void>
  /** Resolves when so many were acknowledged; rejects when the process ends before. */
  reached(count: number): Promise<void>
}

function startLoad(place: StorePlace, run: string): Load {
  const child = spawn(process.execPath, ['--import', 'tsx', loadProcess, JSON.stringify(place), run], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  let errors = ''
  const acknowledged: string[] = []
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  child.stdout.on('data', (chunk) => {
    const lines = `${text}${chunk}`.split('\n')
    text = lines.pop() ?? ''
    acknowledged.push(...lines)
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const reached = (count: number) =>
    new Promise<void>((resolve, reject) => {
      const look = () => acknowledged.length >= count && resolve()
      child.stdout.on('data', look)
      void ended.then(() => reject(new Error(`the load ended after ${acknowledged.length} acknowledgements: ${errors}`)))
    })
  return { process: child, acknowledged, ended, reached }
}

/** What is in the store, once it has passed its audit. */
async function auditedIds(place: StorePlace): Promise<ReadonlySet<string>> {
  const { store, close } = await openStore(place)
  const ids = new Set<string>()
  await store.audit()
  await store.forEachLine((line) => void (line.kind === 'event' && ids.add(businessId(line.event.command))))
  await close()
  return ids
}

const ACKNOWLEDGED_MIN = 400

/** Loads the store of `place`, ends the load by `kill`, and checks that all that it acknowledged is there, beside what was before. */
async function loadAndKill(
  place: StorePlace,
  run: string,
  before: readonly string[],
  kill: (load: Load) => Promise<void>,
): Promise<string[]> {
  const load = startLoad(place, run)
  await load.reached(ACKNOWLEDGED_MIN)
  await kill(load)
  expect(load.acknowledged.length).toBeGreaterThanOrEqual(ACKNOWLEDGED_MIN)
  const all = [...before, ...load.acknowledged]
  const ids = await auditedIds(place)
  expect(all.filter((id) => !ids.has(id))).toEqual([])
  return all
}

async function killCoordinator(load: Load): Promise<void> {
  load.process.kill('SIGKILL')
  await load.ended
}

describe('killed under load: all that was acknowledged is there, and the next one goes on', () => {
  it('the coordinator on PGlite, twice', async () => {
    const place = await freshPlace('pglite')
    const first = await loadAndKill(place, 'one', [], killCoordinator)
    await loadAndKill(place, 'two', first, killCoordinator)
  })

  it('the coordinator on Postgres, then the Postgres server', async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    const place: StorePlace = { kind: 'server', url: server.url }
    const first = await loadAndKill(place, 'one', [], killCoordinator)
    await loadAndKill(place, 'two', first, async ({ ended }) => {
      await server.kill()
      await ended
      await server.start()
    })
  })
})
