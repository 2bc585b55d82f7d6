/**
 * Economy: who pays for answers and who is paid for them. Holds a session's price before it is admitted, hears what the core tells of sessions and
 * peers sign of their work, and carries out what verification decides of it: settlements, payouts, refunds, trust, bans. Decisions are
 * verification's and the ledger's; this file joins them with the store and with peers.
 */

import type { ModelConfig } from '../../model/index.ts'
import type { ClientMessage, Receipt, SignedReceipt } from '../../protocol/index.ts'
import {
  type Clock,
  err,
  type ModelId,
  type PeerId,
  type Pool,
  type Result,
  required,
  type SessionId,
  type Tier,
  unreachable,
  type VerifySignature,
} from '../../shared/index.ts'
import type { StarterPolicy } from '../accounts/index.ts'
import type { MayServe, SessionEvent } from '../core/index.ts'
import type { CommandOf, LedgerEvent } from '../ledger/index.ts'
import {
  isBanned,
  VERIFICATION_DEFAULTS,
  Verification,
  type VerificationEffect,
  type VerificationEvent,
  type VerificationLimits,
} from '../verification/index.ts'
import { AccountDesk } from './accountDesk.ts'
import type { Action } from './actions.ts'
import { Admissions, type Refusal } from './admissions.ts'
import type { AuditDesk } from './auditDesk.ts'
import { type AuditListener, AuditNews } from './auditNews.ts'
import { Balances, spendableOf } from './balances.ts'
import { Budgets } from './budgets.ts'
import { Canaries, type CanaryDriver } from './canaries.ts'
import { Chores } from './chores.ts'
import { BANNED, NO_VOLUNTEER } from './expulsions.ts'
import { HeadNews } from './headNews.ts'
import { RETRY_STORE_MS } from './limits.ts'
import { OperatorDesk } from './operatorDesk.ts'
import { type KeyHolder, type Payer, type Payment, Payments } from './payments.ts'
import { type IdentifiedPeer, PeerAccounts } from './peerAccounts.ts'
import { Policies } from './policies.ts'
import type { EconomyStore, PeerPorts } from './ports.ts'
import { Postings } from './postings.ts'
import { sessionPrice } from './pricing.ts'
import { ReceiptDesk } from './receiptDesk.ts'
import { type SettledListener, Settlements } from './settlements.ts'
import { Statements } from './statements.ts'
import { TeamDesk } from './teamDesk.ts'
import { TrustKeeper } from './trustKeeper.ts'

export interface EconomyOptions {
  /** May still be on its way; what needs it waits. */
  readonly store: Promise<EconomyStore>
  readonly models: ReadonlyMap<ModelId, ModelConfig>
  readonly starters: StarterPolicy
  /** Micro-credits: what failed answers may cost the operator in a day. */
  readonly reserveADay: bigint
  readonly verification: Partial<VerificationLimits>
  readonly audits: AuditDesk
  /** Null: no canaries are sent. */
  readonly canaries: CanaryDriver | null
  /** Everything that verification decides, for who wants to count. */
  readonly onVerification?: (effect: VerificationEffect, accountOf: (peerId: PeerId) => string | null) => void
  /** What accounts have done, for who records it: see actions.ts. */
  readonly onAction?: (action: Action) => void
  readonly newSessionId: () => SessionId
  /** Cryptographically strong. */
  readonly randomBytes: (count: number) => Uint8Array
  /** [0, 1), which nobody can foresee: it draws audits. */
  readonly random: () => number
  /** Coordinator time. */
  readonly clock: Clock
  readonly verify: VerifySignature
  readonly log: (line: string) => void
}

/** What there is once the store is open. */
interface Opened {
  readonly store: EconomyStore
  readonly prices: CommandOf<'price'>
  readonly verification: Verification
  readonly trust: TrustKeeper
  readonly balances: Balances
  readonly chores: Chores
  readonly canaries: Canaries | null
  readonly heads: HeadNews
}

