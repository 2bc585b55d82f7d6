/** What both databases must do alike: PGlite in a folder, and Postgres. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { keyIdentity } from '../../src/coordinator/accounts/index.ts'
import {
  type Command,
  DEFAULT_PRICES,
  EARNED,
  encodeLine,
  LedgerAudit,
  parseLine,
  verifyConsistency,
  verifyHead,
  verifyInclusion,
} from '../../src/coordinator/ledger/index.ts'
import {
  AccountStore,
  KeyStore,
  LedgerStore,
  openDatabase,
  restoreBackup,
  TrustStore,
  writeBackup,
} from '../../src/coordinator/store/index.ts'
import { sha256Of, signatureVerifier } from '../../src/network/index.ts'
import { nodeClock } from '../../src/node/modelFile.ts'
import { ManualClock, required } from '../../src/shared/index.ts'
import { runClients } from '../support/ledger/clients.ts'
import { priceCommands } from '../support/ledger/commands.ts'
import { freshPlace, openStore, runSql, type SharedDatabase, shareDatabase, storeKinds } from '../support/ledger/stores.ts'

const isLong = process.env.TABSWARM_LONG === '1'
const sha256 = sha256Of(crypto.subtle)
const verify = signatureVerifier(crypto.subtle)

const gift = (reference: string, amount = 5n, account = 'ann'): Command => ({
  kind: 'issue',
  reference,
  account,
  purse: EARNED,
  amount,
  note: '',
})

describe.each(storeKinds)('store on %s', (kind) => {
  // A new PGlite takes longer than most of these tests: those that only add to a ledger share one, and count from what is there.
  let shared: SharedDatabase
  let store: LedgerStore
  beforeAll(async () => {
    shared = await shareDatabase(kind)
    store = await LedgerStore.open(shared.database, { clock: nodeClock })
    for (const command of priceCommands) await store.post(command)
  })
  afterAll(async () => {
    await store.close()
    await shared.close()
  })

  it('random operations of concurrent clients keep every invariant', { timeout: isLong ? 3_600_000 : 300_000 }, async () => {
    const before = (await store.audit()).events
    const count = isLong ? 100_000 : 2_000
    const { posted, refused } = await runClients([store], count, 7)
    const { events } = await store.audit()
    expect(events).toBe(before + posted.size)
    expect(posted.size).toBeGreaterThan(count / 20)
    expect(refused).toBeGreaterThan(0)
    const accounts = ['ann', 'bob', 'cem', 'dee']
    const [balances, paid] = [await store.balances(), await Promise.all(accounts.map((account) => store.paid(account)))]
    expect(Math.max(...paid.map(Number))).toBeGreaterThan(0)
    await store.rebuild()
    expect(await store.balances()).toEqual(balances)
    expect(await Promise.all(accounts.map((account) => store.paid(account)))).toEqual(paid)
    const first = required(accounts[0], 'an account')
    await runSql(shared, `update ledger_paid set amount = amount + 1 where owner = '${first}'`)
    await expect(store.audit()).rejects.toThrow(/what was paid out to ann is recorded as/)
    await store.rebuild()
    await store.audit()
  })

  it('what a coordinator finds when it starts: prices in force, holds and escrows that are open, and trust', async () => {
    const work = { decode: 1_000_000_000_000n, prompt: 0n, cachedPrompt: 0n }
    const held = (session: string): Command => ({ kind: 'hold', session, account: 'gil', amount: 9n, priceVersion: 0, tier: 'standard' })
    const stages = [{ account: 'fay', work, newcomer: false }]
    await store.post(gift('for-gil', 1_000_000n, 'gil'))
    await store.post({ kind: 'issue', reference: 'fund', account: null, purse: EARNED, amount: 1_000_000n, note: '' })
    for (const session of ['open-1', 'open-2', 'open-3']) await store.post(held(session))
    await store.post({ kind: 'settle', session: 'open-2', part: 0, work, stages })
    await store.post({ kind: 'cover', session: 'open-3', work, stages })
    for (const session of ['open-2', 'open-3']) await store.post({ kind: 'release', session })
    const mine = (open: readonly { session: string; owner: string }[]) => open.filter(({ owner }) => ['gil', 'fay'].includes(owner))
    expect(mine(await store.open('hold'))).toMatchObject([{ session: 'open-1', owner: 'gil' }])
    expect(mine(await store.open('escrow'))).toMatchObject([
      { session: 'open-2', owner: 'fay' },
      { session: 'open-3', owner: 'fay' },
    ])
    await store.post({ kind: 'payout', session: 'open-2', account: 'fay', part: 0 })
    await store.post({ kind: 'refund', session: 'open-3', account: 'fay', part: 0 })
    expect(mine(await store.open('escrow'))).toEqual([])
    expect(await store.paid('fay')).toBe(7n)
    expect(await store.prices()).toEqual(priceCommands.at(-1))

    const trust = new TrustStore(shared.database)
    const record = { validInARow: 3, sinceAudit: 1, failures: 0, strikesMs: [1_800_000_000_000] }
    await trust.save(new Map([['gil', record]]))
    const worse = { validInARow: 0, sinceAudit: 0, failures: 2, strikesMs: [] }
    await trust.save(
      new Map([
        ['gil', worse],
        ['fay', record],
      ]),
    )
    await trust.save(new Map())
    expect(new Map(await trust.load())).toEqual(
      new Map([
        ['gil', worse],
        ['fay', record],
      ]),
    )
  })

  it('an account verifies the inclusion of its lines, and that each head extends the last it saw', async () => {
    let seen = (await store.post(gift('first', 1n, 'eve'))).head
    for (let round = 0; round < 4; round++) {
      // More than one kept subtree of 256 leaves.
      await Promise.all(
        Array.from({ length: 90 }, (_, index) => store.post(gift(`eve-${round}-${index}`, 1n, index % 9 === 0 ? 'eve' : 'bob'))),
      )
      const head = required(await store.head(), 'a head')
      expect(await verifyHead(head, verify)).toBe(true)
      const claim = { oldSize: seen.size, oldRoot: seen.root, size: head.size, root: head.root }
      expect(await verifyConsistency(claim, await store.consistency(seen.size, head.size), sha256)).toBe(true)
      seen = head
    }
    const own = await store.events('eve', 0, 100)
    expect(own).toHaveLength(41)
    for (const { event, hash } of own) {
      const path = await store.inclusion(event.sequence, seen.size)
      expect(await verifyInclusion({ leaf: hash, index: event.sequence, size: seen.size, root: seen.root }, path, sha256)).toBe(true)
    }
  })

  it('is as it was after it was closed and opened again; its export passes an audit, and lines changed behind its back are named', async () => {
    const place = await freshPlace(kind)
    const first = await openStore(place)
    for (const command of priceCommands) await first.store.post(command)
    await runClients([first.store], 300, 3)
    const { event, head } = await first.store.post(gift('r'))
    await first.close()
    const opened = await openStore(place)
    const { store } = opened
    expect(await store.head()).toEqual(head)
    expect(await store.post(gift('r'))).toEqual({ event, repeated: true, head })
    await expect(store.post(gift('r', 6n))).rejects.toMatchObject({ reason: 'conflict' })
    expect((await store.post(gift('s'))).head.publicKey).toBe(head.publicKey)
    const texts: string[] = []
    await store.forEachLine((line) => void texts.push(encodeLine(line)))
    const audit = new LedgerAudit(sha256, verify)
    for (const text of texts) {
      const line = parseLine(text)
      if (!line.ok) return expect.fail(line.error.message)
      await audit.take(line.value)
    }
    expect(audit.finish()).toEqual(await store.audit())
    await expect(runSql(opened, 'delete from ledger_postings')).rejects.toThrow()
    await runSql(opened, `update ledger_balances set amount = amount + 1 where kind = 'user' and owner = 'ann'`)
    await expect(store.audit()).rejects.toThrow(/the balance of user:ann::.* is recorded as/)
    await store.rebuild()
    await store.audit()
    await runSql(opened, 'alter table ledger_postings disable trigger all')
    await runSql(opened, 'update ledger_postings set amount = amount * 2 where sequence = 20')
    await expect(store.audit()).rejects.toThrow(/event 20 \(.*\) was changed/)
  })

  it('the database itself refuses a negative balance of anybody but issuance', async () => {
    const insert = (account: string) => sql.raw(`insert into ledger_balances values (${account}, '', 'nobody', -1)`)
    await expect(shared.database.queries.execute(insert(`'user', 'ann'`))).rejects.toThrow()
    const kept = shared.database.queries.transaction(async (tx) => {
      await tx.execute(insert(`'issuance', ''`))
      throw new Error('it took that')
    })
    await expect(kept).rejects.toThrow('it took that')
  })

  if (kind === 'pglite')
    it('a second process on its folder is refused by name', async () => {
      await expect(openStore(shared.place)).rejects.toMatchObject({
        reason: 'in-use',
        message: expect.stringContaining(`process ${process.pid}`),
      })
    })

  if (kind === 'pglite')
    it('lets nobody else of this machine into its folder, where the key that signs the ledger lies', async () => {
      const { place } = shared
      if (place.kind !== 'folder') throw new Error('a folder was expected')
      expect((await stat(join(place.folder, 'pglite'))).mode & 0o777).toBe(0o700)
    })
})

describe('backup', () => {
  async function* lines(texts: readonly string[]) {
    yield* texts
  }

  it.each([
    ['pglite', 'postgres'],
    ['postgres', 'pglite'],
  ] as const)(
    'of %s is restored into %s, with its key, and goes on there; one that is cut or changed restores nothing',
    async (from, to) => {
      const source = await openStore(await freshPlace(from))
      await source.store.post({ kind: 'price', version: 0, table: DEFAULT_PRICES })
      await source.store.post(gift('large', 2n ** 53n + 1n))
      await runClients([source.store], 200, 9)
      const tools = { clock: nodeClock, randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)) }
      const { id } = await new AccountStore(source.database, tools).contact(keyIdentity(tools.randomBytes(65)), { address: '192.0.2.1' })
      const scope = { models: ['m', 'n'], pools: null, budget: 2n ** 53n + 1n, requestsAMinute: 60 }
      const { key } = await new KeyStore(source.database, tools).create(id, 'laptop, "mine"', scope)
      const saved: string[] = []
      await writeBackup(source.database, (line) => void saved.push(line))
      const database = await openDatabase(await freshPlace(to))
      onTestFinished(() => database.close())
      const restore = (texts: readonly string[]) => restoreBackup(database, lines(texts), { sha256, verify })
      await expect(restore(saved.slice(0, -1))).rejects.toMatchObject({ reason: 'bad-backup' })
      await expect(restore(['{}'])).rejects.toMatchObject({ reason: 'bad-backup' })
      const forged = saved.map((line) => line.replace('9007199254740993', '9007199254740994'))
      await expect(restore(forged)).rejects.toMatchObject({ reason: 'broken' })
      // Only an empty store takes one: so nothing of these was left.
      expect(await restore(saved)).toEqual(await source.store.audit())
      const restored = await LedgerStore.open(database, { clock: nodeClock })
      expect(await restored.balances()).toEqual(await source.store.balances())
      expect((await restored.post(gift('next'))).head.publicKey).toBe((await source.store.head())?.publicKey)
      expect(await new KeyStore(database, tools).list(id)).toEqual([key])
      expect(await new AccountStore(database, tools).details(id)).toEqual(await new AccountStore(source.database, tools).details(id))
      await expect(restore(saved)).rejects.toMatchObject({ reason: 'not-empty' })
    },
  )
})

describe('store', () => {
  it('what arrives within 20 ms shares a transaction, and is answered after it; a hold takes it along at once', async () => {
    const clock = new ManualClock()
    const { store } = await openStore(await freshPlace('postgres'), clock)
    const answered: string[] = []
    const post = (command: Command, name: string) => store.post(command).then(({ head }) => answered.push(`${name}:${head.size}`))
    const first = [post(gift('a'), 'a')]
    clock.advance(19)
    first.push(post({ kind: 'price', version: 0, table: DEFAULT_PRICES }, 'price'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answered).toEqual([])
    clock.advance(1)
    await Promise.all(first)
    expect(answered).toEqual(['a:2', 'price:2'])
    const second = [post(gift('b'), 'b')]
    second.push(post({ kind: 'hold', session: 's', account: 'ann', amount: 7n, priceVersion: 0, tier: 'spot' }, 'hold'))
    await Promise.all(second)
    expect(answered.slice(2)).toEqual(['b:4', 'hold:4'])
  })

  it('several coordinators on one Postgres: one order of events, nothing twice, nobody below zero', async () => {
    const place = await freshPlace('postgres')
    const opened = await Promise.all([openStore(place), openStore(place), openStore(place)])
    const stores = opened.map(({ store }) => store)
    for (const command of priceCommands) await Promise.all(stores.map((store) => store.post(command)))
    const { posted } = await runClients(stores, 600, 11)
    const { events } = await required(stores[0], 'a store').audit()
    expect(events).toBe(posted.size + priceCommands.length)
  })
})
