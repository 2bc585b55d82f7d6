/** peer: the runtime of one tab, volunteer and requester, without any framework. */

export type {
  Answer,
  Ask,
  AskProgress,
  AskRequest,
  ChatMessage,
  ConnectionState,
  GpuSummary,
  PeerRuntime,
  PeerState,
  RouteStage,
  SamplingOptions,
  ServedWork,
  StorageSummary,
  VolunteerState,
} from './types.ts'
