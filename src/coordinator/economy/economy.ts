/**
 * Economy: who pays for answers and who is paid for them. Holds a session's price before it is admitted, hears what the core tells of sessions and
 * peers sign of their work, and carries out what verification decides of it: settlements, payouts, refunds, trust, bans. Decisions are
 * verification's and the ledger's; this file joins them with the store and with peers.
 */

import type { ModelConfig } from '../../model/index.ts'
import type { ClientMessage, Receipt, SignedReceipt, VerdictMessage } from '../../protocol/index.ts'
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
import type { Command, CommandOf, LedgerError, LedgerEvent } from '../ledger/index.ts'
import {
  isBanned,
  VERIFICATION_DEFAULTS,
  Verification,
  type VerificationEffect,
  type VerificationEvent,
  type VerificationLimits,
} from '../verification/index.ts'
import { AccountDesk } from './accountDesk.ts'
import { Admissions, type Refusal } from './admissions.ts'
import type { AuditDesk } from './auditDesk.ts'
import { Balances } from './balances.ts'
import { Bills, returnedBy, type Settled } from './bills.ts'
import { Budgets } from './budgets.ts'
import { Chores } from './chores.ts'
import { EscrowBook } from './escrow.ts'
import { RETRY_STORE_MS } from './limits.ts'
import { OperatorDesk } from './operatorDesk.ts'
import { type KeyHolder, type Payer, type Payment, Payments } from './payments.ts'
import { type IdentifiedPeer, PeerAccounts } from './peerAccounts.ts'
import { Policies } from './policies.ts'
import type { EconomyStore, PeerPorts } from './ports.ts'
import { Postings } from './postings.ts'
import { sessionPrice, workOfAudit } from './pricing.ts'
import { ReceiptDesk } from './receiptDesk.ts'
import { settlementOf } from './settlement.ts'
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
  /** Everything that verification decides, for who wants to count. */
  readonly onVerification?: (effect: VerificationEffect, accountOf: (peerId: PeerId) => string | null) => void
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
}

