/** peer: the runtime of one tab, volunteer and requester, and what its engine worker does; without any framework. */

export { type EngineChoice, engineChoices } from '../worker/index.ts'
export type {
  AccountCalls,
  AccountKeeping,
  AccountState,
  ApiKeyState,
  Bill,
  DeviceState,
  FoundByPhrase,
  LedgerVerdict,
  ListedAccountState,
  ModelPrice,
  OperatorCalls,
  OperatorOverview,
  StatementPage,
} from './accountTypes.ts'
export { type AskingRole, openAskingRole } from './askingRole.ts'
export { AuditErrands } from './auditErrands.ts'
export { DraftHost } from './draftHost.ts'
export type { DraftWorkerApi } from './draftWorkerApi.ts'
export { EngineHost, type EngineHostPorts } from './engineHost.ts'
export type { HeadAlarm } from './headWatch.ts'
export type { EngineWorker } from './hosting.ts'
export type { HeadVault, LedgerCheck } from './ledgerCheck.ts'
export { type ModelText, readModelText } from './modelLibrary.ts'
export type { HostSignals, PressureReason } from './pressure.ts'
export { promptIds } from './promptIds.ts'
export { startAsk } from './requester.ts'
export { createPeerRuntime, type RuntimeHost } from './runtime.ts'
export { SpareLayers } from './spareLayers.ts'
export type { TeamCalls, TeamDetails, TeamMemberState, TeamScope, TeamState } from './teamTypes.ts'
export type {
  Answer,
  AnswerDraftModel,
  AnswerRepair,
  Ask,
  AskProgress,
  AskRequest,
  AuditVerdict,
  ChatMessage,
  ConnectionState,
  ContributeOptions,
  DraftModelOffer,
  DraftModelState,
  GpuSummary,
  MeasureOptions,
  ModelMeasurement,
  ModelSpeed,
  ModelSpeedProgress,
  PeerRuntime,
  PeerState,
  RouteStage,
  SamplingOptions,
  ServedWork,
  StageAudit,
  StorageSummary,
  VolunteerState,
} from './types.ts'
export type { DetectedEngine, EngineWorkerApi } from './workerApi.ts'
