/**
 * Verification: from receipts to verdicts, without sockets, ledger or engine. Events in, effects out; time comes with each event, chance is
 * the coordinator's secret. Comparison in settle.ts, audits in audits.ts, escrow in claims.ts, trust in trust.ts; this file joins them.
 */

import { type PeerId, type SessionId, unreachable } from '../../shared/index.ts'
import type { AuditorCandidate, AuditorRequest, AvailableAuditor } from './auditors.ts'
import { AuditBook, type AuditJudgement, type AuditPorts } from './audits.ts'
import { type Claim, ClaimBook } from './claims.ts'
import type { VerificationEffect, VerificationEvent } from './effects.ts'
import { VERIFICATION_DEFAULTS, type VerificationLimits } from './limits.ts'
import { claimIdOf, claimsOf, isSeenFailure, leaversOf, partsOf, taskOf } from './parts.ts'
import type { PartSpan } from './segment.ts'
import { SessionBook, type TrackedSession } from './sessions.ts'
import { settle } from './settle.ts'
import {
  afterDraw,
  afterFailure,
  afterStrike,
  afterValid,
  auditProbability,
  type HolderId,
  isBanned,
  isTrusted,
  NO_TRUST,
  type Standing,
  standingOf,
  type TrustRecord,
} from './trust.ts'

export interface VerificationOptions extends Omit<AuditPorts, 'candidates'> {
  /** Who might audit it within the session's policy, now; banned ones are left out here. */
  readonly candidates: (request: AuditorRequest) => readonly AvailableAuditor[]
  /** The account behind a peer, or the peer's id. */
  readonly holderOf: (peerId: PeerId) => HolderId
  /** Its public address block; null: it has none that says anything. */
  readonly networkOf: (peerId: PeerId) => string | null
  readonly limits?: Partial<VerificationLimits>
  /** What the store kept of a process before. */
  readonly trust?: Iterable<readonly [HolderId, TrustRecord]>
  readonly claims?: Iterable<Claim>
}

export class Verification {
  readonly #options: VerificationOptions
  readonly #limits: VerificationLimits
  readonly #sessions = new SessionBook()
  readonly #claims: ClaimBook
  readonly #audits: AuditBook
  readonly #trust: Map<HolderId, TrustRecord>
  /** Verdicts, and draws, of sessions that are not settled yet: of stages that left. */
  readonly #early = new Map<SessionId, Map<PeerId, AuditJudgement | null>>()
  #effects: VerificationEffect[] = []
  #nowMs = 0

  constructor(options: VerificationOptions) {
    this.#options = { ...options, linked: (one, other) => one === other || options.linked(one, other) }
    this.#limits = { ...VERIFICATION_DEFAULTS, ...options.limits }
    this.#claims = new ClaimBook(options.claims ?? [])
    this.#trust = new Map(options.trust ?? [])
    this.#audits = new AuditBook(
      { ...this.#options, candidates: (request) => this.#candidates(request) },
      (effect) => this.#effects.push(effect),
      (judgement) => this.#judge(judgement),
    )
  }

