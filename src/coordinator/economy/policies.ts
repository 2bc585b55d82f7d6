/**
 * Policies: which tabs may compute and audit a session, where not all may. Remembered for as long as the session's work may be audited: an audit never
 * leaves the pool that its session was in.
 */

import type { Clock, PeerId, Pool, SessionId } from '../../shared/index.ts'
import type { MayServe } from '../core/index.ts'
import { POLICIES_MAX, POLICY_KEPT_MS } from './limits.ts'

export interface PoliciesOptions {
  /** Null: not known yet, and so in no pool but the public one. */
  readonly accountOf: (peerId: PeerId) => string | null
  readonly isTrusted: (account: string) => boolean
  readonly clock: Clock
}

export class Policies {
  readonly #options: PoliciesOptions
  /** Oldest first. */
  readonly #kept = new Map<SessionId, { readonly mayServe: MayServe; readonly untilMs: number }>()

  constructor(options: PoliciesOptions) {
    this.#options = options
  }

  /** Who may compute for `account` in that pool; null: everybody. */
  of(pool: Pool, account: string): MayServe | null {
    const { accountOf, isTrusted } = this.#options
    switch (pool) {
      case 'public':
        return null
      case 'trusted':
        return (peerId) => {
          const owner = accountOf(peerId)
          return owner !== null && isTrusted(owner)
        }
      case 'mine':
        return (peerId) => accountOf(peerId) === account
    }
  }

  /** False: so many are remembered that the session must not begin. */
  keep(sessionId: SessionId, mayServe: MayServe): boolean {
    const nowMs = this.#options.clock.nowMs()
    for (const [other, { untilMs }] of this.#kept) {
      if (untilMs > nowMs) break
      this.#kept.delete(other)
    }
    if (this.#kept.size >= POLICIES_MAX) return false
    this.#kept.set(sessionId, { mayServe, untilMs: nowMs + POLICY_KEPT_MS })
    return true
  }

  /** Whether that tab may audit what was computed in the session. */
  mayAudit(sessionId: SessionId, peerId: PeerId): boolean {
    return this.#kept.get(sessionId)?.mayServe(peerId) ?? true
  }
}
