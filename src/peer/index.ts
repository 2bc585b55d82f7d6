/** peer: the runtime of one tab, volunteer and requester, and what its engine worker does; without any framework. */

export { type EngineChoice, engineChoices } from '../worker/index.ts'
export { DraftHost } from './draftHost.ts'
export type { DraftWorkerApi } from './draftWorkerApi.ts'
export { EngineHost, type EngineHostPorts } from './engineHost.ts'
export type { EngineWorker } from './hosting.ts'
export type { HostSignals, PressureReason } from './pressure.ts'
export { createPeerRuntime, type RuntimeHost } from './runtime.ts'
export type {
  AccountCalls,
  AccountKeeping,
  AccountState,
  Answer,
  AnswerDraftModel,
  AnswerRepair,
  ApiKeyState,
  Ask,
  AskProgress,
  AskRequest,
  Bill,
  ChatMessage,
  ConnectionState,
  ContributeOptions,
  DraftModelOffer,
  DraftModelState,
  FoundByPhrase,
  GpuSummary,
  LedgerVerdict,
  ListedAccountState,
  MeasureOptions,
  ModelMeasurement,
  ModelPrice,
  ModelSpeed,
  ModelSpeedProgress,
  OperatorCalls,
  OperatorOverview,
  PeerRuntime,
  PeerState,
  RouteStage,
  SamplingOptions,
  ServedWork,
  StatementPage,
  StorageSummary,
  VolunteerState,
} from './types.ts'
export type { DetectedEngine, EngineWorkerApi } from './workerApi.ts'
