/** Effects: what one event makes the core say and do, in the order in which it was decided. Shared by all parts of the core. */

import type { ServerMessage } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import type { CoreEffect, SessionEvent } from './events.ts'

export class Effects {
  #pending: CoreEffect[] = []

  /** Another event begins. */
  begin(): void {
    this.#pending = []
  }

  /** Of the event that began last. */
  get pending(): CoreEffect[] {
    return this.#pending
  }

  add(effect: CoreEffect): void {
    this.#pending.push(effect)
  }

  session(event: SessionEvent): void {
    this.add({ kind: 'session', event })
  }

  send(peerId: PeerId, message: ServerMessage): void {
    this.add({ kind: 'send', peerId, message })
  }

  /** Answers a request for a chain with why there is none. */
  refuse(peerId: PeerId, requestId: string, refusal: { reason: string; message: string; retryAfterMs?: number | null }): void {
    const { reason, message, retryAfterMs = null } = refusal
    this.send(peerId, { type: 'refused', requestId, reason, message, retryAfterMs })
  }

  close(peerId: PeerId, reason: string, message: string): void {
    this.add({ kind: 'close', peerId, error: { reason, message } })
  }
}
