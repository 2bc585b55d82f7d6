/** The 40 bytes before every frame's payload, as SPEC.md's table lays them out. Bounds that depend on the type: frameCodec.ts. */

import { err, fromHex, ok, type Result, type SessionId, toHex } from '../shared/index.ts'
import type { Frame, RowsFrame } from './frames.ts'
import { PROTOCOL_VERSION } from './limits.ts'
import type { RowKind } from './rows.ts'

export const HEADER_BYTES = 40

/** A frame's type by its number on the wire; 0 is none. */
const TYPES = [
  null,
  'rows',
  'results',
  'open',
  'opened',
  'window',
  'truncate',
  'close',
  'failed',
  'lap',
  'severed',
  'ping',
  'pong',
] as const
const KINDS = [null, 'prompt', 'decode'] as const
const ENCODINGS = [null, 'tokens', 'f32', 'f16e', 'i8b'] as const

/** Every field of a header; those that the type does not use are 0 or null. */
export interface FrameHeader {
  readonly type: Frame['type']
  readonly sessionId: SessionId
  readonly epoch: number
  readonly firstPosition: number
  readonly rowCount: number
  readonly resultCount: number
  readonly topK: number
  readonly kind: RowKind | null
  readonly encoding: RowsFrame['encoding'] | null
}

type Field = Exclude<keyof FrameHeader, 'type' | 'sessionId'>

/** Which fields a type has: the others must be 0 (rule F10). */
const FIELDS: Readonly<Record<Frame['type'], readonly Field[]>> = {
  rows: ['epoch', 'firstPosition', 'rowCount', 'resultCount', 'kind', 'encoding'],
  results: ['epoch', 'firstPosition', 'rowCount', 'resultCount', 'topK'],
  open: ['epoch'],
  opened: [],
  window: [],
  truncate: ['epoch'],
  close: [],
  failed: [],
  lap: ['epoch', 'firstPosition', 'rowCount', 'kind'],
  severed: [],
  ping: [],
  pong: [],
}
const ALL_FIELDS = FIELDS.rows.concat('topK')

/** A header for `frame`: its own fields, and zeros. */
export function headerOf(frame: Frame): FrameHeader {
  const own: Partial<FrameHeader> = frame
  const fields = FIELDS[frame.type]
  const used = <Name extends Field>(field: Name, otherwise: FrameHeader[Name]): FrameHeader[Name] =>
    fields.includes(field) ? (own[field] ?? otherwise) : otherwise
  return {
    type: frame.type,
    sessionId: frame.sessionId,
    epoch: used('epoch', 0),
    firstPosition: used('firstPosition', 0),
    rowCount: used('rowCount', 0),
    resultCount: used('resultCount', 0),
    topK: used('topK', 0),
    kind: used('kind', null),
    encoding: used('encoding', null),
  }
}

/** Writes the header at the start of `bytes`, whose rest is the payload. */
export function writeHeader(bytes: Uint8Array<ArrayBuffer>, header: FrameHeader): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  bytes[0] = 0x54
  bytes[1] = 0x53
  bytes[2] = PROTOCOL_VERSION
  bytes[3] = TYPES.indexOf(header.type)
  bytes.set(fromHex(header.sessionId), 4)
  view.setUint32(20, header.epoch, true)
  view.setUint32(24, header.firstPosition, true)
  view.setUint16(28, header.rowCount, true)
  view.setUint16(30, header.resultCount, true)
  view.setUint16(32, header.topK, true)
  bytes[34] = KINDS.indexOf(header.kind)
  bytes[35] = ENCODINGS.indexOf(header.encoding)
  view.setUint32(36, bytes.byteLength - HEADER_BYTES, true)
}

/** Reads and checks what every type shares: magic, version, known numbers, unused fields, the payload's length. */
export function readHeader(bytes: Uint8Array): Result<FrameHeader, string> {
  if (bytes.byteLength < HEADER_BYTES) return err(`frame of ${bytes.byteLength} bytes; a header has ${HEADER_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes[0] !== 0x54 || bytes[1] !== 0x53) return err('magic: not a frame')
  if (bytes[2] !== PROTOCOL_VERSION) return err(`version: ${bytes[2]}; this is ${PROTOCOL_VERSION}`)
  const type = TYPES[bytes[3] ?? 0]
  if (type === undefined || type === null) return err(`type: unknown number ${bytes[3]}`)
  const kind = KINDS[bytes[34] ?? 0]
  if (kind === undefined) return err(`kind: unknown number ${bytes[34]}`)
  const encoding = ENCODINGS[bytes[35] ?? 0]
  if (encoding === undefined) return err(`encoding: unknown number ${bytes[35]}`)
  const sessionId = toHex(bytes.subarray(4, 20)) as SessionId
  const payloadBytes = view.getUint32(36, true)
  if (payloadBytes !== bytes.byteLength - HEADER_BYTES)
    return err(`payload length: ${payloadBytes} said, ${bytes.byteLength - HEADER_BYTES} came`)
  const header: FrameHeader = {
    type,
    sessionId,
    epoch: view.getUint32(20, true),
    firstPosition: view.getUint32(24, true),
    rowCount: view.getUint16(28, true),
    resultCount: view.getUint16(30, true),
    topK: view.getUint16(32, true),
    kind,
    encoding,
  }
  const stray = ALL_FIELDS.find((field) => header[field] !== 0 && header[field] !== null && !FIELDS[type].includes(field))
  return stray === undefined ? ok(header) : err(`${stray}: a ${type} frame has none`)
}
