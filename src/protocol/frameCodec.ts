/** Frames to bytes and back: one codec for all links. Everything a stranger sends is bounded here, before anybody reads it. */

import * as v from 'valibot'
import { assert, concatBytes, err, ok, type Result, utf8Decode, utf8Encode } from '../shared/index.ts'
import { candidateBytes } from './candidates.ts'
import { type FrameHeader, HEADER_BYTES, headerOf, readHeader, writeHeader } from './frameHeader.ts'
import type { Frame, LapFrame, LogitsFrame, ResultsFrame, RowsFrame, WindowFrame } from './frames.ts'
import {
  CONTROL_PAYLOAD_BYTES_MAX,
  FAILURE_MESSAGE_CHARACTERS_MAX,
  FRAME_BYTES_MAX,
  NAMED_TOKENS_MAX,
  POSITIONS_MAX,
  REVISIONS_MAX,
  ROWS_MAX,
  TOP_K_MAX,
  WINDOW_TOTAL_MAX,
} from './limits.ts'
import { rowWidth } from './rows.ts'
import { base64Url, count, describeIssue, signedGrant, signedReceipt, text } from './schemas.ts'

const windowRows = count(WINDOW_TOTAL_MAX)
const failureReason = v.picklist([
  'bad-grant',
  'no-room',
  'not-serving',
  'unreachable',
  'stage-lost',
  'device-lost',
  'not-finite',
  'protocol',
  'expired',
  'stopped',
  'internal',
])

/** Payloads of frames that come seldom, as JSON. */
const payloadSchemas = {
  open: v.strictObject({ length: count(POSITIONS_MAX), grant: signedGrant }),
  opened: v.strictObject({ revision: count(REVISIONS_MAX), nextPosition: count(POSITIONS_MAX), windowRows }),
  truncate: v.strictObject({ length: count(POSITIONS_MAX) }),
  failed: v.strictObject({ reason: failureReason, message: text(FAILURE_MESSAGE_CHARACTERS_MAX) }),
  severed: v.strictObject({
    revision: count(REVISIONS_MAX),
    neighbor: v.picklist(['upstream', 'downstream']),
    reason: v.picklist(['stage-lost', 'unreachable']),
    message: text(FAILURE_MESSAGE_CHARACTERS_MAX),
  }),
  ping: v.strictObject({ sequence: count(2 ** 31), through: v.boolean() }),
  pong: v.strictObject({ sequence: count(2 ** 31), through: v.boolean() }),
  receipt: v.strictObject({ receipt: signedReceipt, publicKey: base64Url(128) }),
}

/** Payloads that come with every lap: 8 bytes of rows; 8 of milliseconds, 8 of bytes and one of the link's kind. Numbers are f64. */
const WINDOW_BYTES = 8
const LAP_BYTES = 17
const LINK_KINDS = ['webrtc', 'turn', 'relay', 'memory'] as const

/** The frame's bytes. Asserts that it respects every bound; only a failure's message is cut to its own. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const header = headerOf(frame)
  const fields = fieldsOf(frame)
  const payload = fields === null ? bytesOf(frame) : utf8Encode(JSON.stringify(fields))
  const fault = findFault(frame, header, fields, payload)
  if (fault !== null) assert(false, `a ${frame.type} frame out of bounds: ${fault}`)
  const bytes = new Uint8Array(HEADER_BYTES + payload.byteLength)
  bytes.set(payload, HEADER_BYTES)
  writeHeader(bytes, header)
  return bytes
}

/** The frame in `bytes`; payloads of rows and results are views of them. An error names the field at fault. */
export function decodeFrame(bytes: Uint8Array): Result<Frame, string> {
  if (bytes.byteLength > FRAME_BYTES_MAX) return err(`frame of ${bytes.byteLength} bytes; the limit is ${FRAME_BYTES_MAX}`)
  const header = readHeader(bytes)
  if (!header.ok) return header
  const payload = bytes.subarray(HEADER_BYTES)
  const { type, sessionId } = header.value
  switch (type) {
    case 'rows':
      return decodeRowsFrame(header.value, payload)
    case 'results':
      return decodeResultsFrame(header.value, payload)
    case 'window':
      return decodeWindowFrame(header.value, payload)
    case 'lap':
      return decodeLapFrame(header.value, payload)
    case 'logits':
      return decodeLogitsFrame(header.value, payload)
    case 'fetch': {
      const { epoch, firstPosition: position } = header.value
      const fetch = { type, sessionId, epoch, position }
      return payload.byteLength === 0 ? ok(fetch) : err('payload: a fetch frame has none')
    }
    case 'close':
      return payload.byteLength === 0 ? ok({ type, sessionId }) : err('payload: a close frame has none')
    default:
      return decodeControlFrame({ ...header.value, type }, payload)
  }
}

