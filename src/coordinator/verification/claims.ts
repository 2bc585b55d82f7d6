/** ClaimBook: what lies in escrow: each stage's pay for a session, from its settlement to its one end. */

import { assert } from '../../shared/index.ts'
import type { RefundReason, VerificationEffect } from './effects.ts'
import type { HolderId } from './trust.ts'

/** Plain data: a coordinator that starts again is given what its ledger still holds in escrow. */
export interface Claim {
  readonly claimId: string
  readonly holder: HolderId
  /** Coordinator time. */
  readonly settledMs: number
  /** An audit of it runs: no other result's audit may release it. */
  readonly pending: boolean
}

export class ClaimBook {
  readonly #claims = new Map<string, Claim>()
  readonly #byHolder = new Map<HolderId, Set<string>>()

  constructor(restored: Iterable<Claim>) {
    for (const claim of [...restored].sort((a, b) => a.settledMs - b.settledMs)) this.add({ ...claim, pending: false })
  }

  get count(): number {
    return this.#claims.size
  }

  add(claim: Claim): void {
    assert(!this.#claims.has(claim.claimId), `the claim ${claim.claimId} is in escrow already`)
    this.#claims.set(claim.claimId, claim)
    const ids = this.#byHolder.get(claim.holder) ?? new Set()
    this.#byHolder.set(claim.holder, ids.add(claim.claimId))
  }

  /** Whether an audit of it runs; returns when it was settled, null where it is not in escrow. */
  setPending(claimId: string, pending: boolean): number | null {
    const claim = this.#claims.get(claimId)
    if (claim === undefined) return null
    this.#claims.set(claimId, { ...claim, pending })
    return claim.settledMs
  }

  /** All of the holder that no audit runs of, up to those settled at `untilMs`: they go to it. */
  releaseOf(holder: HolderId, untilMs: number): VerificationEffect[] {
    const due = this.#of(holder).filter(({ pending, settledMs }) => !pending && settledMs <= untilMs)
    return due.map(({ claimId }) => this.#end({ kind: 'release', claimId, reason: 'audited' }))
  }

  /** Settled by rule: nothing has decided them within `afterMs`. */
  releaseOld(nowMs: number, afterMs: number): VerificationEffect[] {
    const old: VerificationEffect[] = []
    // In the order of their settlement.
    for (const { claimId, settledMs } of this.#claims.values()) {
      if (nowMs - settledMs < afterMs) break
      old.push(this.#end({ kind: 'release', claimId, reason: 'rule' }))
    }
    return old
  }

  /** Nothing where it has ended already. */
  refund(claimId: string, reason: RefundReason): VerificationEffect[] {
    return this.#claims.has(claimId) ? [this.#end({ kind: 'refund', claimId, reason })] : []
  }

  /** Whatever the holder has in escrow. */
  refundOf(holder: HolderId, reason: RefundReason): VerificationEffect[] {
    return this.#of(holder).map(({ claimId }) => this.#end({ kind: 'refund', claimId, reason }))
  }

  #of(holder: HolderId): Claim[] {
    return [...(this.#byHolder.get(holder) ?? [])].flatMap((claimId) => this.#claims.get(claimId) ?? [])
  }

  #end<Effect extends VerificationEffect & { readonly claimId: string }>(effect: Effect): Effect {
    const claim = this.#claims.get(effect.claimId)
    assert(claim !== undefined, `the claim ${effect.claimId} has ended already`)
    this.#claims.delete(claim.claimId)
    const ids = this.#byHolder.get(claim.holder)
    ids?.delete(claim.claimId)
    if (ids?.size === 0) this.#byHolder.delete(claim.holder)
    return effect
  }
}
