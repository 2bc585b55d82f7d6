/** What is told of a session in the place of the truth, and that it is signed and well-formed all the same. */

import { describe, expect, it } from 'vitest'
import { EMPTY_HASH, type LinkTally, openReceipt, type Receipt, readReceipt, signReceipt } from '../protocol/index.ts'
import type { PeerId, SessionId, Signer } from '../shared/index.ts'
import { ReplayedReceipts } from './replayedReceipts.ts'

/** Whose signature is the message's length: what was signed is what is sent. */
const signer: Pick<Signer, 'sign'> = { sign: async (message) => Uint8Array.of(message.length & 255) }
const verify = async (_key: Uint8Array, message: Uint8Array, signature: Uint8Array) => signature[0] === (message.length & 255)

function receiptOf(session: number, digit: string, end = 40): Receipt {
  const hash = end === 0 ? EMPTY_HASH : digit.repeat(64)
  const link: LinkTally = { firstPosition: 0, endPosition: end, prompt: end, decode: 0, results: 0, hash }
  const computed = { prompt: end, decode: 0, results: 0 }
  return {
    version: 1,
    sessionId: `${session}`.padStart(32, '0') as SessionId,
    revision: 0,
    peerId: 'a'.repeat(32) as PeerId,
    party: { kind: 'stage', index: 0, firstLayer: 0, endLayer: 5, computed },
    epoch: 0,
    received: link,
    sent: link,
    sequence: 0,
    timeMs: 1_000,
    final: true,
    head: null,
  }
}

async function told(replayed: ReplayedReceipts, receipt: Receipt): Promise<Receipt> {
  const signed = await replayed.replace(await signReceipt(receipt, signer))
  const opened = await openReceipt(signed, new Uint8Array(65), verify, 2_000)
  expect(opened).toEqual(readReceipt(signed))
  if (!opened.ok) throw new Error(opened.error)
  return opened.value
}

describe('ReplayedReceipts', () => {
  it('tells the hashes of the latest session with other rows, and the present counts', async () => {
    const replayed = new ReplayedReceipts(2, signer)
    await told(replayed, receiptOf(1, '1'))
    await told(replayed, receiptOf(2, '2'))
    const present = receiptOf(3, '2', 50)
    expect(await told(replayed, present)).toEqual({
      ...present,
      received: { ...present.received, hash: '1'.repeat(64) },
      sent: { ...present.sent, hash: '1'.repeat(64) },
    })
  })

  it('is honest for as many sessions as it was told to be, in all receipts of each', async () => {
    const replayed = new ReplayedReceipts(2, signer)
    for (const receipt of [receiptOf(1, '1'), receiptOf(2, '2'), receiptOf(1, '3'), receiptOf(2, '4')])
      expect(await told(replayed, receipt)).toEqual(receipt)
    for (const receipt of [receiptOf(3, '5'), receiptOf(3, '6')]) expect((await told(replayed, receipt)).sent.hash).toBe('4'.repeat(64))
  })

  it('has nothing to tell in the place of the first, nor where nothing has passed', async () => {
    const replayed = new ReplayedReceipts(0, signer)
    for (const receipt of [receiptOf(1, '1'), receiptOf(2, '2', 0)]) expect(await told(replayed, receipt)).toEqual(receipt)
  })
})
