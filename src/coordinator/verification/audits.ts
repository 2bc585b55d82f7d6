/**
 * AuditBook: results that were drawn, from the challenge to a verdict. First the stage hands over the rows that it has committed to, then an
 * auditor computes them again. One that agrees ends it; one that doesn't needs a second, independent one, and the odd one of the three is
 * wrong: at once where it is the stage, whose word for itself counts for nothing; where it would be the first auditor, a third is asked,
 * if there is one. Every wait has an end, and so every audit a verdict.
 */

import type { Grant, Receipt } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { type AuditedResult, type Auditor, type AuditorCandidate, type AuditorRequest, chooseAuditor, type OwnAuditor } from './auditors.ts'
import type { Verdict, VerificationEffect } from './effects.ts'
import { AUDIT_MS, CHALLENGE_MS, OWN_AUDIT_MS, PEER_AUDITORS_MAX, SPARE_AUDIT_MS } from './limits.ts'
import type { HolderId } from './trust.ts'

/** One stage's drawn result. */
export interface AuditTask extends AuditorRequest, Omit<AuditedResult, 'tried'> {
  readonly claimId: string
  readonly peerId: PeerId
  /** Of the session's first chain. */
  readonly grant: Grant
  readonly firstPosition: number
  readonly endPosition: number
  readonly commitments: readonly Receipt[]
  /** Its part ended before the session did. */
  readonly left: boolean
  readonly ownGateway: boolean
}

export interface AuditJudgement {
  readonly task: AuditTask
  readonly verdict: Verdict
  readonly reason: string
  /** The auditor whom two others contradict. */
  readonly odd: Auditor | null
  /** Auditors whose word the verdict bears out: they are paid. */
  readonly right: readonly Auditor[]
}

export interface AuditPorts {
  /** Who might audit it within the session's policy, now. */
  readonly candidates: (request: AuditorRequest) => readonly AuditorCandidate[]
  /** The coordinator's own engine has the model, or can have it. */
  readonly hasOwnEngine: (request: AuditorRequest) => boolean
  /** Canaries over these layers can be sent, and audited. */
  readonly hasCanaries: (request: AuditorRequest) => boolean
  readonly linked: (one: HolderId, other: HolderId) => boolean
  readonly random: () => number
  /** The largest honest distance between the rows of an auditor and those of the audited peer, or of an auditor before. */
  readonly tolerance: (auditor: Auditor, other: PeerId | Auditor) => number
}

interface Audit {
  readonly task: AuditTask
  readonly tried: Auditor[]
  /** null: the stage has not handed its rows over yet. */
  auditor: Auditor | null
  /** Whose rows differ from the stage's. */
  dissenter: Auditor | null
  /** Who then agreed with the stage, and not with the dissenter. */
  supporter: Auditor | null
  endsMs: number
}

export class AuditBook {
  readonly #audits = new Map<string, Audit>()
  readonly #ports: AuditPorts
  readonly #emit: (effect: VerificationEffect) => void
  readonly #judge: (judgement: AuditJudgement) => void

  /** `judge` is called once for each task. */
  constructor(ports: AuditPorts, emit: (effect: VerificationEffect) => void, judge: (judgement: AuditJudgement) => void) {
    this.#ports = ports
    this.#emit = emit
    this.#judge = judge
  }

  get count(): number {
    return this.#audits.size
  }

  has(claimId: string): boolean {
    return this.#audits.has(claimId)
  }

  start(task: AuditTask, nowMs: number): void {
    const { claimId, peerId, grant, firstLayer, endLayer, firstPosition, endPosition, commitments } = task
    this.#audits.set(claimId, { task, tried: [], auditor: null, dissenter: null, supporter: null, endsMs: nowMs + CHALLENGE_MS })
    this.#emit({ kind: 'challenge', claimId, peerId, firstPosition, endPosition, commitments, grant, firstLayer, endLayer })
  }

  answered(claimId: string, committed: boolean, nowMs: number): void {
    const audit = this.#audits.get(claimId)
    if (audit === undefined || audit.auditor !== null) return
    this.#emit({ kind: 'release-log', peerId: audit.task.peerId, sessionId: audit.task.sessionId })
    if (committed) this.#next(audit, nowMs)
    else this.#end(audit, 'failed', 'its rows are not those that its receipts committed to')
  }

