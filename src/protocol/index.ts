/** protocol: what peers and the coordinator say to each other. Rules: SPEC.md. */

export type {
  AccountAnswer,
  AccountAnswerTo,
  AccountAsk,
  AccountAskOf,
  ExportPart,
  ListedApiKey,
  ListedDevice,
  RecoveryCopy,
  WrappedKey,
} from './accountRequests.ts'
export type { AuditedMessage, AuditOrder, SendLog, Standing, VerdictMessage } from './auditMessages.ts'
export {
  type AuditedSpan,
  type AuditRow,
  type AuditRows,
  type AuditShape,
  type AuditTable,
  auditBytesMax,
  auditRowBytes,
  decodeAuditRows,
  encodeAuditRows,
  NO_AUDIT_ROWS,
  NO_ROWS_SHAPE,
} from './auditRows.ts'
export { BUNDLE_MAGIC, bundledCount, framesOf, messageOf } from './bundle.ts'
export {
  candidateBytes,
  decodeCandidates,
  encodeCandidates,
  encodeNamed,
  type NamedLogits,
  type PositionCandidates,
  topKOf,
} from './candidates.ts'
export { lastCheckpoint, servedEnd } from './checkpoints.ts'
export {
  type Assignment,
  AWAY_RECOVERING,
  type ChainStage,
  type ClientMessage,
  IDENTIFY_CONTEXT,
  type NetworkSummary,
  type Paths,
  parseClientMessage,
  parseServerMessage,
  type ServerMessage,
} from './control.ts'
export { decodeFrame, encodeFrame } from './frameCodec.ts'
export { HEADER_BYTES } from './frameHeader.ts'
export type {
  CloseFrame,
  FailedFrame,
  FailureReason,
  FetchFrame,
  Frame,
  LapFrame,
  LogitsFrame,
  OpenedFrame,
  OpenFrame,
  PingFrame,
  PongFrame,
  ReceiptFrame,
  ResultsFrame,
  RowsFrame,
  SeveredFrame,
  TruncateFrame,
  WindowFrame,
} from './frames.ts'
export { type Grant, type GrantStage, type SignedGrant, stageName } from './grant.ts'
export { openGrant, signGrant } from './grantCodec.ts'
export type { LedgerHead } from './ledgerRequests.ts'
export {
  ACCOUNTS_LISTED_MAX,
  AUDIT_BYTES_MAX,
  CHECKPOINT_POSITIONS,
  CONTROL_MESSAGE_BYTES_MAX,
  DRAIN_IDLE_MS,
  FAILURE_MESSAGE_CHARACTERS_MAX,
  FETCHABLE_ROWS,
  FRAME_BYTES_MAX,
  LINK_QUEUE_BYTES_MAX,
  LOG_KEPT_MS,
  NAMED_TOKENS_MAX,
  PROTOCOL_VERSION,
  PROVEN_LINES_MAX,
  QUEUE_WAIT_MS_MAX,
  RECEIPTS_MAX,
  RELAY_RECORD_BYTES_MAX,
  REPAIR_WAIT_MS,
  ROWS_MAX,
  RTT_MS_MAX,
  SESSION_IDLE_MS,
  STAGES_MAX,
  STATEMENT_LINES_MAX,
  TOP_K_DEFAULT,
  TOP_K_MAX,
  WIDTH_MAX,
  WINDOW_ROWS,
} from './limits.ts'
export type { Dial, Link, LinkClosed, LinkHandlers, LinkKind, LinkStats } from './link.ts'
export { type ListedModel, type ModelList, parseModelList } from './modelList.ts'
export type { ListedAccount } from './operatorRequests.ts'
export { certifyPeer, openCertificate } from './peerCertificate.ts'
export {
  EMPTY_HASH,
  type LinkTally,
  type Receipt,
  type ReceiptParty,
  type RowCounts,
  receiptMisfit,
  rowTotal,
  type SignedReceipt,
  waitedRows,
} from './receipt.ts'
export { openReceipt, readReceipt, signReceipt } from './receiptCodec.ts'
export { ReceiveWindow } from './receiveWindow.ts'
export { rowHashInput } from './rowHash.ts'
export { decodeRows, encodeRows, ROW_ENCODINGS, type RowEncoding, type RowKind, rowBytes } from './rows.ts'
export type { SignedDocument } from './signedDocument.ts'
export type { ListedMember, ListedTeam } from './teamRequests.ts'
