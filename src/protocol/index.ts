/** protocol: what peers and the coordinator say to each other. Rules: SPEC.md. */

export {
  type Assignment,
  type ChainStage,
  type ClientMessage,
  clientMessageSchema,
  IDENTIFY_CONTEXT,
  type NetworkSummary,
  parseClientMessage,
  parseServerMessage,
  type ServerMessage,
  serverMessageSchema,
} from './control.ts'
export type {
  CloseFrame,
  FailedFrame,
  FailureReason,
  Frame,
  LapFrame,
  OpenedFrame,
  OpenFrame,
  ResultsFrame,
  RowsFrame,
  TruncateFrame,
  WindowFrame,
} from './frames.ts'
export { GRANT_CONTEXT, type Grant, type GrantStage, type SignedGrant } from './grant.ts'
export {
  CONTROL_MESSAGE_BYTES_MAX,
  CONTROL_PAYLOAD_BYTES_MAX,
  FRAME_BYTES_MAX,
  LINK_QUEUE_BYTES_MAX,
  POSITIONS_MAX,
  PROTOCOL_VERSION,
  ROWS_MAX,
  SESSION_IDLE_MS,
  STAGES_MAX,
  TOP_K_DEFAULT,
  TOP_K_MAX,
  WIDTH_MAX,
  WINDOW_ROWS,
} from './limits.ts'
export type { Dial, Link, LinkClosed, LinkHandlers, LinkKind, LinkStats } from './link.ts'
export { type RowEncoding, type RowKind, rowBytes } from './rows.ts'
