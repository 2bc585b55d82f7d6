/** AuditDesk: the part of verification that needs engines: who could audit a result, and how its rows get there. coordinator/audits is one. */

import type { PeerId } from '../../shared/index.ts'
import type { Auditor, AuditorRequest, VerificationEffect, VerificationEvent } from '../verification/index.ts'

/** `verdict`: whatever was kept for it is not needed any more. */
export type AuditEffect = Extract<VerificationEffect, { kind: 'challenge' | 'audit' | 'verdict' }>
export type AuditEvent = Extract<VerificationEvent, { kind: 'answered' | 'audited' | 'auditor-lost' }>

/** Whose account it is of, the economy knows. */
export interface PossibleAuditor {
  readonly peerId: PeerId
  /** loaded: it serves all these layers. spare: it has room for them, beside what it may serve. */
  readonly kind: 'loaded' | 'spare'
}

export interface AuditDesk {
  /** Who might audit it within the session's policy, now. */
  candidates(request: AuditorRequest): readonly PossibleAuditor[]
  hasOwnEngine(request: AuditorRequest): boolean
  /** The largest honest distance between rows of the two. */
  tolerance(auditor: Auditor, other: PeerId | Auditor): number
  /** `tell` may be called later, and within. */
  handle(effect: AuditEffect, tell: (event: AuditEvent) => void): void
  /** It is not connected any more. */
  left(peerId: PeerId): void
}
