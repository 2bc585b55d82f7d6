/** stage: the peer that serves a span: sessions, passes, activation log. */

export { ActivationLog, LOG_BYTES_MAX, LogBudget, type LoggedRow } from './activationLog.ts'
export type { ServedSpan } from './place.ts'
export { type HostWork, SESSIONS_MAX, StageHost, type StageHostOptions } from './stageHost.ts'
