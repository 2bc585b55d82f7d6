import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { createIdentity, signatureVerifier } from '../network/index.ts'
import { fromBase64Url, type PeerId, type SessionId, type Signer, toBase64Url, utf8Decode, utf8Encode } from '../shared/index.ts'
import type { Grant } from './grant.ts'
import { POSITIONS_MAX, RECEIPT_AHEAD_MS_MAX, RECEIPT_CHARACTERS_MAX } from './limits.ts'
import { EMPTY_HASH, type LinkTally, type Receipt, receiptMisfit } from './receipt.ts'
import { openReceipt, parseReceipt, signReceipt } from './receiptCodec.ts'

const { subtle } = globalThis.crypto
const verify = signatureVerifier(subtle)
const peer = (digit: string) => digit.repeat(32) as PeerId
const now = 1_700_000_000_000
const tally: LinkTally = { firstPosition: 0, endPosition: 256, prompt: 200, decode: 60, results: 57, hash: 'c'.repeat(64) }
const computed = { prompt: 200, decode: 60, results: 57 }
const stage = { kind: 'stage', index: 1, firstLayer: 12, endLayer: 30, computed } as const
const receipt: Receipt = {
  version: 1,
  sessionId: 'e'.repeat(32) as SessionId,
  revision: 0,
  peerId: peer('b'),
  party: stage,
  epoch: 3,
  received: tally,
  sent: { ...tally, hash: 'd'.repeat(64) },
  sequence: 1,
  timeMs: now,
  final: false,
  head: null,
}
const grant = {
  sessionId: receipt.sessionId,
  revision: 0,
  driver: peer('d'),
  stages: [
    { peerId: peer('a'), firstLayer: 0, endLayer: 12 },
    { peerId: peer('b'), firstLayer: 12, endLayer: 30 },
  ],
  maxPositions: 256,
  expiresAtMs: now + 1,
} as unknown as Grant
let signer: Signer

beforeAll(async () => {
  signer = await createIdentity(subtle)
})

async function open(changed: object, nowMs = now) {
  return openReceipt(await signReceipt({ ...receipt, ...changed }, signer), signer.publicKey, verify, nowMs)
}

