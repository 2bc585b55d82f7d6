/** The 40 bytes before every frame's payload, as SPEC.md's table lays them out. Bounds that depend on the type: frameCodec.ts. */

import { err, ok, type Result, required, type SessionId, toHex, writeHex } from '../shared/index.ts'
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
  'receipt',
  'fetch',
  'logits',
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
  /** Named tokens of each wanted row. */
  readonly named: number
}

type Field = Exclude<keyof FrameHeader, 'type' | 'sessionId'>

const NO_FIELDS = { epoch: 0, firstPosition: 0, rowCount: 0, resultCount: 0, topK: 0, kind: null, encoding: null, named: 0 }
const ALL_FIELDS = Object.keys(NO_FIELDS) as Field[]

/** Which fields a type does not have: they must be 0 (rule F10). */
const UNUSED: Readonly<Record<Frame['type'], readonly Field[]>> = {
  rows: ['topK'],
  results: ['kind', 'encoding'],
  open: ALL_FIELDS.filter((field) => field !== 'epoch'),
  opened: ALL_FIELDS,
  window: ALL_FIELDS,
  truncate: ALL_FIELDS.filter((field) => field !== 'epoch'),
  close: ALL_FIELDS,
  failed: ALL_FIELDS,
  lap: ['resultCount', 'topK', 'encoding', 'named'],
  severed: ALL_FIELDS,
  ping: ALL_FIELDS,
  pong: ALL_FIELDS,
  receipt: ALL_FIELDS,
  fetch: ALL_FIELDS.filter((field) => field !== 'epoch' && field !== 'firstPosition'),
  logits: ALL_FIELDS.filter((field) => field !== 'epoch' && field !== 'firstPosition'),
}

/** Where a field begins and ends. */
const PLACES: Readonly<Record<Field, readonly [first: number, end: number]>> = {
  epoch: [20, 24],
  firstPosition: [24, 28],
  rowCount: [28, 30],
  resultCount: [30, 32],
  topK: [32, 34],
  kind: [34, 35],
  encoding: [35, 36],
  named: [39, 40],
}

/** The same as UNUSED, byte by byte: every frame that comes is looked at there. */
const UNUSED_BYTES = Object.fromEntries(
  Object.entries(UNUSED).map(([type, fields]) => [type, Uint8Array.from(fields.flatMap(bytesOfField))]),
) as Readonly<Record<Frame['type'], Uint8Array>>

function bytesOfField(field: Field): number[] {
  const [first, end] = PLACES[field]
  return Array.from({ length: end - first }, (_, index) => first + index)
}

/** A header for `frame`: its own fields, and zeros. */
export function headerOf(frame: Frame): FrameHeader {
  const { type, sessionId } = frame
  switch (type) {
    case 'rows': {
      const { epoch, firstPosition, rowCount, resultCount, kind, encoding } = frame
      return { type, sessionId, epoch, firstPosition, rowCount, resultCount, topK: 0, kind, encoding, named: namedOf(frame, 4) }
    }
    case 'results': {
      const { epoch, firstPosition, rowCount, resultCount, topK } = frame
      return { type, sessionId, epoch, firstPosition, rowCount, resultCount, topK, kind: null, encoding: null, named: namedOf(frame, 8) }
    }
    case 'lap': {
      const { epoch, firstPosition, rowCount, kind } = frame
      return { type, sessionId, ...NO_FIELDS, epoch, firstPosition, rowCount, kind }
    }
    case 'open':
    case 'truncate':
      return { type, sessionId, ...NO_FIELDS, epoch: frame.epoch }
    case 'fetch':
    case 'logits':
      return { type, sessionId, ...NO_FIELDS, epoch: frame.epoch, firstPosition: frame.position }
    default:
      return { type, sessionId, ...NO_FIELDS }
  }
}

/** Named tokens of each wanted row, of so many bytes each. */
function namedOf({ named, resultCount }: Pick<RowsFrame, 'named' | 'resultCount'>, bytesEach: number): number {
  return named === undefined ? 0 : named.byteLength / bytesEach / resultCount
}

/** Ids that were written lately, by their last digits: see recentIds. */
const writtenIds = Array.from({ length: 256 }, () => ({ id: '', words: new Uint32Array(4) }))

function wordsOf(id: SessionId): Uint32Array {
  const written = required(writtenIds[(16 * id.charCodeAt(30) + id.charCodeAt(31)) & 0xff], 'a place of 256')
  if (written.id !== id) {
    const bytes = new Uint8Array(16)
    writeHex(bytes, 0, id)
    const view = new DataView(bytes.buffer)
    for (let word = 0; word < 4; word++) written.words[word] = view.getUint32(4 * word)
    written.id = id
  }
  return written.words
}

/** Writes the header at the start of `bytes`, whose rest is the payload. */
export function writeHeader(bytes: Uint8Array<ArrayBuffer>, header: FrameHeader): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  bytes[0] = 0x54
  bytes[1] = 0x53
  bytes[2] = PROTOCOL_VERSION
  bytes[3] = TYPES.indexOf(header.type)
  const words = wordsOf(header.sessionId)
  for (let word = 0; word < 4; word++) view.setUint32(4 + 4 * word, words[word] ?? 0)
  view.setUint32(20, header.epoch, true)
  view.setUint32(24, header.firstPosition, true)
  view.setUint16(28, header.rowCount, true)
  view.setUint16(30, header.resultCount, true)
  view.setUint16(32, header.topK, true)
  bytes[34] = KINDS.indexOf(header.kind)
  bytes[35] = ENCODINGS.indexOf(header.encoding)
  // A payload's length takes three bytes.
  view.setUint32(36, bytes.byteLength - HEADER_BYTES, true)
  bytes[39] = header.named
}

/**
 * Ids that came lately, by a few of their bits: the frames of a session come by hundreds, and an id that is the same string each time need not be
 * hashed anew by each map that is asked for it.
 */
const recentIds = Array.from({ length: 256 }, () => ({ words: new Uint32Array(4), id: '0'.repeat(32) as SessionId }))

function sessionIdOf(view: DataView): SessionId {
  const [a, b, c, d] = [view.getUint32(4), view.getUint32(8), view.getUint32(12), view.getUint32(16)]
  const recent = required(recentIds[(a ^ b ^ c ^ d) & 0xff], 'a place of 256')
  const { words } = recent
  if (words[0] !== a || words[1] !== b || words[2] !== c || words[3] !== d) {
    words.set([a, b, c, d])
    recent.id = toHex(new Uint8Array(view.buffer, view.byteOffset + 4, 16)) as SessionId
  }
  return recent.id
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
  const sessionId = sessionIdOf(view)
  const payloadBytes = view.getUint32(36, true) % 2 ** 24
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
    named: bytes[39] ?? 0,
  }
  for (const at of UNUSED_BYTES[type])
    if (bytes[at] !== 0) return err(`${UNUSED[type].find((field) => bytesOfField(field).includes(at))}: a ${type} frame has none`)
  return ok(header)
}
