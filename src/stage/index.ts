/** stage: the peer that serves a span: sessions, passes, activation log. */

export type { ActivationLog, LoggedRow } from './activationLog.ts'
export type { ServedSpan } from './place.ts'
export { type HostWork, type PassTimes, StageHost, type StageHostOptions } from './stageHost.ts'
