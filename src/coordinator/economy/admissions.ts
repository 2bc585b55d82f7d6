/**
 * Admissions: what a session may cost is held before the core is asked for it, so that nobody computes for who cannot pay. Knows each session that is
 * held for, from there to its settlement. A newcomer without credits gets its starter grant here, when it first needs one.
 */

import type { ModelConfig } from '../../model/index.ts'
import type { ClientMessage } from '../../protocol/index.ts'
import {
  type AccountRole,
  assert,
  type CancelTimer,
  type Clock,
  err,
  formatCredits,
  type ModelId,
  ok,
  type PeerId,
  type Result,
  type SessionId,
  TIER_DEFAULT,
  type Tier,
} from '../../shared/index.ts'
import { AccountError, type StarterPolicy } from '../accounts/index.ts'
import { type CommandOf, dayOf, LedgerError, type LedgerEvent } from '../ledger/index.ts'
import { spendableOf } from './balances.ts'
import type { Budgets } from './budgets.ts'
import { HOLDS_PENDING_MAX, HOLDS_PENDING_OF_KEY_MAX, RETRY_STORE_MS, STORE_WAIT_MS } from './limits.ts'
import type { Payer, Payments, SessionPayer } from './payments.ts'
import type { PeerAccounts } from './peerAccounts.ts'
import type { EconomyStore } from './ports.ts'
import { sessionPrice } from './pricing.ts'

type AdmitMessage = Extract<ClientMessage, { type: 'admit' }>

export interface Refusal {
  readonly reason: string
  readonly message: string
  readonly retryAfterMs: number | null
}

export interface HeldSession {
  readonly driver: PeerId
  /** Micro-credits. */
  readonly held: bigint
  readonly account: string
  /** key: of the gateway's client. */
  readonly paidBy: 'driver' | 'key' | 'canary'
  readonly modelId: ModelId
  readonly tier: Tier
  readonly maxPositions: number
}

export interface AdmissionsOptions {
  readonly models: ReadonlyMap<ModelId, ModelConfig>
  readonly starters: StarterPolicy
  readonly newSessionId: () => SessionId
  readonly clock: Clock
  readonly peers: Pick<PeerAccounts, 'get' | 'accountOf'>
  readonly payments: Pick<Payments, 'payerOf'>
  readonly budgets: Pick<Budgets, 'reserve' | 'move' | 'ended'>
  /** The store, and the prices in force, once there are any. */
  readonly ready: Promise<AdmissionTools>
  readonly onPosted: (event: LedgerEvent) => void
  /** What is held for a session that nobody waits for any more is to go back. */
  readonly release: (sessionId: SessionId) => void
  readonly log: (line: string) => void
}

export interface AdmissionTools {
  readonly store: Pick<EconomyStore, 'accounts' | 'ledger' | 'starters'>
  readonly prices: CommandOf<'price'>
}

export class Admissions {
  readonly #options: AdmissionsOptions
  readonly #held = new Map<SessionId, HeldSession>()
  readonly #open = new Map<SessionId, HeldSession>()
  /** Sessions that their account's own tabs compute: nothing is held for them. */
  readonly #free = new Map<SessionId, { readonly driver: PeerId; isOpen: boolean }>()
  /** By peer, or by key. */
  readonly #pending = new Map<string, number>()
  /** Accounts that asked for a starter grant today: it is given once, and the day's answer stays. */
  readonly #asked = new Map<string, Promise<boolean>>()
  #day = ''

  constructor(options: AdmissionsOptions) {
    this.#options = options
  }

  /** Sessions that something is held for. */
  get count(): number {
    return this.#held.size + this.#open.size
  }

