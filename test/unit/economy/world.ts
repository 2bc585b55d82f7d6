/**
 * EconomyWorld: the economy over a ledger and accounts in memory, with peers whose receipts a Ring signs, and a clock that tests move. The ledger's
 * rules are the real ones; only the database is not there.
 */

import {
  AccountError,
  type AccountRecord,
  type AccountTies,
  type ApiKey,
  DEFAULT_STARTER_POLICY,
  decideStarterGrant,
  FIRST_ROLES,
  type Identity,
  type StarterPolicy,
} from '../../../src/coordinator/accounts/index.ts'
import { Economy, type EconomyOptions, type EconomyStore } from '../../../src/coordinator/economy/index.ts'
import { Book } from '../../../src/coordinator/ledger/book.ts'
import {
  type Account,
  accountId,
  type Command,
  DEFAULT_PRICES,
  dayOf,
  EARNED,
  grantedUntil,
  type LedgerEvent,
  parseAccountId,
  priceOf,
  type SignedHead,
  Statement,
  workOf,
} from '../../../src/coordinator/ledger/index.ts'
import type { HolderId, TrustRecord } from '../../../src/coordinator/verification/index.ts'
import { type Grant, type Receipt, type ServerMessage, signReceipt } from '../../../src/protocol/index.ts'
import { type AccountRole, ManualClock, type ModelId, required, type SessionId, utf8Encode } from '../../../src/shared/index.ts'
import { modelConfig } from '../../support/modelConfig.ts'
import { NO_AUDITS } from '../../support/noAudits.ts'
import { grantOf, NOW_MS, peerOf, Ring } from '../verification/ring.ts'

/** As many layers as a Ring of three has. */
export const CONFIG = modelConfig({
  layerCount: 30,
  width: 512,
  headCount: 8,
  kvHeadCount: 8,
  headSize: 64,
  feedForwardWidth: 1_024,
  vocabularySize: 32_000,
  contextLength: 4_096,
})
export const MODEL = 'model' as ModelId

/** Of the rows that a session of the world has: 30 of a prompt, 20 decoded, each with a result. */
export const CHARGE = priceOf(
  DEFAULT_PRICES,
  'standard',
  workOf(CONFIG, { firstLayer: 0, endLayer: 30 }, [
    { kind: 'prompt', firstPosition: 0, rowCount: 30, resultCount: 0 },
    { kind: 'decode', firstPosition: 30, rowCount: 20, resultCount: 20 },
  ]),
)

/** Heads are the store's matter: here nobody looks at one. */
const NO_HEAD = { size: 0, root: '', atMs: 0, signature: '', publicKey: '' }

/** Only the real stores know it: test/store. */
const elsewhere = () => Promise.reject(new Error('this is tested in test/store'))

/** What outlives an Economy. */
export class MemoryStore implements EconomyStore {
  readonly isShared: boolean = false
  readonly book = new Book()
  readonly events: LedgerEvent[] = []
  readonly trusted = new Map<HolderId, TrustRecord>()
  readonly rolesOf = new Map<string, readonly AccountRole[]>()
  readonly tiesOf = new Map<string, Partial<AccountTies>>()
  readonly #accountOf = new Map<string, string>()
  readonly #granted = new Map<string, bigint>()
  readonly #keys: ApiKey[] = []
  readonly clock: ManualClock
  /** Of API keys' budgets, by session. */
  readonly reserved = new Map<string, { readonly id: string; readonly amount: bigint }>()
  /** Every call fails with it while it is set. */
  broken: Error | null = null
  /** What it would sign now. */
  head: SignedHead | null = null
  closed = false
  tidied = 0

  constructor(clock: ManualClock) {
    this.clock = clock
  }

