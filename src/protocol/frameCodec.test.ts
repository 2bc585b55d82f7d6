import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, type SessionId } from '../shared/index.ts'
import { decodeFrame, encodeFrame } from './frameCodec.ts'
import type { FailureReason, Frame, RowsFrame } from './frames.ts'
import { FRAME_BYTES_MAX, POSITIONS_MAX, REVISIONS_MAX, ROWS_MAX, WINDOW_TOTAL_MAX } from './limits.ts'
import { ROW_ENCODINGS, rowBytes } from './rows.ts'

const sessionId = fc.stringMatching(/^[0-9a-f]{32}$/).map((text) => text as SessionId)
const epoch = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const rowCount = fc.integer({ min: 1, max: 20 })
const firstPosition = fc.integer({ min: 0, max: POSITIONS_MAX - 20 })
const kind = fc.constantFrom('prompt' as const, 'decode' as const)
const base64Url = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/)
const windowRows = fc.integer({ min: 0, max: WINDOW_TOTAL_MAX })
const payloadOf = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes })

const rowsFrame: fc.Arbitrary<Frame> = fc
  .tuple(rowCount, fc.constantFrom('tokens' as const, ...ROW_ENCODINGS), fc.integer({ min: 1, max: 16 }))
  .chain(([count, encoding, halfWidth]) =>
    fc.record({
      type: fc.constant('rows' as const),
      sessionId,
      epoch,
      firstPosition,
      rowCount: fc.constant(count),
      kind,
      resultCount: fc.integer({ min: 0, max: count }),
      encoding: fc.constant(encoding),
      payload: payloadOf(count * (encoding === 'tokens' ? 4 : rowBytes(encoding, 2 * halfWidth))),
    }),
  )
const resultsFrame: fc.Arbitrary<Frame> = fc
  .tuple(rowCount, fc.integer({ min: 1, max: 256 }))
  .chain(([count, topK]) => fc.tuple(fc.constant(count), fc.constant(topK), fc.integer({ min: 0, max: count })))
  .chain(([count, topK, resultCount]) =>
    fc.record({
      type: fc.constant('results' as const),
      sessionId,
      epoch,
      firstPosition,
      rowCount: fc.constant(count),
      resultCount: fc.constant(resultCount),
      topK: fc.constant(topK),
      payload: payloadOf(resultCount * (4 + 8 * topK)),
    }),
  )
const reasons: FailureReason[] = [
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
]
const length = fc.integer({ min: 0, max: POSITIONS_MAX })
const revision = fc.integer({ min: 0, max: REVISIONS_MAX })
const type = <Name extends Frame['type']>(name: Name) => fc.constant(name)
const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  rowsFrame,
  resultsFrame,
  fc.record({ type: type('open'), sessionId, epoch, length, grant: fc.record({ body: base64Url, signature: base64Url }) }),
  fc.record({ type: type('opened'), sessionId, revision, nextPosition: length, windowRows }),
  fc.record({ type: type('window'), sessionId, windowRows }),
  fc.record({ type: type('truncate'), sessionId, epoch, length }),
  fc.record({ type: type('close'), sessionId }),
  fc.record({
    type: type('severed'),
    sessionId,
    revision,
    neighbor: fc.constantFrom('upstream' as const, 'downstream' as const),
    reason: fc.constantFrom('stage-lost' as const, 'unreachable' as const),
    message: fc.string({ maxLength: 1_000 }),
  }),
  fc.record({ type: fc.constantFrom('ping' as const, 'pong' as const), sessionId, sequence: fc.nat(), through: fc.boolean() }),
  fc.record({ type: type('receipt'), sessionId, receipt: fc.record({ body: base64Url, signature: base64Url }), publicKey: base64Url }),
  fc.record({
    type: type('failed'),
    sessionId,
    reason: fc.constantFrom(...reasons),
    message: fc.string({ maxLength: 1_000, unit: 'grapheme' }).map((text) => text.slice(0, 1_000)),
  }),
  fc.record({
    type: type('lap'),
    sessionId,
    epoch,
    firstPosition,
    rowCount,
    kind,
    computeMs: fc.double({ min: 0, max: 1e9, noNaN: true }).map((value) => value + 0),
    bytesSent: fc.nat(),
    linkKind: fc.constantFrom('webrtc' as const, 'turn' as const, 'relay' as const, 'memory' as const),
  }),
)

