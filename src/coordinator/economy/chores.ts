/**
 * Chores: what is to be done to the store when the coordinator starts, and once a day: a first table of prices, holds and escrows of coordinators that
 * are gone, ended grants, and the reserve, which is filled up so that its balance is what failed answers may still cost.
 */

import type { Clock } from '../../shared/index.ts'
import { type Command, DEFAULT_PRICES, dayOf, EARNED, LedgerError, type LedgerEvent } from '../ledger/index.ts'
import type { OpenAccount } from '../store/index.ts'
import { returnedBy } from './bills.ts'
import { CHORES_MS, ESCROW_LEFT_MS, HOLD_LEFT_MS } from './limits.ts'
import type { EconomyStore } from './ports.ts'

export interface ChoresOptions {
  readonly store: EconomyStore
  readonly reserveADay: bigint
  /** When escrow that no audit has decided is paid out. */
  readonly ruleAfterMs: number
  readonly clock: Clock
  readonly onPosted: (event: LedgerEvent) => void
  readonly log: (line: string) => void
}

export class Chores {
  readonly #options: ChoresOptions
  #doneMs = 0
  #day = ''
  #running: Promise<void> | null = null

  constructor(options: ChoresOptions) {
    this.#options = options
  }

  /** Must be done before anybody is admitted. Resolves to escrows that this coordinator has to bring to their end. */
  async begin(): Promise<readonly OpenAccount[]> {
    const { store, clock } = this.#options
    this.#doneMs = clock.nowMs()
    if ((await store.ledger.prices()) === null) await this.#post({ kind: 'price', version: 0, table: DEFAULT_PRICES })
    await this.#releaseLeftHolds()
    await this.#beginDay()
    if (!store.isShared) return store.ledger.open('escrow')
    await this.#payLeftEscrows()
    return []
  }

  tick(nowMs: number): void {
    if (nowMs - this.#doneMs < CHORES_MS || this.#running !== null) return
    this.#doneMs = nowMs
    this.#running = this.#do().finally(() => {
      this.#running = null
    })
  }

  /** Resolves when none is under way. */
  async close(): Promise<void> {
    await this.#running
  }

  async #do(): Promise<void> {
    const { store, log } = this.#options
    try {
      await this.#beginDay()
      if (!store.isShared) return
      await this.#releaseLeftHolds()
      await this.#payLeftEscrows()
    } catch (error) {
      log(`the day's work on the store is left for the next hour: ${String(error)}`)
    }
  }

  /** Nothing where it has begun already. */
  async #beginDay(): Promise<void> {
    const { store, clock } = this.#options
    const today = dayOf(clock.nowMs())
    if (today === this.#day) return
    await store.tidy()
    await this.#fillReserve(today)
    this.#day = today
  }

  async #fillReserve(today: string): Promise<void> {
    const { store, reserveADay } = this.#options
    const balances = await store.ledger.balances('')
    const left = balances.reduce((sum, { account, amount }) => (account.kind === 'reserve' ? sum + amount : sum), 0n)
    if (left >= reserveADay) return
    const note = 'filled up for answers that the network fails'
    await this.#post({ kind: 'issue', reference: `reserve-${today}`, account: null, purse: EARNED, amount: reserveADay - left, note })
  }

  /** Of sessions that ended with their coordinator. On a database of this process alone those are all that there are when it starts. */
  async #releaseLeftHolds(): Promise<void> {
    const { store, clock } = this.#options
    const beforeMs = clock.nowMs() - HOLD_LEFT_MS
    const left = (await store.ledger.open('hold')).filter(({ sinceMs }) => !store.isShared || sinceMs <= beforeMs)
    await Promise.all(left.map(({ session }) => this.#release(session)))
  }

  /** What it takes of the budget of an API key is free again, too. */
  async #release(session: string): Promise<void> {
    const event = await this.#post({ kind: 'release', session })
    if (event !== null) await this.#options.store.keys.giveBack(session, returnedBy(event))
  }

  async #payLeftEscrows(): Promise<void> {
    const { store, clock, ruleAfterMs } = this.#options
    const beforeMs = clock.nowMs() - ruleAfterMs - ESCROW_LEFT_MS
    const left = (await store.ledger.open('escrow')).filter(({ sinceMs }) => sinceMs <= beforeMs)
    await Promise.all(left.map(({ session, owner }) => this.#post({ kind: 'payout', session, account: owner, part: 0 })))
  }

  /** Null: another coordinator has done it before. */
  async #post(command: Command): Promise<LedgerEvent | null> {
    const { store, onPosted } = this.#options
    try {
      const { event } = await store.ledger.post(command)
      onPosted(event)
      return event
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      return null
    }
  }
}
