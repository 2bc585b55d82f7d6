import { beforeAll, describe, expect, it } from 'vitest'
import { createIdentity, signatureVerifier } from '../network/index.ts'
import { fromBase64Url, type PeerId, type Signer, toBase64Url } from '../shared/index.ts'
import { certifyPeer, openCertificate } from './peerCertificate.ts'

const { subtle } = globalThis.crypto
const verify = signatureVerifier(subtle)
const peer = 'a'.repeat(32) as PeerId
const now = 1_700_000_000_000
const dayMs = 24 * 3_600_000
let account: Signer

beforeAll(async () => {
  account = await createIdentity(subtle)
})

/** Signed by the account, whatever it says. */
async function signed(fields: object) {
  const body = new TextEncoder().encode(
    JSON.stringify({
      version: 1,
      accountKey: toBase64Url(account.publicKey),
      peerId: peer,
      issuedAtMs: now,
      expiresAtMs: now + dayMs,
      ...fields,
    }),
  )
  const context = new TextEncoder().encode('tabswarm peer certificate 1\n')
  return { body: toBase64Url(body), signature: toBase64Url(await account.sign(new Uint8Array([...context, ...body]))) }
}

const open = (certificate: Awaited<ReturnType<typeof signed>>, nowMs = now) => openCertificate(certificate, peer, verify, nowMs)

describe('a peer’s certificate', () => {
  it('[I1] names the account that signed it', async () => {
    expect(await open(await certifyPeer(peer, account, now))).toEqual({ ok: true, value: account.publicKey })
    expect(await open(await signed({}))).toEqual({ ok: true, value: account.publicKey })
  })

  it('[I1] is refused with any changed byte, and when another key signed it than it names', async () => {
    const certificate = await certifyPeer(peer, account, now)
    for (const part of ['body', 'signature'] as const) {
      const bytes = fromBase64Url(certificate[part]) ?? new Uint8Array()
      for (let at = 0; at < bytes.length; at += 7) {
        const changed = toBase64Url(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)))
        expect(await open({ ...certificate, [part]: changed })).toMatchObject({ ok: false })
      }
    }
    const stranger = await createIdentity(subtle)
    expect(await open(await signed({ accountKey: toBase64Url(stranger.publicKey) }))).toMatchObject({
      ok: false,
      error: expect.stringContaining('signature'),
    })
  })

  it('[I2] is good for its peer only', async () => {
    const opened = await openCertificate(await certifyPeer(peer, account, now), 'b'.repeat(32) as PeerId, verify, now)
    expect(opened).toMatchObject({ ok: false, error: expect.stringContaining('not for bbbb') })
  })

  it('[I3] is good for a day, and refused from its expiry on', async () => {
    const certificate = await certifyPeer(peer, account, now)
    expect(await open(certificate, now + dayMs - 1)).toMatchObject({ ok: true })
    expect(await open(certificate, now + dayMs)).toMatchObject({ ok: false, error: expect.stringContaining('expired') })
  })

  it.each([
    ['[I3] a life of more than a day', { expiresAtMs: now + dayMs + 1 }],
    ['[I3] an expiry before its issue', { expiresAtMs: now }],
    ['[I1] an unknown field', { extra: 1 }],
    ['[I1] a missing field', { peerId: undefined }],
    ['[I1] another version', { version: 2 }],
    ['[I1] a key that is none', { accountKey: 'AAAA' }],
    ['[I1] a key that is no base64url', { accountKey: 'AAAAA' }],
    ['[I1] a peer id that is none', { peerId: 'x' }],
  ])('%s is refused although signed', async (_, fields) => {
    expect(await open(await signed(fields))).toMatchObject({ ok: false })
  })

  it('[I1] is refused when it is no base64url', async () => {
    expect(await open({ body: '!', signature: '' })).toMatchObject({ ok: false })
  })
})