const session = '0123456789abcdef0123456789abcdef' as SessionId
const tokens: RowsFrame = {
  type: 'rows',
  sessionId: session,
  epoch: 1,
  firstPosition: 2,
  rowCount: 3,
  kind: 'prompt',
  resultCount: 1,
  encoding: 'tokens',
  payload: new Uint8Array(12),
}

const windowFrame: Frame = { type: 'window', sessionId: session, windowRows: 7 }
const lap = { epoch: 1, firstPosition: 2, rowCount: 3, kind: 'decode', computeMs: 1.5, bytesSent: 9, linkKind: 'turn' } as const
const lapFrame: Frame = { type: 'lap', sessionId: session, ...lap }

/** Its last byte is missing. */
const shortened = (bytes: Uint8Array) => bytes.slice(0, -1)

function f64(value: number): number[] {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return [...bytes]
}

/** The bytes of a good frame with some overwritten. */
function tampered(frame: Frame, at: number, ...bytes: number[]): Uint8Array {
  const whole = encodeFrame(frame)
  whole.set(bytes, at)
  return whole
}

describe('frames', () => {
  it('[F2] come back as they were', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(decodeFrame(encodeFrame(frame))).toEqual({ ok: true, value: frame })
      }),
      { numRuns: 500 },
    )
  })

  it('[F3] never throw when they are random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeFrame(bytes).ok).toBe(false)
      }),
      { numRuns: 2_000 },
    )
  })

  it('[F3] that were mutated are refused, or are another frame that encodes to the same meaning', () => {
    const mutation = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(
        anyFrame,
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: -3, max: 3 }),
        (frame, mutations, grow) => {
          const good = encodeFrame(frame)
          const bytes = new Uint8Array(Math.max(0, good.length + grow))
          bytes.set(good.subarray(0, bytes.length))
          for (const { at, byte } of mutations) bytes[at % bytes.length] = byte
          const decoded = decodeFrame(bytes)
          if (decoded.ok) expect(decodeFrame(encodeFrame(decoded.value))).toEqual(decoded)
          else expect(decoded.error.length).toBeGreaterThan(0)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('[F1] are views: the payload shares the bytes received', () => {
    const bytes = encodeFrame(tokens)
    const decoded = decodeFrame(bytes)
    if (!decoded.ok || decoded.value.type !== 'rows') return expect.fail('not decoded')
    expect(decoded.value.payload.buffer).toBe(bytes.buffer)
    expect(decoded.value.payload.byteOffset % 4).toBe(0)
  })

  it('[F4] have a header, and 256 KiB at most', () => {
    const frameOf = (payloadBytes: number): RowsFrame => ({
      ...tokens,
      encoding: 'f32',
      rowCount: 8,
      payload: new Uint8Array(payloadBytes),
    })
    const most = FRAME_BYTES_MAX - 40 - ((FRAME_BYTES_MAX - 40) % 64)
    expect(decodeFrame(encodeFrame(frameOf(most))).ok).toBe(true)
    expect(() => encodeFrame(frameOf(most + 64))).toThrow(/the limit is 262144/)
    expect(decodeFrame(new Uint8Array(39))).toEqual({ ok: false, error: 'frame of 39 bytes; a header has 40' })
    expect(decodeFrame(new Uint8Array(FRAME_BYTES_MAX + 1))).toMatchObject({ ok: false })
  })

  it.each([
    ['[F3] another magic', tampered(tokens, 0, 0), /^magic/],
    ['[F3] another version', tampered(tokens, 2, 4), /^version: 4; this is 7/],
    ['[F3] an unknown type', tampered(tokens, 3, 14), /^type/],
    ['[F3] type 0', tampered(tokens, 3, 0), /^type/],
    ['[F3] an unknown kind', tampered(tokens, 34, 3), /^kind/],
    ['[F3] a missing kind', tampered(tokens, 34, 0), /^kind/],
    ['[F3] an unknown encoding', tampered(tokens, 35, 5), /^encoding/],
    ['[F5] a payload length that lies', tampered(tokens, 36, 8), /^payload length/],
    ['[F6] a payload that is no row', tampered(tokens, 35, 3), /^payload/],
    ['[F7] no rows', tampered(tokens, 28, 0, 0), /^rowCount/],
    ['[F7] too many rows', tampered(tokens, 28, (ROWS_MAX + 1) & 255, (ROWS_MAX + 1) >> 8), /^rowCount/],
    ['[F7] more results than rows', tampered(tokens, 30, 4), /^resultCount/],
    ['[F7] positions beyond the bound', tampered(tokens, 24, 0xff, 0xff, 0xff, 0xff), /^firstPosition/],
    ['[F10] a stray field', tampered(tokens, 32, 1), /^topK/],
    ['[F21] a window of other than 8 bytes', shortened(tampered(windowFrame, 36, 7)), /^payload: 7 bytes/],
    ['[F21] a window that is no number', tampered(windowFrame, 40, ...f64(Number.NaN)), /^payload: NaN/],
    ['[F21] a window of half a row', tampered(windowFrame, 40, ...f64(0.5)), /^payload: 0.5/],
    ['[F21] a window below nothing', tampered(windowFrame, 40, ...f64(-1)), /^payload: -1/],
    ['[F21] a window beyond the bound', tampered(windowFrame, 40, ...f64(WINDOW_TOTAL_MAX + 1)), /^payload: 1099/],
    ['[F21] a lap of other than 17 bytes', shortened(tampered(lapFrame, 36, 16)), /^payload: 16 bytes/],
    ['[F21] a lap of no time', tampered(lapFrame, 40, ...f64(Number.POSITIVE_INFINITY)), /^payload: Infinity/],
    ['[F21] a lap of less than no time', tampered(lapFrame, 40, ...f64(-0.5)), /^payload: -0.5/],
    ['[F21] a lap of half a byte', tampered(lapFrame, 48, ...f64(0.5)), /^payload: 0.5/],
    ['[F21] a lap over an unknown link', tampered(lapFrame, 56, 4), /^payload: unknown kind 4/],
    ['[F9] an unknown JSON field', jsonFrame('{"length":1,"x":1}'), /^payload/],
    ['[F9] a missing JSON field', jsonFrame('{}'), /^payload/],
    ['[F9] a wrong JSON type', jsonFrame('{"length":"1"}'), /^payload/],
    ['[F9] text that is no JSON', jsonFrame('{'), /^payload/],
    ['[F9] JSON with a prototype', jsonFrame('{"length":1,"__proto__":{}}'), /^payload/],
    ['[F9] too much JSON', jsonFrame(`{"length":1${' '.repeat(65_536)}}`), /^payload: 65\d+ bytes of JSON/],
  ])('%s is refused by the name of the field', (_, bytes, message) => {
    expect(decodeFrame(bytes)).toEqual({ ok: false, error: expect.stringMatching(message) })
  })

  it('[F8] results have 4 + 8k bytes a row, and some k where there are rows', () => {
    const results: Frame = {
      type: 'results',
      sessionId: session,
      epoch: 0,
      firstPosition: 0,
      rowCount: 2,
      resultCount: 1,
      topK: 2,
      payload: new Uint8Array(20),
    }
    expect(decodeFrame(encodeFrame(results)).ok).toBe(true)
    expect(decodeFrame(tampered(results, 30, 2))).toMatchObject({ ok: false, error: expect.stringMatching(/^payload/) })
    expect(decodeFrame(tampered(results, 32, 0))).toMatchObject({ ok: false, error: expect.stringMatching(/^topK/) })
    expect(decodeFrame(tampered(results, 32, 1, 1))).toMatchObject({ ok: false, error: expect.stringMatching(/^topK/) })
  })

  it('cuts the message of a failure instead of failing to report it', () => {
    const decoded = decodeFrame(encodeFrame({ type: 'failed', sessionId: session, reason: 'internal', message: 'x'.repeat(5_000) }))
    expect(decoded).toMatchObject({ ok: true, value: { message: 'x'.repeat(1_000) } })
  })

  it('lay the header out as SPEC.md says', () => {
    const bytes = encodeFrame({ ...tokens, epoch: 0x01020304, firstPosition: 0x0a0b })
    expect([...bytes.subarray(0, 4)]).toEqual([0x54, 0x53, 7, 1])
    expect(bytes.slice(4, 20)).toEqual(fromHex(session))
    expect([...bytes.subarray(20, 40)]).toEqual([4, 3, 2, 1, 0x0b, 0x0a, 0, 0, 3, 0, 1, 0, 0, 0, 1, 1, 12, 0, 0, 0])
  })
})

function jsonFrame(json: string): Uint8Array {
  const header = encodeFrame({ type: 'truncate', sessionId: session, epoch: 0, length: 0 }).slice(0, 40)
  const payload = new TextEncoder().encode(json)
  const bytes = new Uint8Array(40 + payload.length)
  bytes.set(header)
  bytes.set(payload, 40)
  new DataView(bytes.buffer).setUint32(36, payload.length, true)
  return bytes
}
