/**
 * ReceiptDesk: peers' signed receipts, each peer's in their order and at a bounded rate, opened with the key of who signed: the peer itself, or a driver
 * whose word a stage has. Rules E4 and V25 of SPEC.md.
 */

import { openReceipt, type Receipt, readReceipt, type SignedReceipt } from '../../protocol/index.ts'
import { type Clock, type PeerId, SerialQueue, type VerifySignature } from '../../shared/index.ts'
import { rateOf, TokenBucket } from '../core/index.ts'
import { RECEIPT_RATE } from './limits.ts'

export interface ReceiptDeskOptions {
  readonly clock: Clock
  /** Raw; null: of nobody who is known here, or any more. */
  readonly keyOf: (peerId: PeerId) => Uint8Array | null
  /** Requesters that it stands for. */
  readonly shareOf: (peerId: PeerId) => number
  readonly verify: VerifySignature
  readonly take: (receipt: Receipt) => void
}

interface Desk {
  readonly bucket: TokenBucket
  readonly queue: SerialQueue
}

export class ReceiptDesk {
  readonly #options: ReceiptDeskOptions
  readonly #desks = new Map<PeerId, Desk>()

  constructor(options: ReceiptDeskOptions) {
    this.#options = options
  }

  /** What comes too fast, is signed by another key or speaks for another peer is dropped: a receipt that is missing harms its own peer alone. */
  async receive(peerId: PeerId, signed: SignedReceipt): Promise<void> {
    const { clock, keyOf, shareOf, verify, take } = this.#options
    const bucket = () => new TokenBucket(rateOf(RECEIPT_RATE, shareOf(peerId)), clock.nowMs())
    const desk = this.#desks.get(peerId) ?? { bucket: bucket(), queue: new SerialQueue() }
    this.#desks.set(peerId, desk)
    if (!desk.bucket.take(clock.nowMs())) return
    await desk.queue.run(async () => {
      const signer = signerOf(signed, peerId)
      const publicKey = keyOf(signer)
      if (publicKey === null) return
      const receipt = await openReceipt(signed, publicKey, verify, clock.nowMs())
      if (receipt.ok && receipt.value.peerId === signer) take(receipt.value)
    })
  }

  left(peerId: PeerId): void {
    this.#desks.delete(peerId)
  }
}

/** Whose it has to be, from that sender: its own, unless it says to be a driver's. */
function signerOf(signed: SignedReceipt, sender: PeerId): PeerId {
  const read = readReceipt(signed)
  return read.ok && read.value.party.kind === 'driver' ? read.value.peerId : sender
}
