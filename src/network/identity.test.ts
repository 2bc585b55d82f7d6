/** Whose receipt it is: by real keys, signatures and hashes. */

import { beforeAll, describe, expect, it } from 'vitest'
import { EMPTY_HASH, type Receipt, type SignedReceipt, signReceipt } from '../protocol/index.ts'
import type { PeerId, SessionId, Signer } from '../shared/index.ts'
import { createIdentity, isReceiptOf, peerIdOf, sha256Of, signatureVerifier } from './index.ts'

const { subtle } = crypto
const tools = { sha256: sha256Of(subtle), verify: signatureVerifier(subtle) }
const nowMs = 1_000_000
const counts = { prompt: 0, decode: 0, results: 0 }
const link = { ...counts, firstPosition: 0, endPosition: 0, hash: EMPTY_HASH }

let driver: Signer
let other: Signer
let peerId: PeerId
let receipt: Receipt
let signed: SignedReceipt

beforeAll(async () => {
  driver = await createIdentity(subtle)
  other = await createIdentity(subtle)
  peerId = await peerIdOf(driver.publicKey, tools.sha256)
  const sessionId = 'e'.repeat(32) as SessionId
  const party = { kind: 'driver', resent: counts } as const
  receipt = {
    version: 1,
    sessionId,
    revision: 0,
    peerId,
    party,
    epoch: 0,
    received: link,
    sent: link,
    sequence: 0,
    timeMs: nowMs,
    final: false,
    head: null,
  }
  signed = await signReceipt(receipt, driver)
})

const isOf = (changes: Partial<Parameters<typeof isReceiptOf>[0]>) =>
  isReceiptOf({ receipt: signed, publicKey: driver.publicKey, peerId, nowMs, ...changes }, tools)

describe('[V19] a receipt', () => {
  it('is of the peer whose key signed it', async () => {
    expect(await isOf({})).toBe(true)
  })

  it('is nobody else’s, whoever signed it or names a key', async () => {
    expect(await isOf({ publicKey: other.publicKey })).toBe(false)
    expect(await isOf({ peerId: await peerIdOf(other.publicKey, tools.sha256) })).toBe(false)
    expect(await isOf({ receipt: await signReceipt(receipt, other) })).toBe(false)
    expect(await isOf({ receipt: { ...signed, signature: signed.signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) } })).toBe(
      false,
    )
    for (const publicKey of [new Uint8Array(0), new Uint8Array(65)]) {
      const named = await peerIdOf(publicKey, tools.sha256)
      expect(await isOf({ publicKey, peerId: named })).toBe(false)
    }
  })

  it('is of no use from the future: the coordinator would not take it', async () => {
    expect(await isOf({ nowMs: nowMs - 60_000 })).toBe(false)
  })
})
