/** A channel's messages as promises, for the handshake: what comes faster than it is read waits, in bounds. */

import { TabswarmError } from '../shared/index.ts'
import type { ByteChannel } from './channel.ts'
import { HELD_BYTES_MAX } from './receiver.ts'

export class MessageQueue {
  #messages: Uint8Array[] = []
  #bytes = 0
  #failure: TabswarmError | null = null
  #wake: () => void = () => undefined

  constructor(channel: ByteChannel) {
    channel.listen({
      onMessage: (bytes) => this.#push(bytes),
      onLow: () => undefined,
      onClose: ({ detail }) => this.fail(detail),
    })
  }

  /** The next message, in order. Rejects once the queue has failed and nothing waits in it. */
  async next(): Promise<Uint8Array> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) {
        this.#bytes -= message.byteLength
        return message
      }
      this.check()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Throws what the queue failed with. */
  check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  takeAll(): Uint8Array[] {
    const messages = this.#messages
    this.#messages = []
    return messages
  }

  fail(detail: string): void {
    this.#failure ??= new TabswarmError('handshake-failed', detail)
    this.#wake()
  }

  #push(bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength
    if (this.#failure !== null) return
    if (this.#bytes > HELD_BYTES_MAX) return this.fail('[H10] it sent too much before it was authenticated')
    this.#messages.push(bytes)
    this.#wake()
  }
}
