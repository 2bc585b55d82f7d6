/** What the coordinator says of audits over control sockets: to who is audited, to who audits, and to whose session it was. Rules V15 … V27. */

import * as v from 'valibot'
import { AUDITORS_MAX, POSITIONS_MAX, TOP_K_MAX } from './limits.ts'
import { ROW_ENCODINGS } from './rows.ts'
import { base64Url, byteCount, count, manifestHash, modelId, peerId, sessionId, span, text } from './schemas.ts'

/** Where rows of an audit go over HTTP: a path of the coordinator's origin, good once with its token. */
const ticket = { path: text(200), token: base64Url(128) }

export const sendLogSchema = v.strictObject({
  type: v.literal('send-log'),
  sessionId,
  /** Of the part that is asked for. */
  span,
  /** Its input of the positions before it; rule V15. */
  inputEnd: count(POSITIONS_MAX),
  /** Its output of the positions from here to `outputEnd`. */
  outputFirst: count(POSITIONS_MAX),
  outputEnd: count(POSITIONS_MAX),
  ...ticket,
})
/** To a stage whose part has ended: its rows are wanted, see AuditRows. */
export type SendLog = v.InferOutput<typeof sendLogSchema>

export const auditSchema = v.strictObject({
  type: v.literal('audit'),
  modelId,
  manifestHash,
  span,
  /** Positions of its input, from 0. */
  inputEnd: count(POSITIONS_MAX),
  /** From where on output is wanted, up to `inputEnd`. */
  outputFirst: count(POSITIONS_MAX),
  /** Null: it serves these layers. Else it may load them for this audit, beside what it serves, within so many bytes. */
  memoryBytesMax: v.nullable(byteCount),
  rowEncoding: v.picklist(ROW_ENCODINGS),
  topK: v.pipe(count(TOP_K_MAX), v.minValue(1)),
  ...ticket,
})
/** To a peer that serves these layers, or has room for them: compute them once more over rows that it gets at the path. */
export type AuditOrder = v.InferOutput<typeof auditSchema>

export const standingSchema = v.strictObject({
  /** Audits passed since the beginning, or since trust was lost. */
  validInARow: count(2 ** 31),
  /** So many make it trusted. */
  trustedFrom: count(1_000_000),
  /** Results found wrong, ever. */
  failures: count(1_000_000),
})
/** How an account stands with the coordinator's audits. */
export type Standing = v.InferOutput<typeof standingSchema>

const verdict = v.picklist(['valid', 'failed', 'unanswered', 'undecided'])

export const verdictSchema = v.strictObject({
  type: v.literal('verdict'),
  sessionId,
  /** What it took part in that session as; an auditor came afterwards. */
  role: v.picklist(['stage', 'auditor', 'driver']),
  /** The layers in question; null: a driver has none. */
  span: v.nullable(span),
  verdict,
  reason: text(300),
  standing: standingSchema,
})
/** What the coordinator found of this peer's part in a session. */
export type VerdictMessage = v.InferOutput<typeof verdictSchema>

export const auditedSchema = v.strictObject({
  type: v.literal('audited'),
  sessionId,
  /** Whose part it was, and which layers. */
  peerId,
  span,
  /** In the order in which they were asked; no peer: the coordinator itself. */
  auditors: v.pipe(
    v.array(v.strictObject({ kind: v.picklist(['loaded', 'spare', 'coordinator']), peerId: v.nullable(peerId) })),
    v.maxLength(AUDITORS_MAX),
    v.readonly(),
  ),
  verdict,
})
/** To a driver: who computed a part of its session again, and what was found. */
export type AuditedMessage = v.InferOutput<typeof auditedSchema>
