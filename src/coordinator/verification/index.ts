/** coordinator/verification: receipts compared, work proven, audits drawn and judged. Pure: events in, effects out. Rules: SPEC.md [V]. */

export type { Auditor, AuditorRequest, AvailableAuditor, OwnArithmetic } from './auditors.ts'
export type { Claim } from './claims.ts'
export { isCommitted } from './commitment.ts'
export { candidatesDistance, rowsDistance } from './distance.ts'
export { DATA_CHEATS, type DataCheat, type DistanceTable, distanceAt, isPair, parseDistanceTable, toleranceOf } from './distanceTable.ts'
export type { VerificationEffect, VerificationEvent } from './effects.ts'
export { VERIFICATION_DEFAULTS, type VerificationLimits } from './limits.ts'
export { SessionBook, type TrackedSession } from './sessions.ts'
export { settle, type WorkLine } from './settle.ts'
export { MEASURED_TOLERANCE } from './tolerance.ts'
export { afterDraw, auditProbability, type HolderId, isBanned, type Standing, type TrustRecord } from './trust.ts'
export { Verification } from './verification.ts'
