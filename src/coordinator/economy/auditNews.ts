/**
 * AuditNews: who is told what audits have found. A peer hears of its own part, the driver of who computed its session's stages again; others in this
 * process, such as the gateway, hear what drivers do. Rules V24 and V27 of SPEC.md.
 */

import type { AuditedMessage, ServerMessage, VerdictMessage } from '../../protocol/index.ts'
import type { PeerId, SessionId } from '../../shared/index.ts'
import type { Standing, VerificationEffect } from '../verification/index.ts'

/** One stage's part in a session, and who computed it again. */
export type StageAudit = Omit<AuditedMessage, 'type' | 'sessionId'>
export type AuditListener = (sessionId: SessionId, audit: StageAudit) => void

export interface AuditNewsOptions {
  readonly tell: (peerId: PeerId, message: ServerMessage) => void
  /** Of the account behind that peer, after what was found. */
  readonly standingOf: (peerId: PeerId) => Standing
}

interface OpenAudit {
  readonly driver: PeerId
  readonly auditors: AuditedMessage['auditors'][number][]
}

export class AuditNews {
  readonly #options: AuditNewsOptions
  /** By claim: from its challenge to its verdict. */
  readonly #open = new Map<string, OpenAudit>()
  readonly #listeners = new Set<AuditListener>()

  constructor(options: AuditNewsOptions) {
    this.#options = options
  }

  listen(listener: AuditListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  take(effect: VerificationEffect): void {
    switch (effect.kind) {
      case 'challenge':
        this.#open.set(effect.claimId, { driver: effect.grant.driver, auditors: [] })
        return
      case 'audit': {
        const { claimId, auditor } = effect
        this.#open.get(claimId)?.auditors.push({ kind: auditor.kind, peerId: 'peerId' in auditor ? auditor.peerId : null })
        return
      }
      case 'verdict':
        this.#tellVerdict(effect.peerId, { ...effect, role: effect.span === null ? 'driver' : 'stage' })
        return this.#tellDriver(effect)
      case 'contradicted': {
        const reason = 'two others agree with each other, and not with what it computed as an auditor'
        return this.#tellVerdict(effect.peerId, { ...effect, role: 'auditor', verdict: 'failed', reason })
      }
      default:
        return
    }
  }

  /** With how its holder stands after it. */
  #tellVerdict(peerId: PeerId, { sessionId, role, span, verdict, reason }: Omit<VerdictMessage, 'type' | 'standing'>): void {
    const standing = this.#options.standingOf(peerId)
    this.#options.tell(peerId, { type: 'verdict', sessionId, role, span, verdict, reason, standing })
  }

  /** Nothing of what receipts alone have decided. */
  #tellDriver({ claimId, sessionId, peerId, span, verdict }: Extract<VerificationEffect, { kind: 'verdict' }>): void {
    const open = this.#open.get(claimId)
    this.#open.delete(claimId)
    if (open === undefined || span === null) return
    const audit = { peerId, span, auditors: open.auditors, verdict }
    this.#options.tell(open.driver, { type: 'audited', sessionId, ...audit })
    for (const listener of this.#listeners) listener(sessionId, audit)
  }
}
