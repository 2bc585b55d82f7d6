/** [E16] [E17] Heads of real ledgers, told over real sockets; and a coordinator that keeps two, one for some and another for others. */

import { cpSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { DEMO_STARTER_POLICY } from '../../src/coordinator/accounts/index.ts'
import { type CoordinatorStore, openStore } from '../../src/coordinator/store/index.ts'
import type { HeadAlarm } from '../../src/peer/headWatch.ts'
import { type Clock, required } from '../../src/shared/index.ts'
import { openRequester, type RequesterTab } from '../support/nodeTabs.ts'
import { openTinyModel } from '../support/tinyModels.ts'
import { startTestServer, type TestServer } from '../unit/coordinator/serverWorld.ts'

/** Heads are told every 30 s: so much faster here. */
const SPEED = 6
const clock: Clock = {
  nowMs: () => performance.timeOrigin + SPEED * performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs / SPEED)
    return () => clearTimeout(timer)
  },
}
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const model = await openTinyModel('llama')

interface Coordinator {
  readonly store: CoordinatorStore
  readonly server: TestServer
}

let folder: string
let open: Coordinator[] = []
let tabs: RequesterTab[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-heads-'))
})
afterEach(async () => {
  for (const tab of tabs) tab.close()
  for (const { server } of open) await server.close()
  ;[open, tabs] = [[], []]
  await rm(folder, { recursive: true, force: true })
})

async function start(name: string): Promise<Coordinator> {
  const store = await openStore({ kind: 'folder', folder: join(folder, name) }, { clock, randomBytes })
  const economy = { starters: DEMO_STARTER_POLICY, reserveADay: 1_000n, verification: {}, store: Promise.resolve(store) }
  const coordinator = { store, server: await startTestServer({ clock, economy }) }
  open.push(coordinator)
  return coordinator
}

async function joinTo({ server }: Coordinator): Promise<{ readonly tab: RequesterTab; readonly alarms: HeadAlarm[] }> {
  const tab = await openRequester({ url: server.url, clock, model })
  tabs.push(tab)
  const alarms: HeadAlarm[] = []
  tab.heads.onAlarm((alarm) => alarms.push(alarm))
  return { tab, alarms }
}

let issues = 0
async function issue({ store }: Coordinator, count: number): Promise<void> {
  const { id } = await store.accounts.createNamed('somebody')
  for (let made = 0; made < count; made++)
    await store.ledger.post({ kind: 'issue', reference: `r${issues++}`, account: id, purse: 'earned', amount: 7n, note: '' })
}

/** The head that the tab has when it has heard of all that there is. */
async function headOf({ store }: Coordinator, tab: RequesterTab) {
  const head = required(await store.ledger.head(), 'a head')
  await expect.poll(() => tab.heads.head?.size, { timeout: 60_000 }).toBe(head.size)
  return head
}

it('each tab is told, one head extends the other, and what others were told is of the same ledger', async () => {
  const one = await start('data')
  const [early, late] = [await joinTo(one), await joinTo(one)]
  await issue(one, 3)
  const first = await headOf(one, early.tab)
  await issue(one, 20)
  const second = await headOf(one, early.tab)
  await headOf(one, late.tab)
  expect(second.size).toBeGreaterThan(first.size)
  const fresh = await joinTo(one)
  await headOf(one, fresh.tab)
  for (const head of [first, second]) await fresh.tab.heads.heard(head)
  expect([...early.alarms, ...late.alarms, ...fresh.alarms]).toEqual([])
})

it('[V32] who is told of one half of a fork notices by the head of who is told of the other', async () => {
  const before = await start('data')
  await issue(before, 5)
  await before.server.close()
  open = []
  // The same past, the same key, and two futures.
  cpSync(join(folder, 'data'), join(folder, 'fork'), { recursive: true })
  const [one, other] = [await start('data'), await start('fork')]
  const [mine, theirs] = [await joinTo(one), await joinTo(other)]
  await issue(one, 4)
  await issue(other, 9)
  const shown = await headOf(other, theirs.tab)
  const own = await headOf(one, mine.tab)
  expect([own.publicKey === shown.publicKey, own.size === shown.size]).toEqual([true, false])
  await mine.tab.heads.heard(shown)
  expect(mine.alarms).toMatchObject([{ seen: { size: own.size }, head: { size: shown.size, root: shown.root } }])
  await theirs.tab.heads.heard(own)
  expect(theirs.alarms).toHaveLength(1)
})
