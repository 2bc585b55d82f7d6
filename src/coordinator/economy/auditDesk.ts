/**
 * AuditDesk: the part of verification that needs engines: who could audit a result, and how its rows get there. Carrying rows to auditors is a task of
 * its own; until then NO_AUDITS stands here, no result is decided by an audit, and each is settled by rule.
 */

import type { PeerId } from '../../shared/index.ts'
import type { AuditorRequest, AvailableAuditor, VerificationEffect, VerificationEvent } from '../verification/index.ts'
import { type Auditor, MEASURED_TOLERANCE } from '../verification/index.ts'

export type AuditEffect = Extract<VerificationEffect, { kind: 'challenge' | 'audit' | 'pay-audit' }>
export type AuditEvent = Extract<VerificationEvent, { kind: 'answered' | 'audited' | 'auditor-lost' }>

export interface AuditDesk {
  /** Who might audit it within the session's policy, now. */
  candidates(request: AuditorRequest): readonly AvailableAuditor[]
  hasOwnEngine(request: AuditorRequest): boolean
  hasCanaries(request: AuditorRequest): boolean
  /** The largest honest distance between rows of the two. */
  tolerance(auditor: Auditor, other: PeerId | Auditor): number
  /** `tell` may be called later, and within. */
  handle(effect: AuditEffect, tell: (event: AuditEvent) => void): void
}

/** Takes a stage's rows for handed over, since nobody would look at them, and finds no auditor. */
export const NO_AUDITS: AuditDesk = {
  candidates: () => [],
  hasOwnEngine: () => false,
  hasCanaries: () => false,
  tolerance: () => MEASURED_TOLERANCE.default,
  handle(effect, tell) {
    if (effect.kind === 'challenge') tell({ kind: 'answered', claimId: effect.claimId, committed: true })
  },
}
