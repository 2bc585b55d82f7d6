/** stage: the peer that serves a span: sessions, passes, activation log. */

export type { ActivationLog, LoggedRow } from './activationLog.ts'
export { Auditing, type AuditLayers } from './auditing.ts'
export type { HostWork, PassTimes } from './hostWork.ts'
export type { ServedSpan } from './place.ts'
export { StageHost, type StageHostOptions } from './stageHost.ts'