  readonly accounts: EconomyStore['accounts'] = {
    contact: async (identity: Identity) => {
      this.#check()
      const id = this.#accountOf.get(identity.subject) ?? `account-${this.#accountOf.size}`
      this.#accountOf.set(identity.subject, id)
      return { id, name: '', roles: [], createdAtMs: 0, erasedAtMs: null }
    },
    ties: async (ids) => {
      this.#check()
      const plain = (account: string): AccountTies => ({ account, keys: [], teams: [], family: account, blocks: [] })
      return new Map(ids.map((id) => [id, { ...plain(id), ...this.tiesOf.get(id) }]))
    },
    record: async (id) => this.#record(id),
    count: async () => this.#ids().length,
    search: async (text, after, limit) => {
      const found = this.#ids().filter((id) => id.startsWith(text) && id > (after ?? ''))
      return found.slice(0, limit).map((id) => this.#record(id))
    },
    change: async (id, { roles }) => {
      if (roles !== undefined) this.rolesOf.set(id, roles)
      return this.#record(id)
    },
    erase: async (id) => {
      this.#check()
      for (const [subject, account] of this.#accountOf) if (account === id) this.#accountOf.set(subject, `account-after-${id}`)
    },
  }
  /** A key that was removed is of `alone-…`. */
  readonly devices: EconomyStore['devices'] = {
    list: async (id) => {
      const subjects = [...this.#accountOf].flatMap(([subject, account]) => (account === id ? [subject] : []))
      const removedAtMs = id.startsWith('alone-') ? this.clock.nowMs() : null
      return subjects.map((subject) => ({ subject, name: '', addedAtMs: 0, seenAtMs: 0, removedAtMs }))
    },
    rename: elsewhere,
    remove: async (account, subject) => {
      if (this.#accountOf.get(subject) !== account) throw new AccountError('unknown', 'there is no such device')
      this.#accountOf.set(subject, `alone-${subject}`)
      return { kind: 'key', subject }
    },
    removalNoted: elsewhere,
  }
  readonly teams: EconomyStore['teams'] = {
    create: elsewhere,
    change: elsewhere,
    add: elsewhere,
    remove: elsewhere,
    roleOf: elsewhere,
    of: elsewhere,
    members: elsewhere,
    invitationCount: elsewhere,
    setBudget: elsewhere,
  }
  readonly invitations: EconomyStore['invitations'] = { create: elsewhere, takeBack: elsewhere, accept: elsewhere }
  readonly exports: EconomyStore['exports'] = { facts: elsewhere, keys: elsewhere, lines: elsewhere }
  /** Copies and codes are the real store's matter, see test/store. */
  readonly recovery: EconomyStore['recovery'] = {
    keep: async () => this.#check(),
    find: () => Promise.reject(new AccountError('unknown-phrase', 'nothing is kept here')),
  }
  readonly pairing: EconomyStore['pairing'] = {
    create: async (account) => ({ text: account, expiresAtMs: this.clock.nowMs() }),
    join: async (account, { subject }) => {
      this.#check()
      this.#accountOf.set(subject, account)
      return account
    },
  }
  readonly keys: EconomyStore['keys'] = {
    create: async (account, name, { models, pools, budget, requestsAMinute }) => {
      const id = this.#keys.length.toString(16).padStart(16, '0')
      const [scope, times] = [
        { models, pools, budget, requestsAMinute },
        { createdAtMs: this.clock.nowMs(), usedAtMs: null, revokedAtMs: null },
      ]
      const key: ApiKey = { id, account, name, ...scope, ...times, storesResponses: false, spent: 0n }
      this.#keys.push(key)
      return { key, text: `tabswarm_${id}` }
    },
    list: async (account) => this.#keys.filter((key) => key.account === account),
    revoke: async (id, owner) => {
      const at = this.#keys.findIndex((key) => key.id === id && key.account === owner)
      const key = this.#keys[at]
      if (key === undefined) throw new AccountError('unknown', `there is no key ${id}`)
      this.#keys[at] = { ...key, revokedAtMs: this.clock.nowMs() }
    },
    authorize: async (text, request) => ({ ...this.#key(text.slice('tabswarm_'.length)), pool: request?.pool ?? 'public' }),
    reserve: async (id, session, amount) => {
      this.#check()
      const key = this.#key(id)
      if (key.spent + amount > (key.budget ?? key.spent + amount)) throw new AccountError('over-budget', `${amount} are needed`)
      this.#spend(key, amount)
      this.reserved.set(session, { id, amount })
    },
    move: async (from, session, amount) => {
      this.#check()
      const left = this.reserved.get(from)
      if (left === undefined || left.amount < amount) throw new Error(`${from} has no ${amount}`)
      this.reserved.set(from, { ...left, amount: left.amount - amount })
      this.reserved.set(session, { ...left, amount })
    },
    giveBack: async (session, returned) => {
      this.#check()
      const reserved = this.reserved.get(session)
      if (this.reserved.delete(session) && reserved !== undefined) this.#spend(this.#key(reserved.id), -returned)
    },
  }
  readonly starters: EconomyStore['starters'] = {
    grant: async (account, _address, policy = DEFAULT_STARTER_POLICY) => {
      this.#check()
      const lastDay = dayOf(this.clock.nowMs() + 30 * 86_400_000)
      const issuedToday = [...this.#granted.values()].reduce((sum, amount) => sum + amount, 0n)
      const before = this.#granted.get(account)
      if (before !== undefined) return { amount: before, lastDay }
      const decided = decideStarterGrant(policy, { issuedToday, inBlock: null })
      if (!decided.ok) throw decided.error
      this.#granted.set(account, decided.value)
      const [reference, purse] = [`starter-${account}`, grantedUntil(lastDay)]
      await this.ledger.post({ kind: 'issue', reference, account, purse, amount: decided.value, note: '' })
      return { amount: decided.value, lastDay }
    },
    issuedToday: async () => [...this.#granted.values()].reduce((sum, amount) => sum + amount, 0n),
  }
  readonly ledger: EconomyStore['ledger'] = {
    post: async (command: Command) => {
      this.#check()
      const result = this.book.post(command, this.clock.nowMs())
      if (!result.ok) throw result.error
      if (!result.value.repeated) this.events.push(result.value.event)
      return { ...result.value, head: NO_HEAD }
    },
    balances: async (owner) => {
      this.#check()
      return this.balances().filter(({ account }) => owner === undefined || account.owner === owner)
    },
    paid: async (owner) => {
      const paid = this.events
        .filter(({ command }) => command.kind === 'payout' || command.kind === 'audit')
        .flatMap(({ postings }) => postings)
      return paid.reduce((sum, { account, amount }) => (account.kind === 'user' && account.owner === owner ? sum + amount : sum), 0n)
    },
    open: async (kind) => {
      const open = this.balances().filter(({ account }) => account.kind === kind)
      const names = new Map(open.map(({ account: { session, owner } }) => [`${session}/${owner}`, { session, owner }]))
      return [...names.values()].map((name) => ({ ...name, sinceMs: this.#filledMs(kind, name.session) }))
    },
    statementPage: async (owner, month, from) => {
      const statement = new Statement(owner, month, [])
      const lines = this.events.filter(({ sequence }) => sequence >= from).flatMap((event) => statement.take(event))
      return { opening: statement.opening, closing: statement.summary().closing, lines, next: null }
    },
    totals: async () => {
      const totals = new Map<string, bigint>()
      for (const { account, amount } of this.balances()) totals.set(account.kind, (totals.get(account.kind) ?? 0n) + amount)
      return totals
    },
    spendable: async (owners) => {
      const sum = (owner: string) =>
        this.balances().reduce((all, { account, amount }) => (account.kind === 'user' && account.owner === owner ? all + amount : all), 0n)
      return new Map(owners.map((owner) => [owner, sum(owner)]))
    },
    audit: async () => {
      this.#check()
      const outstanding = -((await this.ledger.totals()).get('issuance') ?? 0n)
      return { events: this.events.length, heads: 0, accounts: this.#ids().length, outstanding }
    },
    head: async () => this.head,
    consistency: async (from, to) => [`${from}`, `${to}`],
    proven: elsewhere,
    prices: async () => {
      const newest = this.events.findLast(({ command }) => command.kind === 'price')?.command
      return newest?.kind === 'price' ? newest : null
    },
  }
  readonly trust: EconomyStore['trust'] = {
    load: async () => [...this.trusted],
    save: async (records) => {
      this.#check()
      for (const [holder, record] of records) this.trusted.set(holder, record)
    },
  }

  async tidy(): Promise<void> {
    this.tidied++
  }

  async close(): Promise<void> {
    this.closed = true
  }

  balances(): { readonly account: Account; readonly amount: bigint }[] {
    const ids = new Set(this.events.flatMap(({ postings }) => postings.map(({ account }) => accountId(account))))
    const accounts = [...ids].map((id) => required(parseAccountId(id), 'an account'))
    return accounts.map((account) => ({ account, amount: this.book.balance(account) })).filter(({ amount }) => amount !== 0n)
  }

  #ids(): string[] {
    return [...new Set(this.#accountOf.values())].sort()
  }

  #record(id: string): AccountRecord {
    if (!this.#ids().includes(id)) throw new AccountError('unknown', `there is no account ${id}`)
    return { id, name: '', roles: this.rolesOf.get(id) ?? FIRST_ROLES, createdAtMs: 0, erasedAtMs: null }
  }

  #key(id: string): ApiKey {
    const key = this.#keys.find((known) => known.id === id && known.revokedAtMs === null)
    if (key === undefined) throw new AccountError('bad-key', 'this is no API key')
    return key
  }

  #spend(key: ApiKey, amount: bigint): void {
    this.#keys[this.#keys.indexOf(key)] = { ...key, spent: key.spent + amount }
  }

  #check(): void {
    if (this.broken !== null) throw this.broken
  }

  #filledMs(kind: 'hold' | 'escrow', session: string): number {
    const kinds = kind === 'hold' ? ['hold'] : ['settle', 'cover']
    const by = this.events.find(({ command }) => kinds.includes(command.kind) && 'session' in command && command.session === session)
    return by?.atMs ?? 0
  }
}

export class EconomyWorld {
  readonly clock: ManualClock
  readonly store: MemoryStore
  readonly economy: Economy
  readonly told: { readonly name: string; readonly message: ServerMessage }[] = []
  readonly failed: { readonly name: string; readonly reason: string }[] = []
  readonly log: string[] = []
  readonly #names: string[] = []
  #sessions = 0

  constructor({
    store,
    starters = NO_STARTERS,
    ...options
  }: Partial<Omit<EconomyOptions, 'store'>> & { readonly store?: MemoryStore } = {}) {
    this.store = store ?? new MemoryStore(clockAt(NOW_MS))
    this.clock = this.store.clock
    this.economy = new Economy(
      {
        store: Promise.resolve(this.store),
        models: new Map([[MODEL, CONFIG]]),
        starters,
        reserveADay: 1_000_000_000n,
        verification: {},
        audits: NO_AUDITS,
        canaries: null,
        newSessionId: () => (this.#sessions++).toString(16).padStart(32, '0') as SessionId,
        random: () => 0.5,
        randomBytes: (count) => new Uint8Array(count).fill(this.#sessions++),
        clock: this.clock,
        verify: async () => true,
        log: (line) => this.log.push(line),
        ...options,
      },
      {
        tell: (peerId, message) => void this.told.push({ name: this.#nameOf(peerId), message }),
        fail: (peerId, { reason }) => void this.failed.push({ name: this.#nameOf(peerId), reason }),
      },
    )
  }

  /** They are connected, each an account of its own key, and `owner`'s where one is named. */
  async join(names: readonly string[], owner?: string, address: string | null = null): Promise<void> {
    for (const name of names) {
      this.#names.push(name)
      const accountKey = owner === undefined ? null : utf8Encode(owner)
      this.economy.identified({ peerId: peerOf(name), publicKey: utf8Encode(name), accountKey, address })
    }
    await this.settle()
  }

  /** What is on its way arrives; time stands still. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 60; turns++) await Promise.resolve()
  }

  /** Time passes, in ticks. */
  async wait(durationMs: number): Promise<void> {
    const stepMs = Math.max(250, durationMs / 200)
    for (let left = durationMs; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left))
      this.economy.tick()
      await this.settle()
    }
  }

  account(name: string): Promise<string> {
    return this.store.accounts.contact({ kind: 'key', subject: btoa(name).replace(/=+$/, '') }, { address: null }).then(({ id }) => id)
  }

  async give(name: string, amount: bigint): Promise<void> {
    const [account, reference] = [await this.account(name), `gift-${this.store.events.length}`]
    await this.store.ledger.post({ kind: 'issue', reference, account, purse: EARNED, amount, note: '' })
  }

  /** The hold for an answer of `maxTokens`, and its session as the core would open it. */
  async open(driver: string, stages: readonly string[], promptTokens = 30, maxTokens = 50, voucher?: string): Promise<Grant> {
    const payer = voucher === undefined ? {} : { voucher }
    const message = { type: 'admit', requestId: 'r', modelId: MODEL, promptTokens, maxTokens, ...payer } as const
    const held = await this.economy.hold(peerOf(driver), message)
    if (!held.ok) throw new Error(`${held.error.reason}: ${held.error.message}`)
    const grant = grantOf(stages, { sessionId: held.value, driver: peerOf(driver), maxPositions: promptTokens + maxTokens })
    this.economy.session({ kind: 'opened', grant })
    this.economy.drop(held.value)
    return grant
  }

  /** They come over the socket of that peer; each over its own where none is named. */
  async sign(receipts: readonly Receipt[], over?: string): Promise<void> {
    for (const receipt of receipts) {
      const signer = { publicKey: new Uint8Array(65), sign: async () => new Uint8Array(64) }
      this.economy.receipt(over === undefined ? receipt.peerId : peerOf(over), await signReceipt(receipt, signer))
    }
    await this.settle()
  }

  /** A whole session of 30 prompt and 20 decode rows, to the last settlement. `bend`: what is signed in place of the honest receipts. */
  async session(
    driver: string,
    stages: readonly string[],
    {
      bend = (all) => all,
      sawFailure = false,
      voucher,
    }: { readonly bend?: (all: readonly Receipt[]) => readonly Receipt[]; readonly sawFailure?: boolean; readonly voucher?: string } = {},
  ): Promise<Grant> {
    const grant = await this.open(driver, stages, 30, 50, voucher)
    const ring = new Ring(grant).submit('prompt', 30).flow().submit('decode', 20).flow()
    await this.sign(bend(ring.finals()))
    this.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure })
    await this.wait(16_000)
    return grant
  }

  /** Micro-credits by kind of account; of one owner, or of all. */
  async sums(name?: string): Promise<Record<'user' | 'hold' | 'escrow' | 'fee' | 'verification' | 'reserve' | 'issuance', bigint>> {
    const sums = { user: 0n, hold: 0n, escrow: 0n, fee: 0n, verification: 0n, reserve: 0n, issuance: 0n }
    const owner = name === undefined ? null : await this.account(name)
    for (const { account, amount } of this.store.balances()) if (owner === null || account.owner === owner) sums[account.kind] += amount
    return sums
  }

  messages<Type extends ServerMessage['type']>(type: Type, name?: string): Extract<ServerMessage, { type: Type }>[] {
    const mine = this.told.filter((one) => name === undefined || one.name === name).map(({ message }) => message)
    return mine.filter((message): message is Extract<ServerMessage, { type: Type }> => message.type === type)
  }

  #nameOf(peerId: string): string {
    return this.#names.find((name) => peerOf(name) === peerId) ?? peerId
  }
}

function clockAt(nowMs: number): ManualClock {
  const clock = new ManualClock()
  clock.advance(nowMs)
  return clock
}

export const NO_STARTERS: StarterPolicy = { amount: 10_000_000n, poolADay: 0n, grantsABlock: null }
