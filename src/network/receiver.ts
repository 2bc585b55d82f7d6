/** Receiver: the half of a link that hands frames up. Holds what comes before `listen`, in bounds, and tells the end once. */

import type { LinkClosed, LinkHandlers } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'

/** Four of the largest frames: before somebody listens a peer has nothing to say but `open`. */
export const HELD_BYTES_MAX = 1024 * 1024

export class Receiver {
  #handlers: LinkHandlers | null = null
  #listening = false
  #closed: LinkClosed | null = null
  #told = false
  #held: Uint8Array[] = []
  #heldBytes = 0

  get closed(): LinkClosed | null {
    return this.#closed
  }

  /** What was held is delivered after the caller's turn, so that it may finish setting itself up. */
  listen(handlers: LinkHandlers): void {
    assert(!this.#listening, 'listen was called twice on one link')
    this.#listening = true
    queueMicrotask(() => {
      this.#handlers = handlers
      const held = this.#held
      this.#held = []
      for (const frame of held) handlers.onFrame(frame)
      this.#tell()
    })
  }

  /** False when nobody listens and the bound of what may wait is passed. */
  deliver(frame: Uint8Array): boolean {
    if (this.#closed !== null) return true
    if (this.#handlers !== null) {
      this.#handlers.onFrame(frame)
      return true
    }
    this.#held.push(frame)
    this.#heldBytes += frame.byteLength
    return this.#heldBytes <= HELD_BYTES_MAX
  }

  /** The first end counts. What is held is still delivered before it. */
  close(closed: LinkClosed): void {
    this.#closed ??= closed
    this.#tell()
  }

  #tell(): void {
    if (this.#closed === null || this.#handlers === null || this.#told) return
    this.#told = true
    this.#handlers.onClose(this.#closed)
  }
}
