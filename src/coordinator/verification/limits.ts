/** Bounds and periods of verification, each with its reason; an operator may set those of VerificationLimits. */

export interface VerificationLimits {
  /** Valid results in a row after which not every one is audited. */
  readonly newcomerResults: number
  /** The least probability of an audit, 0 … 1: docs/VERIFICATION.md derives it. */
  readonly auditFloor: number
  /** After that long what no audit has decided is settled by rule. */
  readonly ruleAfterMs: number
}

export const VERIFICATION_DEFAULTS: VerificationLimits = { newcomerResults: 10, auditFloor: 0.06, ruleAfterMs: 24 * 3_600_000 }

/**
 * Once 1 ÷ floor results have passed without an audit, each is drawn this many times as often: costs 1.3 % more compute, and finds within 50
 * results in 99.5 % of all cases instead of 95.5 %. It only ever rises, so that who counts learns nothing of use.
 */
export const OVERDUE_FACTOR = 2

/** Failed audits after which a key is banned. */
export const BAN_FAILURES = 2

/** Unanswered challenges and unannounced leaves within STRIKES_WITHIN_MS that reset trust. */
export const STRIKES_MAX = 2
export const STRIKES_WITHIN_MS = 24 * 3_600_000

/** How long final receipts are waited for after a session's end: a few round trips, and a page that is busy. */
export const RECEIPT_WAIT_MS = 5_000

/** How often neighbors that ended at different positions are asked for one that both have: an answer may be shorter still. */
export const ASK_ROUNDS = 2

/** How long a stage keeps its log after a session's end, so that it can answer a challenge: its memory is a volunteer's. */
export const CHALLENGE_MS = 60_000

/** How long an auditor may take: one prefill of what a session held; a spare loads the layers first. */
export const AUDIT_MS = 120_000
export const SPARE_AUDIT_MS = 300_000
/** The coordinator's own engine takes one after the other, at low priority, and its reference is slow. */
export const OWN_AUDIT_MS = 3_600_000

/** Positions of one audit: rows of a session's first positions, 2,048 of width 576 in f16 are 2.4 MB each way. */
export const AUDIT_POSITIONS_MAX = 2_048

/** Peers that are tried for one result, those that never answered among them. */
export const PEER_AUDITORS_MAX = 4

/** Segments of a session that are compared: chains that break more often than this have other troubles. */
export const SEGMENTS_MAX = 64
