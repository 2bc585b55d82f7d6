/** ReceiptDesk: peers' signed receipts, each peer's in their order and at a bounded rate, opened with the peer's own key. */

import { openReceipt, type Receipt, type SignedReceipt } from '../../protocol/index.ts'
import { type Clock, type PeerId, SerialQueue, type VerifySignature } from '../../shared/index.ts'
import { TokenBucket } from '../core/index.ts'
import { RECEIPT_RATE } from './limits.ts'

export interface ReceiptDeskOptions {
  readonly clock: Clock
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
  async receive(peerId: PeerId, publicKey: Uint8Array, signed: SignedReceipt): Promise<void> {
    const { clock, verify, take } = this.#options
    const desk = this.#desks.get(peerId) ?? { bucket: new TokenBucket(RECEIPT_RATE, clock.nowMs()), queue: new SerialQueue() }
    this.#desks.set(peerId, desk)
    if (!desk.bucket.take(clock.nowMs())) return
    await desk.queue.run(async () => {
      const receipt = await openReceipt(signed, publicKey, verify, clock.nowMs())
      if (receipt.ok && receipt.value.peerId === peerId) take(receipt.value)
    })
  }

  left(peerId: PeerId): void {
    this.#desks.delete(peerId)
  }
}