export class Economy {
  readonly #options: EconomyOptions
  readonly #ports: PeerPorts
  readonly #peers: PeerAccounts
  readonly #receipts: ReceiptDesk
  readonly #admissions: Admissions
  readonly #payments: Payments
  readonly #policies: Policies
  readonly #budgets: Budgets
  readonly #postings: Postings
  readonly #statements: Statements
  readonly #desk: AccountDesk
  readonly #settlements: Settlements
  readonly #news: AuditNews
  readonly #opening: Promise<Opened>
  #opened: Opened | null = null

  constructor(options: EconomyOptions, ports: PeerPorts) {
    this.#options = options
    this.#ports = ports
    const { clock, verify, log, store, onAction = () => undefined } = options
    const accounts = async () => (await store).accounts
    this.#peers = new PeerAccounts({ accounts, clock, onFound: (peerId, account) => this.#found(peerId, account), log })
    this.#news = new AuditNews({
      tell: (peerId, message) => ports.tell(peerId, message),
      standingOf: (peerId) => required(this.#opened, 'what is open').verification.standingOf(this.#peers.holderOf(peerId)),
    })
    const keyOf = (peerId: PeerId) => this.#peers.get(peerId)?.publicKey ?? null
    const shareOf = (peerId: PeerId) => this.#peers.get(peerId)?.share ?? 1
    this.#receipts = new ReceiptDesk({ clock, keyOf, shareOf, verify, take: (receipt) => this.#take(receipt) })
    this.#postings = new Postings({
      post: async (command) => (await store).ledger.post(command),
      clock,
      onPosted: (event) => this.#posted(event),
      onRefused: (command, error) => this.#settlements.refused(command, error),
      log,
    })
    const ledger = async () => (await store).ledger
    this.#statements = new Statements({ ledger, accountOf: (peerId) => this.#peers.accountOf(peerId), clock, log })
    const shared = { store: () => store, clock }
    const operators = new OperatorDesk({ ...shared, starters: options.starters, onPosted: (event) => this.#posted(event) })
    const teams = new TeamDesk({ ...shared, peers: this.#peers, onPosted: (event) => this.#posted(event) })
    this.#desk = new AccountDesk({ ...shared, operators, teams, peers: this.#peers, onAction, log })
    this.#policies = new Policies({
      accountOf: (peerId) => this.#peers.knownAccount(peerId),
      isTrusted: (account) => this.#opened?.verification.isTrusted(account) === true,
      clock,
    })
    this.#payments = new Payments(options.randomBytes)
    this.#budgets = new Budgets({ keys: async () => (await store).keys, clock, log })
    this.#settlements = new Settlements({
      models: options.models,
      postings: this.#postings,
      budgets: this.#budgets,
      accountOf: (peerId) => this.#peers.knownAccount(peerId),
      tell: (peerId, message) => ports.tell(peerId, message),
      log,
    })
    this.#opening = this.#open()
    this.#admissions = new Admissions({
      ...options,
      peers: this.#peers,
      payments: this.#payments,
      budgets: this.#budgets,
      ready: this.#opening,
      onPosted: (event) => this.#posted(event),
      release: (sessionId) => this.#postings.add(sessionId, [{ kind: 'release', session: sessionId }]),
    })
    this.#opening.catch((error: unknown) => log(`there are no accounts, so that nobody is admitted: ${String(error)}`))
  }

  /** What is under way: sessions that were held for, claims in escrow. */
  get pending(): { readonly sessions: number; readonly claims: number } {
    return { sessions: this.#admissions.count, claims: this.#settlements.claims }
  }

  identified(peer: IdentifiedPeer): void {
    this.#peers.identified(peer)
  }

  left(peerId: PeerId): void {
    this.#peers.left(peerId, this.#options.clock.nowMs())
    this.#receipts.left(peerId)
    this.#options.audits.left(peerId)
  }

  /** Holds what the session may cost, and gives the id that it is to bear; else why it may not be. Rule E2. */
  async hold(peerId: PeerId, message: Extract<ClientMessage, { type: 'admit' }>): Promise<Result<SessionId, Refusal>> {
    const mayServe = this.mayServe(message.voucher)
    const held = await this.#admissions.hold(peerId, message)
    if (!held.ok || mayServe === null || this.#policies.keep(held.value, mayServe)) return held
    this.drop(held.value)
    return err({ reason: 'busy', message: 'too many sessions have a pool of their own now; try again later', retryAfterMs: RETRY_STORE_MS })
  }

  /** Who may compute what is asked for with that voucher; null: everybody. */
  mayServe(voucher: string | undefined): MayServe | null {
    const payer = voucher === undefined ? null : this.#payments.payerOf(voucher)
    return payer === null ? null : this.poolOf(payer.pool ?? 'public', payer.account)
  }

  /** Who is in that pool of the account; null: everybody. */
  poolOf(pool: Pool, account: string): MayServe | null {
    return this.#policies.of(pool, account)
  }

  /**
   * Whose API key a client has shown, if it may do what it asks; null: it asks for nothing that a scope names. Rejects with AccountError `bad-key`,
   * `not-allowed` or `too-many-requests`.
   */
  async authorize(key: string, request: { readonly model: string; readonly pool: Pool | null } | null): Promise<KeyHolder> {
    const { id, account, storesResponses, pool } = await (await this.#options.store).keys.authorize(key, request)
    return { keyId: id, account, storesResponses, pool }
  }

  /** What is held for a session of that size, micro-credits. */
  async price(modelId: ModelId, size: { readonly promptTokens: number; readonly maxTokens: number }, tier: Tier): Promise<bigint> {
    const { prices } = await this.#opening
    return sessionPrice(required(this.#options.models.get(modelId), `the model ${modelId}`), size, prices.table, tier)
  }

  /** What the payer can spend now, micro-credits: the account's balance, and no more than is left of the key's budget. */
  async affordable({ keyId, account }: Payer): Promise<bigint> {
    const { ledger, keys } = await this.#options.store
    const [balances, all] = await Promise.all([ledger.balances(account), keys.list(account)])
    const spendable = spendableOf(balances, this.#options.clock.nowMs()).all
    const key = all.find(({ id }) => id === keyId)
    if (key === undefined || key.budget === null) return spendable
    const left = key.budget - key.spent
    return left < spendable ? left : spendable
  }

  /** Sets credits aside for many sessions of one key: see Admissions. */
  setAside(payer: Payer, name: string, amount: bigint, tier: Tier): Promise<Refusal | null> {
    return this.#admissions.setAside(payer, name, amount, tier)
  }

  /** What is left of it goes back. */
  giveBack(name: string): void {
    this.#postings.add(name, [{ kind: 'release', session: name }])
  }

  /** Rule E15. */
  pay(payer: Payer): Payment {
    return this.#payments.begin(payer)
  }

  /** Tells what each session cost, micro-credits, once it is settled. */
  onSettled(listener: SettledListener): () => void {
    return this.#settlements.listen(listener)
  }

  /** Tells who computed a stage's part of a session again, and what was found. Rule V27. */
  onAudited(listener: AuditListener): () => void {
    return this.#news.listen(listener)
  }

  /** Micro-credits that are set aside for the session; null: nothing is. */
  heldFor(sessionId: SessionId): bigint | null {
    return this.#admissions.heldFor(sessionId)
  }

  /** Answers with a part of the statement, or says why not. Rule E11. */
  async statement(peerId: PeerId, message: Extract<ClientMessage, { type: 'statement' }>): Promise<void> {
    this.#ports.tell(peerId, await this.#statements.answer(peerId, message))
  }

  /** Answers what a peer asks of its account, or says why not. Rules A1 … A13, T1 … T6 and O1 … O5. */
  async request(peerId: PeerId, message: Extract<ClientMessage, { type: 'account-request' }>): Promise<void> {
    this.#ports.tell(peerId, await this.#desk.answer(peerId, message))
  }

  /** It offers to serve layers: who may not is told so, and its socket closed. Rule E12. */
  async pledged(peerId: PeerId): Promise<void> {
    const { store, log } = this.#options
    try {
      const account = await this.#peers.accountOf(peerId)
      const { roles } = await (await store).accounts.record(account)
      if (!roles.includes('volunteer')) this.#ports.fail(peerId, NO_VOLUNTEER)
    } catch (error) {
      // It has left, or the store is away: what it computes meanwhile lies in escrow.
      log(`nobody knows whether peer ${peerId.slice(0, 8)} may serve: ${String(error)}`)
    }
  }

  /** The core has not admitted it after all, or the requester is gone. Nothing happens where it has opened. */
  drop(sessionId: SessionId): void {
    if (this.#admissions.drop(sessionId)) this.#postings.add(sessionId, [{ kind: 'release', session: sessionId }])
  }

  /** Sessions that nothing was held for are nobody's matter here. */
  session(event: SessionEvent): void {
    switch (event.kind) {
      case 'opened': {
        const held = this.#admissions.open(event.grant.sessionId)
        if (held === null) return
        const isCanary = held.paidBy === 'canary'
        if (isCanary) this.#opened?.canaries?.opened(event.grant)
        return this.#feed({ ...event, requester: held.account, ownGateway: held.paidBy !== 'driver', isCanary })
      }
      case 'refused':
        return this.drop(event.sessionId)
      case 'repaired':
        return this.#feed(event)
      case 'closed': {
        const free = this.#admissions.endFree(event.sessionId)
        if (free !== null) return this.#settlements.costNothing(free, event.sessionId)
        return this.#feed({ kind: 'closed', sessionId: event.sessionId, failure: event.sawFailure ? 'coordinator' : null })
      }
      default:
        unreachable(event)
    }
  }

  receipt(peerId: PeerId, receipt: SignedReceipt): void {
    void this.#receipts.receive(peerId, receipt)
  }

  /** Time has passed; a few times a second. */
  tick(): void {
    const { clock } = this.#options
    const nowMs = clock.nowMs()
    this.#peers.tick(nowMs)
    this.#statements.tick(nowMs)
    this.#desk.tick(nowMs)
    if (this.#opened === null) return
    this.#feed({ kind: 'tick' })
    this.#opened.trust.tick(nowMs)
    this.#opened.balances.tick(nowMs)
    this.#opened.chores.tick(nowMs)
    this.#opened.canaries?.tick(nowMs)
    this.#opened.heads.tick(nowMs)
  }

  /** Sessions end with the coordinator: their holds go back. Resolves when everything is written and the store is closed. */
  async close(): Promise<void> {
    const opened = await this.#opening.catch(() => null)
    if (opened === null) return
    await opened.canaries?.close()
    for (const sessionId of this.#admissions.close()) this.#postings.add(sessionId, [{ kind: 'release', session: sessionId }])
    await this.#postings.close()
    await this.#budgets.close()
    await opened.chores.close()
    await opened.trust.save()
    await opened.store.close()
  }

  async #open(): Promise<Opened> {
    const { audits, canaries: driver, clock, random, reserveADay, verification: limits, log } = this.#options
    const store = await this.#options.store
    const ruleAfterMs = limits.ruleAfterMs ?? VERIFICATION_DEFAULTS.ruleAfterMs
    const chores = new Chores({ store, reserveADay, clock, ruleAfterMs, onPosted: (event) => this.#posted(event), log })
    const [trust, left] = await Promise.all([store.trust.load(), chores.begin()])
    const verification = new Verification({
      candidates: (request) =>
        audits
          .candidates(request)
          .filter(({ peerId }) => this.#policies.mayAudit(request.sessionId, peerId))
          .flatMap((candidate) => this.#peers.asAuditor(candidate) ?? []),
      hasOwnEngine: (request) => audits.hasOwnEngine(request),
      hasCanaries: (request) => driver !== null && audits.hasOwnEngine(request),
      tolerance: (auditor, other) => audits.tolerance(auditor, other),
      holderOf: (peerId) => this.#peers.holderOf(peerId),
      networkOf: (peerId) => this.#peers.networkOf(peerId),
      linked: (one, other) => this.#peers.linked(one, other),
      random,
      limits,
      trust,
      claims: this.#settlements.adopt(left),
    })
    const { ledger } = store
    const balances = new Balances({
      ledger,
      standingOf: (account) => verification.standingOf(account),
      peersOf: (account) => this.#peers.peersOf(account),
      tell: (peerId, message) => this.#ports.tell(peerId, message),
      log,
    })
    const prices = required(await ledger.prices(), 'a table of prices')
    const onPosted = (event: LedgerEvent) => this.#posted(event)
    const asking = { ...this.#options, store, payments: this.#payments, prices: prices.table, onPosted }
    const canaries = driver === null ? null : new Canaries({ ...asking, driver })
    const heads = new HeadNews({
      ledger,
      connected: () => this.#peers.connected(),
      tell: (peerId, message) => this.#ports.tell(peerId, message),
      log,
    })
    this.#opened = { store, prices, verification, trust: new TrustKeeper(store.trust, log), balances, chores, canaries, heads }
    return this.#opened
  }

  #found(peerId: PeerId, account: string): void {
    void this.#opening.then(({ verification, balances, heads }) => {
      if (isBanned(verification.trustOf(account))) return this.#ports.fail(peerId, BANNED)
      balances.changed(account)
      heads.came(peerId)
    }, noAccounts)
  }

  #take(receipt: Receipt): void {
    this.#feed({ kind: 'receipt', receipt })
  }

  #feed(event: VerificationEvent): void {
    if (this.#opened === null) return
    for (const effect of this.#opened.verification.handle(event, this.#options.clock.nowMs())) this.#carryOut(effect, this.#opened)
  }

  #carryOut(effect: VerificationEffect, { trust, verification, balances, canaries }: Opened): void {
    const { audits, log, onVerification } = this.#options
    onVerification?.(effect, (peerId) => this.#peers.knownAccount(peerId))
    this.#news.take(effect)
    switch (effect.kind) {
      case 'ask-receipt': {
        const { peerId, sessionId, revision, endPosition } = effect
        return this.#ports.tell(peerId, { type: 'ask-receipt', sessionId, revision, endPosition })
      }
      case 'release-log':
        return this.#ports.tell(effect.peerId, { type: 'release-log', sessionId: effect.sessionId })
      case 'settle':
        return this.#settle(effect, verification)
      case 'release':
        return this.#settlements.payOut(effect.claimId)
      case 'refund':
        return this.#settlements.payBack(effect.claimId)
      case 'challenge':
      case 'audit':
      case 'verdict':
        return audits.handle(effect, (answer) => this.#feed(answer))
      case 'contradicted':
        return
      case 'trust':
        balances.changed(effect.holder)
        return trust.changed(effect.holder, effect.record)
      case 'ban':
        return this.#ban(effect.holder, trust)
      case 'dispute': {
        const [one, other] = effect.peerIds.map((peerId) => peerId.slice(0, 8))
        return log(`in session ${effect.sessionId} the peers ${one} and ${other} contradict each other, and no third says who is right`)
      }
      case 'canary':
        return canaries?.want(effect.peerId, effect.modelId)
      case 'pay-audit':
        return this.#settlements.payAudit(effect)
      default:
        unreachable(effect)
    }
  }

  #settle(effect: Extract<VerificationEffect, { kind: 'settle' }>, verification: Verification): void {
    const held = this.#admissions.end(effect.sessionId)
    if (held !== null) this.#settlements.settle(effect, held, (account) => verification.isTrusted(account))
  }

  #ban(account: string, trust: TrustKeeper): void {
    void trust.save()
    for (const peerId of this.#peers.peersOf(account)) this.#ports.fail(peerId, BANNED)
  }

  #posted(event: LedgerEvent): void {
    for (const { account } of event.postings) if (account.owner !== '') this.#opened?.balances.changed(account.owner)
    this.#settlements.posted(event)
  }
}

const noAccounts = () => undefined
