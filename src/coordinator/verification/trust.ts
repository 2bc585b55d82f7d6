/**
 * Trust: how often a holder's results are audited, by what audits of it have found. A holder is an account, or a peer's key where no
 * account stands behind it. Adaptive replication as in BOINC: docs/VERIFICATION.md has the arithmetic.
 */

import { BAN_FAILURES, OVERDUE_FACTOR, STRIKES_MAX, STRIKES_WITHIN_MS, type VerificationLimits } from './limits.ts'

/** An account's id, or a peer's where it has none. */
export type HolderId = string

/** Plain data, kept by the store. */
export interface TrustRecord {
  /** Audits passed since the beginning, or since trust was reset. */
  readonly validInARow: number
  /** Results since one was drawn. */
  readonly sinceAudit: number
  /** Confirmed failures, ever. */
  readonly failures: number
  /** Coordinator times of unanswered challenges and unannounced leaves. */
  readonly strikesMs: readonly number[]
}

/** What a holder may know of how it stands. */
export interface Standing extends Pick<TrustRecord, 'validInARow' | 'failures'> {
  /** Audits in a row that make it trusted. */
  readonly trustedFrom: number
}

export const NO_TRUST: TrustRecord = { validInARow: 0, sinceAudit: 0, failures: 0, strikesMs: [] }

export function isTrusted({ validInARow }: TrustRecord, { newcomerResults }: VerificationLimits): boolean {
  return validInARow >= newcomerResults
}

export function standingOf({ validInARow, failures }: TrustRecord, { newcomerResults }: VerificationLimits): Standing {
  return { validInARow, failures, trustedFrom: newcomerResults }
}

export function isBanned({ failures }: TrustRecord): boolean {
  return failures >= BAN_FAILURES
}

/** Of the next result, 0 … 1. */
export function auditProbability(record: TrustRecord, limits: VerificationLimits): number {
  if (!isTrusted(record, limits)) return 1
  const usual = Math.max(1 / record.validInARow, limits.auditFloor)
  const isOverdue = record.sinceAudit >= 1 / limits.auditFloor
  return isOverdue ? Math.min(1, OVERDUE_FACTOR * usual) : usual
}

export function afterDraw(record: TrustRecord, drawn: boolean): TrustRecord {
  return { ...record, sinceAudit: drawn ? 0 : record.sinceAudit + 1 }
}

export function afterValid(record: TrustRecord): TrustRecord {
  return { ...record, validInARow: record.validInARow + 1 }
}

export function afterFailure(record: TrustRecord): TrustRecord {
  return { ...record, validInARow: 0, failures: record.failures + 1 }
}

/** A challenge unanswered, or a leave in mid-session that was not announced. */
export function afterStrike(record: TrustRecord, nowMs: number): TrustRecord {
  const strikesMs = [...record.strikesMs.filter((atMs) => nowMs - atMs < STRIKES_WITHIN_MS), nowMs]
  return strikesMs.length < STRIKES_MAX ? { ...record, strikesMs } : { ...record, strikesMs: [], validInARow: 0 }
}