  /** `between`: of its rows from the dissenter's. Distances that are no numbers count as infinite. */
  audited(claimId: string, distance: number, between: number | null, nowMs: number): void {
    const audit = this.#audits.get(claimId)
    const auditor = audit?.auditor
    if (audit === undefined || auditor == null) return
    const { dissenter, supporter, task } = audit
    const withStage = distance <= this.#ports.tolerance(auditor, task.peerId)
    if (dissenter === null) {
      if (withStage) return this.#end(audit, 'valid', 'an auditor agrees', { right: [auditor] })
      audit.dissenter = auditor
      return this.#next(audit, nowMs)
    }
    const withDissenter = between !== null && between <= this.#ports.tolerance(auditor, dissenter)
    if (!withStage && !withDissenter) return this.#end(audit, 'undecided', 'the stage and its auditors all differ')
    if (!withStage) {
      const reason = `two auditors agree with each other; the distance is ${distance}`
      return this.#end(audit, 'failed', reason, { right: [dissenter, auditor], odd: supporter })
    }
    if (withDissenter)
      return this.#end(audit, 'valid', 'an auditor agrees with the stage and with the one that did not', { right: [auditor] })
    if (supporter !== null) return this.#end(audit, 'valid', 'two auditors agree', { right: [supporter, auditor], odd: dissenter })
    audit.supporter = auditor
    this.#next(audit, nowMs)
  }

  auditorLost(claimId: string, nowMs: number): void {
    const audit = this.#audits.get(claimId)
    if (audit !== undefined && audit.auditor !== null) this.#next(audit, nowMs)
  }

  tick(nowMs: number): void {
    for (const audit of [...this.#audits.values()]) {
      if (nowMs < audit.endsMs) continue
      if (audit.auditor === null) this.#end(audit, 'unanswered', 'it did not hand its rows over')
      else this.#next(audit, nowMs)
    }
  }

  /** The next auditor; without one nothing is decided. */
  #next(audit: Audit, nowMs: number): void {
    const { task, tried } = audit
    const auditor = this.#choose(audit)
    if (auditor === null && audit.supporter !== null)
      return this.#end(audit, 'valid', 'the second auditor agrees', { right: [audit.supporter], odd: audit.dissenter })
    if (auditor === null) {
      const reason = audit.dissenter === null ? 'nobody could audit it' : 'nobody could confirm what one auditor found'
      if (!task.ownGateway && this.#ports.hasCanaries(task)) this.#emit({ kind: 'canary', peerId: task.peerId, modelId: task.modelId })
      return this.#end(audit, 'undecided', reason)
    }
    tried.push(auditor)
    audit.auditor = auditor
    audit.endsMs = nowMs + PATIENCE_MS[auditor.kind]
    this.#emit({ kind: 'audit', claimId: task.claimId, auditor, against: audit.dissenter })
  }

  #choose({ task, tried }: Audit): Auditor | null {
    const { candidates, hasOwnEngine, linked, random } = this.#ports
    const peers = tried.filter((auditor) => 'peerId' in auditor)
    const candidate = peers.length < PEER_AUDITORS_MAX ? chooseAuditor(candidates(task), { ...task, tried }, linked, random) : null
    if (candidate !== null) {
      const { peerId, holder, kind, network } = candidate
      return { peerId, holder, kind, network }
    }
    // It would see a text that only its own gateway has seen. No kernel is common to the two.
    if (!task.ownGateway || !hasOwnEngine(task)) return null
    return OWN_AUDITORS.find(({ arithmetic }) => !tried.some((one) => 'arithmetic' in one && one.arithmetic === arithmetic)) ?? null
  }

  #end(audit: Audit, verdict: Verdict, reason: string, found: Partial<Pick<AuditJudgement, 'odd' | 'right'>> = {}): void {
    this.#audits.delete(audit.task.claimId)
    this.#judge({ task: audit.task, verdict, reason, odd: found.odd ?? null, right: found.right ?? [] })
  }
}

/** In the order in which they are asked: the second where the first, or a peer before, is to be confirmed. */
const OWN_AUDITORS: readonly OwnAuditor[] = [
  { kind: 'coordinator', arithmetic: 'fast' },
  { kind: 'coordinator', arithmetic: 'reference' },
]

const PATIENCE_MS: Readonly<Record<Auditor['kind'], number>> = {
  loaded: AUDIT_MS,
  spare: SPARE_AUDIT_MS,
  coordinator: OWN_AUDIT_MS,
}
