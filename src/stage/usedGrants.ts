/** UsedGrants: sessions that this peer has taken part in, remembered until their grants expire so that no grant is used twice. */

import type { Grant } from '../protocol/index.ts'
import type { SessionId } from '../shared/index.ts'

/** Beyond it nothing new is accepted: forgetting one would let its grant be used again. */
const SESSIONS_MAX = 10_000

export class UsedGrants {
  readonly #used = new Map<SessionId, { readonly expiresAtMs: number; readonly revision: number }>()

  /** Highest revision of the session so far, null if it is new. */
  revisionOf(sessionId: SessionId): number | null {
    return this.#used.get(sessionId)?.revision ?? null
  }

  add({ sessionId, expiresAtMs, revision }: Grant): void {
    this.#used.set(sessionId, { expiresAtMs, revision })
  }

  hasRoom(nowMs: number): boolean {
    if (this.#used.size >= SESSIONS_MAX) for (const [id, { expiresAtMs }] of this.#used) if (expiresAtMs <= nowMs) this.#used.delete(id)
    return this.#used.size < SESSIONS_MAX
  }
}
