import { beforeAll, describe, expect, it } from 'vitest'
import { createIdentity, signatureVerifier } from '../network/index.ts'
import { fromBase64Url, type ManifestHash, type ModelId, type PeerId, type SessionId, type Signer, toBase64Url } from '../shared/index.ts'
import type { Grant } from './grant.ts'
import { openGrant, signGrant } from './grantCodec.ts'

const { subtle } = globalThis.crypto
const verify = signatureVerifier(subtle)
const peer = (digit: string) => digit.repeat(32) as PeerId
const now = 1_700_000_000_000
const grant: Grant = {
  version: 1,
  revision: 0,
  sessionId: 'e'.repeat(32) as SessionId,
  modelId: 'smollm2-135m-instruct-q4_1' as ModelId,
  manifestHash: 'f'.repeat(64) as ManifestHash,
  driver: peer('d'),
  stages: [
    { peerId: peer('a'), firstLayer: 0, endLayer: 12 },
    { peerId: peer('b'), firstLayer: 12, endLayer: 30 },
  ],
  maxPositions: 2_048,
  topK: 128,
  rowEncoding: 'f16e',
  issuedAtMs: now,
  expiresAtMs: now + 600_000,
}
let coordinator: Signer

beforeAll(async () => {
  coordinator = await createIdentity(subtle)
})

/** Signed by the coordinator, whatever it says. */
async function open(changed: object, nowMs = now) {
  return openGrant(await signGrant({ ...grant, ...changed }, coordinator), coordinator.publicKey, verify, nowMs)
}

describe('a grant', () => {
  it('[G1] opens to what was signed', async () => {
    expect(await open({})).toEqual({ ok: true, value: grant })
  })

  it('[G1] is refused by another key, and with any changed byte of body or signature', async () => {
    const signed = await signGrant(grant, coordinator)
    const stranger = await createIdentity(subtle)
    expect(await openGrant(signed, stranger.publicKey, verify, now)).toMatchObject({ ok: false })
    for (const part of ['body', 'signature'] as const) {
      const bytes = fromBase64Url(signed[part]) ?? new Uint8Array()
      for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
        const changed = bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
        const forged = { ...signed, [part]: toBase64Url(changed) }
        expect(await openGrant(forged, coordinator.publicKey, verify, now)).toMatchObject({
          ok: false,
          error: expect.stringContaining('signature'),
        })
      }
    }
    expect(await openGrant({ body: '!', signature: '' }, coordinator.publicKey, verify, now)).toMatchObject({ ok: false })
  })

  it('[G1] is not any other thing that the coordinator signed: the context belongs to it', async () => {
    const { body } = await signGrant(grant, coordinator)
    const bare = toBase64Url(await coordinator.sign(fromBase64Url(body) ?? new Uint8Array()))
    expect(await openGrant({ body, signature: bare }, coordinator.publicKey, verify, now)).toMatchObject({ ok: false })
  })

  it('[G2] is good until its expiry, and refused from then on', async () => {
    expect(await open({}, grant.expiresAtMs - 1)).toMatchObject({ ok: true })
    expect(await open({}, grant.expiresAtMs)).toMatchObject({ ok: false, error: expect.stringContaining('expired') })
  })

  const stage = (digit: string, firstLayer: number, endLayer: number) => ({ peerId: peer(digit), firstLayer, endLayer })
  it.each([
    ['[G3] no stages', { stages: [] }],
    ['[G3] a first layer above 0', { stages: [stage('a', 1, 30)] }],
    ['[G3] a gap', { stages: [stage('a', 0, 12), stage('b', 13, 30)] }],
    ['[G3] an overlap', { stages: [stage('a', 0, 12), stage('b', 11, 30)] }],
    ['[G3] an empty stage', { stages: [stage('a', 0, 12), stage('b', 12, 12)] }],
    [
      '[G3] 65 stages',
      { stages: Array.from({ length: 65 }, (_, k) => ({ ...stage('a', k, k + 1), peerId: k.toString(16).padStart(32, '0') })) },
    ],
    ['[G4] a peer with two stages', { stages: [stage('a', 0, 12), stage('a', 12, 30)] }],
    ['[G5] no positions', { maxPositions: 0 }],
    ['[G5] too many positions', { maxPositions: 1_048_577 }],
    ['[G5] top 0', { topK: 0 }],
    ['[G5] top 257', { topK: 257 }],
    ['[G6] an unknown field', { extra: 1 }],
    ['[G6] a missing field', { driver: undefined }],
    ['[G6] a malformed id', { sessionId: 'x' }],
    ['[G6] another version', { version: 2 }],
    ['[G6] an unknown encoding', { rowEncoding: 'i8' }],
    ['[G6] a time that is no number', { issuedAtMs: 'now' }],
    ['[G10] an expiry before its issue', { issuedAtMs: grant.expiresAtMs }],
    ['[G10] a life of more than a day', { expiresAtMs: now + 24 * 3_600_000 + 1 }],
  ])('%s is refused although signed', async (_, changed) => {
    expect(await open(changed)).toMatchObject({ ok: false })
  })

  it('[G3] [G4] [G10] may have 64 stages, its driver among them, and live a day', async () => {
    const stages = Array.from({ length: 64 }, (_, k) => ({ ...stage('a', k, k + 1), peerId: k.toString(16).padStart(32, '0') as PeerId }))
    expect(await open({ stages, driver: stages[5]?.peerId, expiresAtMs: now + 24 * 3_600_000 })).toMatchObject({ ok: true })
  })
})
