/**
 * UsedGrants: sessions that this peer has taken part in, so that no grant is used twice. They are remembered until their grants expire, or until
 * there are too many: then no grant as old as a forgotten one begins a session any more, whether it was used or not.
 */

import type { Grant } from '../protocol/index.ts'
import type { SessionId } from '../shared/index.ts'

/** About 2 MB. At one session a second, grants are remembered for longer than they live; at a hundred a second, for 100 s. */
const SESSIONS_MAX = 10_000

type Used = Pick<Grant, 'revision' | 'issuedAtMs' | 'expiresAtMs'>

export class UsedGrants {
  readonly #sessionsMax: number
  readonly #used = new Map<SessionId, Used>()
  /** Of all forgotten ones, the latest issue. */
  #forgottenMs = Number.NEGATIVE_INFINITY

  constructor(sessionsMax = SESSIONS_MAX) {
    this.#sessionsMax = sessionsMax
  }

  get size(): number {
    return this.#used.size
  }

  /** Why the grant, which has not expired, may not begin a session; null: it may. */
  faultOf({ sessionId, revision, issuedAtMs }: Grant): string | null {
    const used = this.#used.get(sessionId)
    if (used !== undefined) return used.revision >= revision ? 'the grant was used before; ask for a new one' : null
    return issuedAtMs <= this.#forgottenMs ? 'the grant is older than those that this peer remembers; ask for a new one' : null
  }

  add({ sessionId, revision, issuedAtMs, expiresAtMs }: Grant, nowMs: number): void {
    this.#used.set(sessionId, { revision, issuedAtMs, expiresAtMs })
    if (this.#used.size <= this.#sessionsMax) return
    for (const [id, used] of this.#used) if (used.expiresAtMs <= nowMs) this.#used.delete(id)
    if (this.#used.size > this.#sessionsMax) this.#forgetFirstIssued()
  }

  #forgetFirstIssued(): void {
    let first: readonly [SessionId, Used] | null = null
    for (const entry of this.#used) if (first === null || entry[1].issuedAtMs < first[1].issuedAtMs) first = entry
    if (first === null) return
    this.#used.delete(first[0])
    this.#forgottenMs = Math.max(this.#forgottenMs, first[1].issuedAtMs)
  }
}