/** Why the frame of so many bytes would be refused; it is not read back for it. */
function findFault(frame: Frame, header: FrameHeader, fields: object | null, payload: Uint8Array): string | null {
  const byteLength = HEADER_BYTES + payload.byteLength
  if (byteLength > FRAME_BYTES_MAX) return `${byteLength} bytes; the limit is ${FRAME_BYTES_MAX}`
  switch (frame.type) {
    case 'rows':
      return faultOf(decodeRowsFrame(header, payload))
    case 'results':
      return faultOf(decodeResultsFrame(header, payload))
    case 'window':
      return faultOf(decodeWindowFrame(header, payload))
    case 'lap':
      return faultOf(decodeLapFrame(header, payload))
    case 'logits':
      return faultOf(decodeLogitsFrame(header, payload))
    case 'fetch':
    case 'close':
      return null
    default: {
      const type: ControlType = frame.type
      return faultOf(buildControlFrame({ ...header, type }, fields, payload.byteLength))
    }
  }
}

function faultOf(result: Result<Frame, string>): string | null {
  return result.ok ? null : result.error
}

const NO_BYTES = new Uint8Array(0)

/** The payload of a frame that has no JSON. */
function bytesOf(frame: Frame): Uint8Array {
  switch (frame.type) {
    case 'rows':
    case 'results':
      return frame.named === undefined ? frame.payload : concatBytes([frame.payload, frame.named])
    case 'logits':
      return frame.payload
    case 'window': {
      const bytes = new Uint8Array(WINDOW_BYTES)
      new DataView(bytes.buffer).setFloat64(0, frame.windowRows, true)
      return bytes
    }
    case 'lap': {
      const bytes = new Uint8Array(LAP_BYTES)
      const view = new DataView(bytes.buffer)
      view.setFloat64(0, frame.computeMs, true)
      view.setFloat64(8, frame.bytesSent, true)
      bytes[16] = LINK_KINDS.indexOf(frame.linkKind)
      return bytes
    }
    default:
      return NO_BYTES
  }
}

/** What a frame says in JSON; null for the others. */
function fieldsOf(frame: Frame): object | null {
  switch (frame.type) {
    case 'rows':
    case 'results':
    case 'window':
    case 'lap':
    case 'close':
    case 'fetch':
    case 'logits':
      return null
    case 'open':
      return { length: frame.length, grant: frame.grant }
    case 'opened':
      return { revision: frame.revision, nextPosition: frame.nextPosition, windowRows: frame.windowRows }
    case 'truncate':
      return { length: frame.length }
    case 'failed':
      return { reason: frame.reason, message: frame.message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX) }
    case 'severed': {
      const { revision, neighbor, reason, message } = frame
      return { revision, neighbor, reason, message: message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX) }
    }
    case 'ping':
    case 'pong':
      return { sequence: frame.sequence, through: frame.through }
    case 'receipt':
      return { receipt: frame.receipt, publicKey: frame.publicKey }
  }
}

function decodeRowsFrame(header: FrameHeader, payload: Uint8Array): Result<RowsFrame, string> {
  const fault = findLapFault(header)
  if (fault !== null) return err(fault)
  const { sessionId, epoch, firstPosition, rowCount, resultCount, kind, encoding } = header
  if (kind === null) return err('kind: missing')
  if (encoding === null) return err('encoding: missing')
  const split = withNamed(header, payload, 4)
  if (!split.ok) return split
  const bytesPerRow = split.value.payload.byteLength / rowCount
  if (encoding === 'tokens' ? bytesPerRow !== 4 : rowWidth(encoding, bytesPerRow) === null)
    return err(`payload: ${payload.byteLength} bytes are no ${rowCount} rows of ${encoding}`)
  return ok({ type: 'rows', sessionId, epoch, firstPosition, rowCount, kind, resultCount, encoding, ...split.value })
}

function decodeResultsFrame(header: FrameHeader, payload: Uint8Array): Result<ResultsFrame, string> {
  const fault = findLapFault(header)
  if (fault !== null) return err(fault)
  const { sessionId, epoch, firstPosition, rowCount, resultCount, topK } = header
  if (topK > TOP_K_MAX || (topK === 0 && resultCount > 0)) return err(`topK: ${topK} is not in 1 … ${TOP_K_MAX}`)
  const split = withNamed(header, payload, 8)
  if (!split.ok) return split
  if (split.value.payload.byteLength !== resultCount * candidateBytes(topK))
    return err(`payload: ${payload.byteLength} bytes are no ${resultCount} results of ${topK} candidates`)
  return ok({ type: 'results', sessionId, epoch, firstPosition, rowCount, resultCount, topK, ...split.value })
}

/** A payload, and what it says of named tokens behind it, `bytesEach`. */
function withNamed(
  { named: count, resultCount }: FrameHeader,
  bytes: Uint8Array,
  bytesEach: number,
): Result<Pick<RowsFrame, 'payload' | 'named'>, string> {
  if (count === 0) return ok({ payload: bytes })
  if (count > NAMED_TOKENS_MAX || resultCount === 0) return err(`named: ${count} tokens of each of ${resultCount} results`)
  const at = bytes.byteLength - count * resultCount * bytesEach
  if (at < 0) return err(`payload: ${bytes.byteLength} bytes for ${count} named tokens of each of ${resultCount} results`)
  return ok({ payload: bytes.subarray(0, at), named: bytes.subarray(at) })
}