  async hold(peerId: PeerId, message: AdmitMessage): Promise<Result<SessionId, Refusal>> {
    const payer = message.voucher === undefined ? null : this.#options.payments.payerOf(message.voucher)
    if (payer === null && message.voucher !== undefined)
      return refuse('bad-voucher', 'nobody pays for what asks with this voucher; leave it out', null)
    const who = payer?.keyId ?? payer?.account ?? peerId
    const pending = this.#pending.get(who) ?? 0
    if (pending >= (payer === null ? HOLDS_PENDING_MAX : HOLDS_PENDING_OF_KEY_MAX))
      return refuse('busy', `${pending} requests wait for their admission already; wait for one`, RETRY_STORE_MS)
    this.#pending.set(who, pending + 1)
    const holding = this.#hold(peerId, message, payer)
    void holding.finally(() => this.#forgetPending(who))
    const inTime = await this.#inTime(holding)
    if (inTime !== null) return inTime
    void holding.then((late) => {
      if (late.ok && this.drop(late.value)) this.#options.release(late.value)
    })
    return refuse('no-accounts', 'the coordinator’s accounts do not answer; try again in a moment', RETRY_STORE_MS)
  }

  /**
   * Sets credits aside under a name that no session has, for many sessions of one key, which their payer then names as its fund. Null: they are; what is
   * not held from by its end is its owner's to release. Rejects where the accounts do not answer.
   */
  async setAside({ keyId, account }: Payer, name: string, amount: bigint, tier: Tier): Promise<Refusal | null> {
    const { budgets, ready } = this.#options
    const tools = await ready
    const { roles } = await tools.store.accounts.record(account)
    if (!roles.includes('requester')) return { reason: 'not-allowed', message: notRequester(account, roles), retryAfterMs: null }
    await budgets.reserve(keyId, name, amount)
    if ((await this.#post(name, { account, held: amount, tier }, tools)) === 'held') return null
    budgets.ended(name, amount)
    return this.#insufficient(account, amount, tools)
  }

  /** The core has admitted it. Null: nothing is held for it. */
  open(sessionId: SessionId): HeldSession | null {
    const free = this.#free.get(sessionId)
    if (free !== undefined) free.isOpen = true
    const held = this.#held.get(sessionId)
    if (held === undefined) return null
    this.#held.delete(sessionId)
    this.#open.set(sessionId, held)
    return held
  }

  /** Micro-credits; null: nothing is held for it. */
  heldFor(sessionId: SessionId): bigint | null {
    return (this.#held.get(sessionId) ?? this.#open.get(sessionId))?.held ?? null
  }

  /** True where something is held for it and it has not opened: what is held is then the caller's to release. */
  drop(sessionId: SessionId): boolean {
    if (this.#free.get(sessionId)?.isOpen === false) this.#free.delete(sessionId)
    return this.#held.delete(sessionId)
  }

  /** It is settled. Null: it was not open. */
  end(sessionId: SessionId): HeldSession | null {
    const open = this.#open.get(sessionId) ?? null
    this.#open.delete(sessionId)
    return open
  }

  /** Of a session that costs nothing, once: its driver. Null: it is none. */
  endFree(sessionId: SessionId): PeerId | null {
    const free = this.#free.get(sessionId)
    this.#free.delete(sessionId)
    return free?.driver ?? null
  }

  /** Nothing is settled any more; sessions that something is held for. */
  close(): SessionId[] {
    const left = [...this.#held.keys(), ...this.#open.keys()]
    this.#held.clear()
    this.#open.clear()
    return left
  }

  async #inTime<Value>(work: Promise<Value>): Promise<Value | null> {
    const { clock } = this.#options
    let cancel: CancelTimer = () => undefined
    const late = new Promise<null>((resolve) => {
      cancel = clock.after(STORE_WAIT_MS, () => resolve(null))
    })
    try {
      return await Promise.race([work, late])
    } finally {
      cancel()
    }
  }

  #forgetPending(who: string): void {
    const left = (this.#pending.get(who) ?? 1) - 1
    if (left > 0) this.#pending.set(who, left)
    else this.#pending.delete(who)
  }

  /** Never rejects. */
  async #hold(peerId: PeerId, message: AdmitMessage, payer: SessionPayer | null): Promise<Result<SessionId, Refusal>> {
    const { models, newSessionId, peers, ready, log } = this.#options
    const config = models.get(message.modelId)
    assert(config !== undefined, `a hold for the model ${message.modelId}, which nobody serves`)
    try {
      const [account, tools] = await Promise.all([payer?.account ?? peers.accountOf(peerId), ready])
      const { roles } = await tools.store.accounts.record(account)
      if (!roles.includes('requester')) return refuse('not-allowed', notRequester(account, roles), null)
      if (payer?.pool === 'mine') {
        const sessionId = newSessionId()
        this.#free.set(sessionId, { driver: peerId, isOpen: false })
        return ok(sessionId)
      }
      const { promptTokens, maxTokens, modelId, tier = TIER_DEFAULT } = message
      const price = sessionPrice(config, message, tools.prices.table, tier)
      const sessionId = newSessionId()
      const keyId = payer?.keyId ?? null
      const paidBy = payer === null ? 'driver' : keyId === null ? 'canary' : 'key'
      const held: HeldSession = { driver: peerId, held: price, account, paidBy, modelId, tier, maxPositions: promptTokens + maxTokens }
      const address = payer === null ? (peers.get(peerId)?.address ?? null) : null
      const isHeld =
        (await this.#holdOfFund(sessionId, held, payer?.fund, tools)) || (await this.#holdOfOwn(sessionId, held, { keyId, address }, tools))
      if (!isHeld) return err(await this.#insufficient(account, price, tools))
      this.#held.set(sessionId, held)
      return ok(sessionId)
    } catch (error) {
      // Its budget, or its owner has revoked it meanwhile.
      if (error instanceof AccountError) return refuse(error.reason, error.message, null)
      log(`an admission found no accounts: ${String(error)}`)
      return refuse('no-accounts', 'the coordinator’s accounts do not answer; try again in a moment', RETRY_STORE_MS)
    }
  }

  /** False: there is no fund, or it has not as much any more. */
  async #holdOfFund(sessionId: SessionId, held: HeldSession, fund: string | undefined, tools: AdmissionTools): Promise<boolean> {
    if (fund === undefined || (await this.#post(sessionId, held, tools, fund)) === 'insufficient') return false
    try {
      await this.#options.budgets.move(fund, sessionId, held.held)
    } catch (error) {
      this.#options.release(sessionId)
      throw error
    }
    return true
  }

  /** `keyId`: whose budget it takes from; null: it has none. `address`: where it may have a starter grant; null: nowhere. */
  async #holdOfOwn(
    sessionId: SessionId,
    held: HeldSession,
    { keyId, address }: { readonly keyId: string | null; readonly address: string | null },
    tools: AdmissionTools,
  ): Promise<boolean> {
    const { budgets } = this.#options
    const { account, held: price } = held
    if (keyId !== null) await budgets.reserve(keyId, sessionId, price)
    const isHeld =
      (await this.#post(sessionId, held, tools)) === 'held' ||
      ((await this.#getStarter(account, address, tools)) && (await this.#post(sessionId, held, tools)) === 'held')
    if (!isHeld) budgets.ended(sessionId, price)
    return isHeld
  }

  async #post(
    session: string,
    { account, held: amount, tier }: Pick<HeldSession, 'account' | 'held' | 'tier'>,
    { store, prices }: AdmissionTools,
    fund?: string,
  ): Promise<'held' | 'insufficient'> {
    try {
      const from = fund === undefined ? {} : { from: fund }
      const command = { kind: 'hold', session, account, amount, priceVersion: prices.version, tier, ...from } as const
      this.#options.onPosted((await store.ledger.post(command)).event)
      return 'held'
    } catch (error) {
      if (error instanceof LedgerError && error.reason === 'insufficient') return 'insufficient'
      throw error
    }
  }

  /** Whether there is one today. Questions that come together wait for the same. */
  #getStarter(account: string, address: string | null, tools: AdmissionTools): Promise<boolean> {
    const today = dayOf(this.#options.clock.nowMs())
    if (today !== this.#day) this.#asked.clear()
    this.#day = today
    const asked = this.#asked.get(account) ?? this.#askStarter(account, address, tools)
    this.#asked.set(account, asked)
    return asked
  }

  async #askStarter(account: string, address: string | null, { store }: AdmissionTools): Promise<boolean> {
    try {
      await store.starters.grant(account, address, this.#options.starters)
      return true
    } catch (error) {
      if (error instanceof AccountError && error.reason === 'no-grant') return false
      this.#asked.delete(account)
      throw error
    }
  }

  async #insufficient(account: string, price: bigint, { store }: AdmissionTools): Promise<Refusal> {
    const { all } = spendableOf(await store.ledger.balances(account), this.#options.clock.nowMs())
    const have = `${formatCredits(all)} credits, and this answer may cost ${formatCredits(price)}: ${formatCredits(price - all)} are missing`
    const remedy = 'Contribute with a tab to earn some, ask for fewer tokens'
    const operator = `ask the operator for a grant (tabswarm ledger grant ${account} CREDITS)`
    return { reason: 'insufficient-credits', message: `your account has ${have}. ${remedy}, or ${operator}.`, retryAfterMs: null }
  }
}

function notRequester(account: string, roles: readonly AccountRole[]): string {
  return `account ${account} may not ask for answers here; whoever runs this coordinator can change that: tabswarm account change ${account} --roles ${[...roles, 'requester'].join(',')}`
}

function refuse(reason: string, message: string, retryAfterMs: number | null): Result<never, Refusal> {
  return err({ reason, message, retryAfterMs })
}