type ToldVerdict = Omit<VerdictMessage, 'type' | 'standing'> & { readonly peerId: PeerId }

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
  readonly #escrow = new EscrowBook()
  readonly #bills = new Bills()
  readonly #settledListeners = new Set<(sessionId: SessionId, charged: bigint) => void>()
  readonly #opening: Promise<Opened>
  #opened: Opened | null = null

  constructor(options: EconomyOptions, ports: PeerPorts) {
    this.#options = options
    this.#ports = ports
    const { clock, verify, log, store } = options
    const accounts = async () => (await store).accounts
    this.#peers = new PeerAccounts({ accounts, clock, onFound: (peerId, account) => this.#found(peerId, account), log })
    const keyOf = (peerId: PeerId) => this.#peers.get(peerId)?.publicKey ?? null
    const shareOf = (peerId: PeerId) => this.#peers.get(peerId)?.share ?? 1
    this.#receipts = new ReceiptDesk({ clock, keyOf, shareOf, verify, take: (receipt) => this.#take(receipt) })
    this.#postings = new Postings({
      post: async (command) => (await store).ledger.post(command),
      clock,
      onPosted: (event) => this.#posted(event),
      onRefused: (command, error) => this.#refused(command, error),
      log,
    })
    const ledger = async () => (await store).ledger
    this.#statements = new Statements({ ledger, accountOf: (peerId) => this.#peers.accountOf(peerId), clock, log })
    const shared = { store: () => store, clock }
    const operators = new OperatorDesk({ ...shared, starters: options.starters, onPosted: (event) => this.#posted(event) })
    const teams = new TeamDesk({ ...shared, peers: this.#peers, onPosted: (event) => this.#posted(event) })
    this.#desk = new AccountDesk({ ...shared, operators, teams, peers: this.#peers, log })
    this.#opening = this.#open()
    this.#policies = new Policies({
      accountOf: (peerId) => this.#peers.knownAccount(peerId),
      isTrusted: (account) => this.#opened?.verification.isTrusted(account) === true,
      clock,
    })
    this.#payments = new Payments(options.randomBytes)
    this.#budgets = new Budgets({ keys: async () => (await store).keys, clock, log })
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
    return { sessions: this.#admissions.count, claims: this.#escrow.count }
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
  onSettled(listener: (sessionId: SessionId, charged: bigint) => void): () => void {
    this.#settledListeners.add(listener)
    return () => void this.#settledListeners.delete(listener)
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
        if (held !== null) this.#feed({ ...event, requester: held.account, ownGateway: held.keyId !== null })
        return
      }
      case 'refused':
        return this.drop(event.sessionId)
      case 'repaired':
        return this.#feed(event)
      case 'closed': {
        const free = this.#admissions.endFree(event.sessionId)
        if (free !== null) return this.#tellCost({ driver: free, sessionId: event.sessionId, charged: 0n })
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
  }

  /** Sessions end with the coordinator: their holds go back. Resolves when everything is written and the store is closed. */
  async close(): Promise<void> {
    const opened = await this.#opening.catch(() => null)
    if (opened === null) return
    for (const sessionId of this.#admissions.close()) this.#postings.add(sessionId, [{ kind: 'release', session: sessionId }])
    await this.#postings.close()
    await this.#budgets.close()
    await opened.chores.close()
    await opened.trust.save()
    await opened.store.close()
  }

  async #open(): Promise<Opened> {
    const { audits, clock, random, reserveADay, verification: limits, log } = this.#options
    const store = await this.#options.store
    const ruleAfterMs = limits.ruleAfterMs ?? VERIFICATION_DEFAULTS.ruleAfterMs
    const chores = new Chores({ store, reserveADay, clock, ruleAfterMs, onPosted: (event) => this.#posted(event), log })
    const [trust, left] = await Promise.all([store.trust.load(), chores.begin()])
    for (const { session, owner } of left) this.#escrow.add({ session, account: owner, claimIds: [leftClaimId(session, owner)] })
    const verification = new Verification({
      candidates: (request) =>
        audits
          .candidates(request)
          .filter(({ peerId }) => this.#policies.mayAudit(request.sessionId, peerId))
          .flatMap((candidate) => this.#peers.asAuditor(candidate) ?? []),
      hasOwnEngine: (request) => audits.hasOwnEngine(request),
      hasCanaries: (request) => audits.hasCanaries(request),
      tolerance: (auditor, other) => audits.tolerance(auditor, other),
      holderOf: (peerId) => this.#peers.holderOf(peerId),
      networkOf: (peerId) => this.#peers.networkOf(peerId),
      linked: (one, other) => this.#peers.linked(one, other),
      random,
      limits,
      trust,
      claims: left.map(({ session, owner, sinceMs }) => ({
        claimId: leftClaimId(session, owner),
        holder: owner,
        settledMs: sinceMs,
        pending: false,
      })),
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
    this.#opened = { store, prices, verification, trust: new TrustKeeper(store.trust, log), balances, chores }
    return this.#opened
  }

  #found(peerId: PeerId, account: string): void {
    void this.#opening.then(({ verification, balances }) => {
      if (isBanned(verification.trustOf(account))) this.#ports.fail(peerId, BANNED)
      else balances.changed(account)
    }, noAccounts)
  }

  #take(receipt: Receipt): void {
    this.#feed({ kind: 'receipt', receipt })
  }

  #feed(event: VerificationEvent): void {
    if (this.#opened === null) return
    for (const effect of this.#opened.verification.handle(event, this.#options.clock.nowMs())) this.#carryOut(effect, this.#opened)
  }

  #carryOut(effect: VerificationEffect, { trust, verification, balances }: Opened): void {
    const { audits, log, onVerification } = this.#options
    onVerification?.(effect, (peerId) => this.#peers.knownAccount(peerId))
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
        return this.#end(this.#escrow.release(effect.claimId))
      case 'refund':
        return this.#end(this.#escrow.refund(effect.claimId))
      case 'challenge':
      case 'audit':
        return audits.handle(effect, (answer) => this.#feed(answer))
      case 'verdict':
        audits.handle(effect, (answer) => this.#feed(answer))
        return this.#tellVerdict({ ...effect, role: effect.span === null ? 'driver' : 'stage' }, verification)
      case 'contradicted': {
        const reason = 'two others agree with each other, and not with what it computed as an auditor'
        return this.#tellVerdict({ ...effect, role: 'auditor', verdict: 'failed', reason }, verification)
      }
      case 'trust':
        balances.changed(effect.holder)
        return trust.changed(effect.holder, effect.record)
      case 'ban':
        return this.#ban(effect.holder, trust)
      case 'dispute': {
        const [one, other] = effect.peerIds.map((peerId) => peerId.slice(0, 8))
        return log(`in session ${effect.sessionId} the peers ${one} and ${other} contradict each other, and no third says who is right`)
      }
      case 'pay-audit':
        return this.#payAudit(effect)
      default:
        unreachable(effect)
    }
  }

  /** With how its holder stands after it. Rule V24. */
  #tellVerdict({ peerId, sessionId, role, span, verdict, reason }: ToldVerdict, verification: Verification): void {
    const standing = verification.standingOf(this.#peers.holderOf(peerId))
    this.#ports.tell(peerId, { type: 'verdict', sessionId, role, span, verdict, reason, standing })
  }

  #settle(effect: Extract<VerificationEffect, { kind: 'settle' }>, verification: Verification): void {
    const { sessionId } = effect
    const held = this.#admissions.end(sessionId)
    if (held === null) return
    const { payment, entries } = settlementOf(effect, {
      config: required(this.#options.models.get(held.modelId), `the model ${held.modelId}`),
      maxPositions: held.maxPositions,
      accountOf: (peerId) => this.#peers.knownAccount(peerId),
      isTrusted: (account) => verification.isTrusted(account),
    })
    for (const entry of entries) this.#escrow.add(entry)
    this.#bills.begin(sessionId, held)
    const release = { kind: 'release', session: sessionId } as const
    this.#postings.add(sessionId, payment === null ? [release] : [payment, release])
  }

  /** As many rows at a time as a replacement's replay: rule V14. */
  #payAudit({ grant, stage, firstLayer, endLayer, peerId, ...rows }: Extract<VerificationEffect, { kind: 'pay-audit' }>): void {
    const [config, account] = [this.#options.models.get(grant.modelId), this.#peers.knownAccount(peerId)]
    if (config === undefined || account === null) return
    const work = workOfAudit(config, { firstLayer, endLayer }, rows)
    this.#postings.add(grant.sessionId, [{ kind: 'audit', session: grant.sessionId, stage, account, work }])
  }

  #end(command: CommandOf<'payout' | 'refund'> | null): void {
    if (command !== null) this.#postings.add(command.session, [command])
  }

  #ban(account: string, trust: TrustKeeper): void {
    void trust.save()
    for (const peerId of this.#peers.peersOf(account)) this.#ports.fail(peerId, BANNED)
  }

  #posted(event: LedgerEvent): void {
    for (const { account } of event.postings) if (account.owner !== '') this.#opened?.balances.changed(account.owner)
    if (event.command.kind === 'release') this.#budgets.ended(event.command.session, returnedBy(event))
    this.#tellCost(this.#bills.posted(event))
  }

  /** Rule E10. */
  #tellCost(settled: Settled | null): void {
    if (settled === null) return
    const { driver, sessionId, charged } = settled
    this.#ports.tell(driver, { type: 'settled', sessionId, charged: charged.toString() })
    for (const listener of this.#settledListeners) listener(sessionId, charged)
  }

  /** An escrow may be empty: of work too small to be worth a micro-credit, or that the reserve could not pay. */
  #refused(command: Command, error: LedgerError): void {
    if (command.kind === 'release' && error.reason === 'empty') {
      this.#budgets.ended(command.session, 0n)
      this.#tellCost(this.#bills.emptied(command.session))
    }
    const isUsual =
      (error.reason === 'empty' && command.kind !== 'settle') ||
      (error.reason === 'insufficient' && (command.kind === 'cover' || command.kind === 'audit'))
    if (!isUsual) this.#options.log(`the ledger refused a ${command.kind}: ${error.message}`)
  }
}

const BANNED = {
  reason: 'banned',
  message: 'audits have found twice that this account did not compute what it was paid for: it takes no further part here',
}

const NO_VOLUNTEER = {
  reason: 'no-volunteer',
  message: 'this account may not compute for others here; whoever runs this coordinator can give it the role of a volunteer',
}

const noAccounts = () => undefined

/** Of an escrow whose claims a process before knew: the account stands where its peer stood. */
function leftClaimId(session: string, account: string): string {
  return `${session}/${account}`
}
