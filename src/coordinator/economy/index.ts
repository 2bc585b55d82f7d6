/** coordinator/economy: who pays for answers and who is paid for them. Joins verification, ledger and accounts with the running coordinator. */

export type { Action, ActionDetail } from './actions.ts'
export type { AuditDesk, AuditEffect, AuditEvent, PossibleAuditor } from './auditDesk.ts'
export type { AuditListener, StageAudit } from './auditNews.ts'
export type { CanaryDriver } from './canaries.ts'
export { Economy, type EconomyOptions } from './economy.ts'
export { RESERVE_A_DAY } from './limits.ts'
export type { KeyHolder, Payer, Payment } from './payments.ts'
export type { IdentifiedPeer } from './peerAccounts.ts'
export type { EconomyStore, PeerPorts } from './ports.ts'
export type { SessionSize } from './pricing.ts'