  /** What is under way: open sessions, claims in escrow, running audits. */
  get pending(): { readonly sessions: number; readonly claims: number; readonly audits: number } {
    return { sessions: this.#sessions.count, claims: this.#claims.count, audits: this.#audits.count }
  }

  trustOf(holder: HolderId): TrustRecord {
    return this.#trust.get(holder) ?? NO_TRUST
  }

  isTrusted(holder: HolderId): boolean {
    return isTrusted(this.trustOf(holder), this.#limits)
  }

  standingOf(holder: HolderId): Standing {
    return standingOf(this.trustOf(holder), this.#limits)
  }

  handle(event: VerificationEvent, nowMs: number): VerificationEffect[] {
    this.#effects = []
    this.#nowMs = nowMs
    this.#take(event)
    const { asks, decided } = this.#sessions.due(nowMs)
    for (const ask of asks) this.#effects.push({ kind: 'ask-receipt', ...ask })
    for (const session of decided) this.#decide(session)
    return this.#effects
  }

  #take(event: VerificationEvent): void {
    const nowMs = this.#nowMs
    switch (event.kind) {
      case 'opened':
        return this.#sessions.open(event)
      case 'repaired':
        if (this.#sessions.repaired(event.grant, event.left)) this.#drawLeavers(event.grant.sessionId)
        return
      case 'receipt':
        if (this.#sessions.receipt(event.receipt) === null && event.receipt.final) this.#drawLeavers(event.receipt.sessionId)
        return
      case 'closed':
        return this.#sessions.close(event.sessionId, event.failure, nowMs)
      case 'answered':
        return this.#audits.answered(event.claimId, event.committed, nowMs)
      case 'audited':
        return this.#audits.audited(event.claimId, event.distance, event.between, nowMs)
      case 'auditor-lost':
        return this.#audits.auditorLost(event.claimId, nowMs)
      case 'tick':
        this.#audits.tick(nowMs)
        this.#effects.push(...this.#claims.releaseOld(nowMs, this.#limits.ruleAfterMs))
        return
      default:
        return unreachable(event)
    }
  }

  /** The part of a stage that is out of the chain ends with its last receipt: it is drawn then, while it still has its log. */
  #drawLeavers(sessionId: SessionId): void {
    const session = this.#sessions.get(sessionId)
    if (session === null || session.segments.length === 1) return
    const early = this.#early.get(sessionId) ?? new Map<PeerId, AuditJudgement | null>()
    this.#early.set(sessionId, early)
    for (const peerId of leaversOf(session)) {
      if (early.has(peerId)) continue
      early.set(peerId, null)
      this.#draw(session, peerId, { forced: session.opened.isCanary, left: true })
    }
  }

  #decide(session: TrackedSession): void {
    const { grant, requester } = session.opened
    const { sessionId } = grant
    const { holderOf, linked } = this.#options
    const arePeersLinked = (one: PeerId, other: PeerId) => linked(holderOf(one), holderOf(other))
    const segments = session.segments.map(({ segment, leaves }) => ({ segment, left: new Set(leaves.map(({ peerId }) => peerId)) }))
    const { lines, submitted, findings } = settle(segments, arePeersLinked)
    const payer = isSeenFailure(session, arePeersLinked) ? 'reserve' : 'requester'
    const claims = claimsOf(sessionId, lines)
    this.#effects.push({ kind: 'settle', sessionId, payer, submitted, claims })
    for (const { claimId, peerId } of claims) {
      const holder = holderOf(peerId)
      this.#claims.add({ claimId, holder, settledMs: this.#nowMs, pending: this.#audits.has(claimId) })
      if (linked(requester, holder)) this.#effects.push(...this.#claims.refund(claimId, 'linked'))
      else if (isBanned(this.trustOf(holder))) this.#effects.push(...this.#claims.refund(claimId, 'banned'))
    }
    const disputed = new Set<PeerId>()
    for (const { segment, disputes } of findings) {
      for (const [one, other] of disputes) {
        const peerIds = [segment.peerAt(one), segment.peerAt(other)] as const
        for (const peerId of peerIds) disputed.add(peerId)
        this.#effects.push({ kind: 'dispute', sessionId, peerIds })
      }
    }
    const early = this.#early.get(sessionId)
    this.#early.delete(sessionId)
    for (const judgement of early?.values() ?? []) if (judgement !== null) this.#settleVerdict(judgement)
    const liars = new Map(
      findings.flatMap(({ segment, liars: places }) => [...places].map((place) => [segment.peerAt(place), segment.spanAt(place)] as const)),
    )
    for (const [peerId, span] of liars) this.#lied(sessionId, peerId, span)
    for (const { peerId, left } of partsOf(session)) {
      if (liars.has(peerId)) this.#effects.push({ kind: 'release-log', peerId, sessionId })
      else if (early?.has(peerId) !== true) this.#draw(session, peerId, { forced: disputed.has(peerId) || session.opened.isCanary, left })
    }
    for (const { peerId, announced } of session.segments.flatMap(({ leaves }) => leaves)) if (!announced) this.#strike(holderOf(peerId))
  }

  /** Whether this stage's result is audited. Those of its holder's own sessions never are: they count for nothing. */
  #draw(session: TrackedSession, peerId: PeerId, { forced, left }: { readonly forced: boolean; readonly left: boolean }): void {
    const { opened } = session
    const holder = this.#options.holderOf(peerId)
    const { sessionId } = opened.grant
    const task = taskOf(session, peerId, left, this.#options)
    const record = this.trustOf(holder)
    const counts = task !== null && !this.#options.linked(opened.requester, holder) && !isBanned(record)
    const drawn = counts && (this.#options.random() < auditProbability(record, this.#limits) || forced)
    if (counts) this.#setTrust(holder, afterDraw(record, drawn))
    if (!drawn) return void this.#effects.push({ kind: 'release-log', peerId, sessionId })
    this.#claims.setPending(task.claimId, true)
    this.#audits.start(task, this.#nowMs)
  }

  #candidates(request: AuditorRequest): AuditorCandidate[] {
    const candidates = this.#options.candidates(request).filter(({ holder }) => !isBanned(this.trustOf(holder)))
    return candidates.map((candidate) => ({ ...candidate, trusted: this.isTrusted(candidate.holder) }))
  }

  #judge(judgement: AuditJudgement): void {
    const { task, verdict, reason, odd, right } = judgement
    const { claimId, sessionId, peerId, holder, grant, firstLayer, endLayer, endPosition: positions } = task
    const span = { firstLayer, endLayer }
    this.#effects.push({ kind: 'verdict', claimId, sessionId, peerId, span, verdict, reason })
    for (const auditor of right) {
      if (!('peerId' in auditor)) continue
      const results = task.commitments.reduce((sum, { sent }) => sum + sent.results, 0)
      const computed = { grant, stage: peerId, firstLayer, endLayer, positions, results: Math.min(positions, results) }
      this.#effects.push({ kind: 'pay-audit', claimId, peerId: auditor.peerId, ...computed })
    }
    if (odd !== null && 'holder' in odd) {
      this.#effects.push({ kind: 'contradicted', claimId, sessionId, peerId: odd.peerId, span })
      this.#fail(odd.holder)
    }
    if (verdict === 'valid') this.#setTrust(holder, afterValid(this.trustOf(holder)))
    const early = this.#early.get(task.sessionId)
    if (early?.has(peerId)) early.set(peerId, judgement)
    else this.#settleVerdict(judgement)
    if (verdict === 'failed') this.#fail(holder)
    // Who left without a word has its strike for that; who said so has none.
    if (verdict === 'unanswered' && !task.left) this.#strike(holder)
  }

  /** What a verdict means for what lies in escrow. */
  #settleVerdict({ task: { claimId, holder }, verdict }: AuditJudgement): void {
    if (verdict === 'unanswered') this.#effects.push(...this.#claims.refund(claimId, 'unanswered'))
    if (verdict === 'failed') this.#effects.push(...this.#claims.refund(claimId, 'cheated'))
    const untilMs = this.#claims.setPending(claimId, false)
    if (verdict === 'valid' && this.isTrusted(holder)) this.#effects.push(...this.#claims.releaseOf(holder, untilMs ?? this.#nowMs))
  }

  #lied(sessionId: SessionId, peerId: PeerId, span: PartSpan | null): void {
    const reason = 'two others that do not belong together contradict its receipts'
    this.#effects.push({ kind: 'verdict', claimId: claimIdOf(sessionId, peerId), sessionId, peerId, span, verdict: 'failed', reason })
    this.#fail(this.#options.holderOf(peerId))
  }

  /** Its trust is gone, and all that it has in escrow. */
  #fail(holder: HolderId): void {
    const record = afterFailure(this.trustOf(holder))
    this.#setTrust(holder, record)
    this.#effects.push(...this.#claims.refundOf(holder, 'cheated'))
    if (isBanned(record)) this.#effects.push({ kind: 'ban', holder })
  }

  #strike(holder: HolderId): void {
    this.#setTrust(holder, afterStrike(this.trustOf(holder), this.#nowMs))
  }

  #setTrust(holder: HolderId, record: TrustRecord): void {
    this.#trust.set(holder, record)
    this.#effects.push({ kind: 'trust', holder, record })
  }
}
