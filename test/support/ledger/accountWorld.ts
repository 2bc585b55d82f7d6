/** AccountWorld: accounts, keys, teams, grants, codes and copies over one database, which the tests of a describe share. */

import { afterAll, beforeAll, beforeEach } from 'vitest'
import { areLinked, type Identity, type KeyScope, keyIdentity, type StarterPolicy } from '../../../src/coordinator/accounts/index.ts'
import { DEFAULT_PRICES, EARNED } from '../../../src/coordinator/ledger/index.ts'
import {
  AccountExport,
  AccountStore,
  BatchStore,
  DeviceStore,
  InvitationStore,
  KeyStore,
  LedgerStore,
  PairingStore,
  RecoveryStore,
  SealedStore,
  StarterStore,
  TeamStore,
  writeBackup,
} from '../../../src/coordinator/store/index.ts'
import { nodeClock } from '../../../src/node/modelFile.ts'
import { type Clock, required } from '../../../src/shared/index.ts'
import { NOON_MS } from './commands.ts'
import { type SharedDatabase, type StoreKind, shareDatabase } from './stores.ts'

export const DAY_MS = 86_400_000
export const ALL: KeyScope = { models: null, pools: null, budget: null, requestsAMinute: null }
export const POLICY: StarterPolicy = { amount: 1_000_000n, poolADay: 5_000_000n, grantsABlock: 2 }
export const nowhere = { address: null }
export const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
export const newIdentity = (): Identity => keyIdentity(randomBytes(65))

/** Time stands where a test puts it; timers run. */
class StandingClock implements Clock {
  readonly after = nodeClock.after
  #nowMs = NOON_MS

  nowMs(): number {
    return this.#nowMs
  }

  advance(durationMs: number): void {
    this.#nowMs += durationMs
  }

  moveTo(nowMs: number): void {
    this.#nowMs = nowMs
  }
}

async function openWorld(shared: SharedDatabase) {
  const { database } = shared
  const clock = new StandingClock()
  const tools = { clock, randomBytes }
  const ledger = await LedgerStore.open(database, tools)
  await ledger.post({ kind: 'price', version: 0, table: DEFAULT_PRICES })
  const accounts = new AccountStore(database, tools)
  const own = {
    accounts,
    devices: new DeviceStore(database, accounts, tools),
    keys: new KeyStore(database, tools),
    teams: new TeamStore(database, accounts, tools),
    recovery: new RecoveryStore(database, tools),
    ledger,
    sealed: new SealedStore(database, tools),
  }

  return {
    database,
    clock,
    tools,
    ...own,
    batches: new BatchStore(database, own.sealed, tools),
    exports: new AccountExport(own),
    invitations: new InvitationStore(database, tools),
    starters: new StarterStore(database, ledger, tools),
    pairing: new PairingStore(database, ledger, tools),

    /** The account of a new key. */
    contact: async (address: string | null = null, inviter?: string) =>
      (await accounts.contact(newIdentity(), inviter === undefined ? { address } : { address, inviter })).id,
    issue: (account: string, amount: bigint) =>
      ledger.post({ kind: 'issue', reference: `i-${crypto.randomUUID()}`, account, purse: EARNED, amount, note: '' }),
    linked: async (a: string, b: string) => {
      const ties = await accounts.ties([a, b])
      return areLinked(required(ties.get(a), 'ties'), required(ties.get(b), 'ties'))
    },
    /** All that a backup of the database says. */
    everything: async () => {
      const lines: string[] = []
      await writeBackup(database, (line) => void lines.push(line))
      return lines.join('\n')
    },
  }
}

type AccountWorld = Awaited<ReturnType<typeof openWorld>>

/** Opens one for the describe that calls it, and closes it behind its last test; what it returns is for its tests. */
export function accountWorld(kind: StoreKind): () => AccountWorld {
  let shared: SharedDatabase
  let world: AccountWorld
  beforeAll(async () => {
    shared = await shareDatabase(kind)
    world = await openWorld(shared)
  })
  afterAll(async () => {
    await world.ledger.close()
    await shared.close()
  })
  // Days of their own: a test's pool and months are empty.
  beforeEach(() => world.clock.advance(400 * DAY_MS))
  return () => world
}