function decodeLogitsFrame({ sessionId, epoch, firstPosition: position }: FrameHeader, payload: Uint8Array): Result<LogitsFrame, string> {
  if (payload.byteLength < 8 || payload.byteLength % 4 !== 0) return err(`payload: ${payload.byteLength} bytes are no logits`)
  return ok({ type: 'logits', sessionId, epoch, position, payload })
}

function decodeWindowFrame({ sessionId }: FrameHeader, payload: Uint8Array): Result<WindowFrame, string> {
  if (payload.byteLength !== WINDOW_BYTES) return err(`payload: ${payload.byteLength} bytes; a window has ${WINDOW_BYTES}`)
  const windowRows = new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true)
  if (!isCount(windowRows, WINDOW_TOTAL_MAX)) return err(`payload: ${windowRows} is no number of rows`)
  return ok({ type: 'window', sessionId, windowRows })
}

function decodeLapFrame(header: FrameHeader, payload: Uint8Array): Result<LapFrame, string> {
  const fault = findLapFault(header)
  if (fault !== null) return err(fault)
  const { sessionId, epoch, firstPosition, rowCount, kind } = header
  if (kind === null) return err('kind: missing')
  if (payload.byteLength !== LAP_BYTES) return err(`payload: ${payload.byteLength} bytes; a lap has ${LAP_BYTES}`)
  const view = new DataView(payload.buffer, payload.byteOffset)
  const [computeMs, bytesSent, linkKind] = [view.getFloat64(0, true), view.getFloat64(8, true), LINK_KINDS[payload[16] ?? 0]]
  if (!(computeMs >= 0 && computeMs < Number.POSITIVE_INFINITY)) return err(`payload: ${computeMs} is no time`)
  if (!isCount(bytesSent, Number.MAX_SAFE_INTEGER)) return err(`payload: ${bytesSent} is no number of bytes`)
  if (linkKind === undefined) return err(`payload: unknown kind ${payload[16]} of a link`)
  return ok({ type: 'lap', sessionId, epoch, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind })
}

function isCount(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

function findLapFault({ firstPosition, rowCount, resultCount }: FrameHeader): string | null {
  if (rowCount < 1 || rowCount > ROWS_MAX) return `rowCount: ${rowCount} is not in 1 … ${ROWS_MAX}`
  if (resultCount > rowCount) return `resultCount: ${resultCount} of ${rowCount} rows`
  if (firstPosition + rowCount > POSITIONS_MAX) return `firstPosition: ${firstPosition} + ${rowCount} passes ${POSITIONS_MAX}`
  return null
}

type ControlType = keyof typeof payloadSchemas

function decodeControlFrame(header: FrameHeader & { readonly type: ControlType }, payload: Uint8Array): Result<Frame, string> {
  let value: unknown
  try {
    if (payload.byteLength <= CONTROL_PAYLOAD_BYTES_MAX) value = JSON.parse(utf8Decode(payload))
  } catch {
    return err('payload: not JSON in UTF-8')
  }
  return buildControlFrame(header, value, payload.byteLength)
}

/** `payloadBytes`: what its payload takes as JSON. */
function buildControlFrame(
  header: FrameHeader & { readonly type: ControlType },
  value: unknown,
  payloadBytes: number,
): Result<Frame, string> {
  if (payloadBytes > CONTROL_PAYLOAD_BYTES_MAX)
    return err(`payload: ${payloadBytes} bytes of JSON; the limit is ${CONTROL_PAYLOAD_BYTES_MAX}`)
  const { type, sessionId, epoch } = header
  switch (type) {
    case 'open':
      return withFields(payloadSchemas.open, value, (fields) => ok({ type, sessionId, epoch, ...fields }))
    case 'opened':
      return withFields(payloadSchemas.opened, value, (fields) => ok({ type, sessionId, ...fields }))
    case 'truncate':
      return withFields(payloadSchemas.truncate, value, (fields) => ok({ type, sessionId, epoch, ...fields }))
    case 'failed':
      return withFields(payloadSchemas.failed, value, (fields) => ok({ type, sessionId, ...fields }))
    case 'severed':
      return withFields(payloadSchemas.severed, value, (fields) => ok({ type, sessionId, ...fields }))
    case 'ping':
    case 'pong':
      return withFields(payloadSchemas[type], value, (fields) => ok({ type, sessionId, ...fields }))
    case 'receipt':
      return withFields(payloadSchemas.receipt, value, (fields) => ok({ type, sessionId, ...fields }))
  }
}

function withFields<Schema extends (typeof payloadSchemas)[ControlType]>(
  schema: Schema,
  value: unknown,
  build: (fields: v.InferOutput<Schema>) => Result<Frame, string>,
): Result<Frame, string> {
  const parsed = v.safeParse(schema, value)
  return parsed.success ? build(parsed.output) : err(`payload: ${describeIssue(parsed.issues[0])}`)
}
