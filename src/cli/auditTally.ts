/** What `audit` counts of a coordinator's verification: audits, verdicts, lost trust, and work, from the effects alone. */

import type { VerificationEffect } from '../coordinator/verification/index.ts'
import { rowTotal } from '../protocol/index.ts'
import type { PeerId } from '../shared/index.ts'

type Challenge = Extract<VerificationEffect, { kind: 'challenge' }>
/** canary: results that nobody could audit, whose peer was sent one instead. */
type AuditorKind = Extract<VerificationEffect, { kind: 'audit' }>['auditor']['kind'] | 'canary'

export class AuditTally {
  /** By claim: those that have no verdict yet. */
  readonly #open = new Map<string, Challenge>()
  readonly #accounts = new Map<PeerId, string>()
  /** Of accounts that have lost their trust: how often. */
  readonly #failures = new Map<string, number>()
  /** Of accounts: why they lost it first. */
  readonly #reasons = new Map<string, string>()
  readonly auditsByKind: Record<AuditorKind, number> = { loaded: 0, spare: 0, coordinator: 0, canary: 0 }
  #sessionWork = 0
  #auditWork = 0

  take(effect: VerificationEffect, accountOf: (peerId: PeerId) => string | null): void {
    switch (effect.kind) {
      case 'challenge':
        this.#open.set(effect.claimId, effect)
        return
      case 'audit': {
        const challenge = this.#open.get(effect.claimId)
        this.auditsByKind[effect.auditor.kind]++
        if ('peerId' in effect.auditor) this.#accounts.set(effect.auditor.peerId, effect.auditor.holder)
        if (challenge !== undefined) this.#auditWork += challenge.endPosition * (challenge.endLayer - challenge.firstLayer)
        return
      }
      case 'canary':
        this.auditsByKind.canary++
        return
      case 'settle':
        for (const { peerId, lines } of effect.claims) {
          const account = accountOf(peerId)
          if (account !== null) this.#accounts.set(peerId, account)
          for (const { rows, firstLayer, endLayer } of lines) this.#sessionWork += rowTotal(rows) * (endLayer - firstLayer)
        }
        return
      case 'verdict':
        this.#open.delete(effect.claimId)
        if (effect.verdict === 'failed') this.#blame(accountOf(effect.peerId), effect.reason)
        return
      case 'trust':
        this.#failures.set(effect.holder, effect.record.failures)
        // Of a result that failed its verdict has come before.
        if (effect.record.failures > 0) this.#blame(effect.holder, 'as an auditor it was contradicted by two others')
        return
      default:
        return
    }
  }

  get audits(): number {
    const { loaded, spare, coordinator } = this.auditsByKind
    return loaded + spare + coordinator
  }

  /** Results that are being audited. */
  get open(): number {
    return this.#open.size
  }

  /** Null where it has served nothing that was settled. */
  accountOf(peerId: PeerId): string | null {
    return this.#accounts.get(peerId) ?? null
  }

  failuresOf(peerId: PeerId): number {
    return this.#failures.get(this.accountOf(peerId) ?? '') ?? 0
  }

  /** Null: it was never blamed. */
  reasonOf(peerId: PeerId): string | null {
    return this.#reasons.get(this.accountOf(peerId) ?? '') ?? null
  }

  /** Failures of all but these peers. */
  failuresOfOthers(peerIds: readonly PeerId[]): number {
    const own = peerIds.map((peerId) => this.accountOf(peerId))
    return [...this.#failures].reduce((sum, [account, failures]) => (own.includes(account) ? sum : sum + failures), 0)
  }

  /** Rows × layers that auditors were asked for, of those that sessions computed. */
  get extraComputePercent(): number {
    return this.#sessionWork === 0 ? 0 : (100 * this.#auditWork) / this.#sessionWork
  }

  #blame(account: string | null, reason: string): void {
    if (account !== null && !this.#reasons.has(account)) this.#reasons.set(account, reason)
  }
}