describe('a receipt', () => {
  it('[V1] opens to what was signed, by a stage or a driver', async () => {
    expect(await open({})).toEqual({ ok: true, value: receipt })
    const driver = { party: { kind: 'driver', resent: { prompt: 200, decode: 0, results: 0 } }, revision: 1 } as const
    expect(await open(driver)).toEqual({ ok: true, value: { ...receipt, ...driver } })
  })

  it('[V1] is refused by another key, without its context, and with any changed byte of body or signature', async () => {
    const signed = await signReceipt(receipt, signer)
    const stranger = await createIdentity(subtle)
    expect(await openReceipt(signed, stranger.publicKey, verify, now)).toMatchObject({ ok: false })
    const bare = toBase64Url(await signer.sign(fromBase64Url(signed.body) ?? new Uint8Array()))
    expect(await openReceipt({ ...signed, signature: bare }, signer.publicKey, verify, now)).toMatchObject({ ok: false })
    for (const part of ['body', 'signature'] as const) {
      const bytes = fromBase64Url(signed[part]) ?? new Uint8Array()
      for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
        const changed = bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
        const forged = { ...signed, [part]: toBase64Url(changed) }
        expect(await openReceipt(forged, signer.publicKey, verify, now)).toMatchObject({ ok: false })
      }
    }
  })

  const sent = (changed: object) => ({ sent: { ...tally, ...changed } })
  it.each([
    ['[V2] an unknown field', { extra: 1 }],
    ['[V2] a missing field', { epoch: undefined }],
    ['[V2] another version', { version: 2 }],
    ['[V2] a malformed id', { peerId: 'b' }],
    ['[V2] an end before the beginning', sent({ firstPosition: 257 })],
    ['[V2] fewer rows than positions', sent({ prompt: 195, results: 0 })],
    ['[V2] more results than rows', sent({ results: 261 })],
    ['[V2] a position that no session has', sent({ endPosition: POSITIONS_MAX + 1, prompt: POSITIONS_MAX + 1 })],
    ['[V2] half a row', sent({ prompt: 200.5 })],
    ['[V2] no hash of rows', sent({ hash: EMPTY_HASH })],
    ['[V2] a hash of no rows', sent({ endPosition: 0 })],
    ['[V2] a short hash', sent({ hash: 'cc' })],
    ['[V2] a 65th stage', { party: { ...stage, index: 64 } }],
    ['[V2] a time that is no number', { timeMs: null }],
    ['[V3] more rows computed than received', { party: { ...stage, computed: { ...computed, decode: 61 } } }],
    ['[V3] more rows sent again than sent', { revision: 1, party: { kind: 'driver', resent: { prompt: 201, decode: 0, results: 0 } } }],
    ['[V3] rows sent again before a repair', { party: { kind: 'driver', resent: { prompt: 1, decode: 0, results: 0 } } }],
    ['[V5] a time to come', { timeMs: now + RECEIPT_AHEAD_MS_MAX + 1 }],
  ])('%s is refused although signed', async (_, changed) => {
    expect(await open(changed)).toMatchObject({ ok: false, error: expect.stringContaining('receipt') })
  })

  it('[V3] a stage may have computed as many rows beside those that it received as waited for their pass', async () => {
    const waited = { received: { ...tally, firstPosition: 10 }, sent: { ...tally, firstPosition: 7, hash: 'd'.repeat(64) } }
    const of = (more: number) => ({ ...waited, party: { ...stage, computed: { ...computed, prompt: computed.prompt + more } } })
    expect(await open(of(3))).toMatchObject({ ok: true })
    expect(await open(of(4))).toMatchObject({ ok: false, error: expect.stringContaining('more rows computed') })
  })

  it('[V2] of more characters than any has is refused unread', async () => {
    const endless = { body: 'A'.repeat(RECEIPT_CHARACTERS_MAX + 1), signature: 'A' }
    expect(await openReceipt(endless, signer.publicKey, () => Promise.reject(new Error('read')), now)).toMatchObject({ ok: false })
  })

  it('[V2] [V5] may be of nothing yet, and as far ahead as clocks go', async () => {
    const nothing = { firstPosition: 7, endPosition: 7, prompt: 0, decode: 0, results: 0, hash: EMPTY_HASH }
    const party = { ...stage, computed: { prompt: 0, decode: 0, results: 0 } }
    expect(await open({ party, sent: nothing, received: nothing, timeMs: now + RECEIPT_AHEAD_MS_MAX })).toMatchObject({ ok: true })
  })

  it.each([
    ['its stage', {}, null],
    ['its driver', { peerId: peer('d'), party: { kind: 'driver', resent: computed } }, null],
    ['another session', { sessionId: 'f'.repeat(32) }, /session/],
    ['another revision', { revision: 1 }, /revision/],
    ['another stage', { party: { ...stage, index: 0 } }, /does not name/],
    ['a stage beyond the last', { party: { ...stage, index: 2 } }, /does not name/],
    ['other layers', { party: { ...stage, firstLayer: 11 } }, /layers/],
    ['another driver', { party: { kind: 'driver', resent: computed } }, /driver/],
    ['positions beyond those granted', { received: { ...tally, endPosition: 257 } }, /granted/],
    ['a time after the grant', { timeMs: now + 1 }, /expired/],
  ])('[V4] of %s', (_, changed, misfit) => {
    const told = receiptMisfit({ ...receipt, ...changed } as Receipt, grant)
    if (misfit === null) expect(told).toBeNull()
    else expect(told).toMatch(misfit)
  })
})

describe('bytes that are no receipt', () => {
  it('[V2] any bytes, and any change of a good one, give a receipt or a reason, and never throw', () => {
    const good = utf8Encode(JSON.stringify(receipt))
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(parseReceipt(bytes).ok).toBe(false)
      }),
    )
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(good.length), (changes, length) => {
        const bytes = good.slice(0, length < good.length / 2 ? good.length : length)
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
        const parsed = parseReceipt(bytes)
        if (parsed.ok) expect(JSON.parse(utf8Decode(bytes))).toEqual(parsed.value)
        else expect(parsed.error).toMatch(/^the receipt/)
      }),
      { numRuns: 1_000 },
    )
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(receipt)), fc.jsonValue(), (field, value) => {
        const parsed = parseReceipt(utf8Encode(JSON.stringify({ ...receipt, [field]: value })))
        if (!parsed.ok) expect(parsed.error).toMatch(/^the receipt's/)
      }),
    )
  })
})
