/**
 * EscrowBook: which claims an account's escrow of a session waits for. It is paid out when the last of them is released, and goes back to who paid
 * as soon as one is refunded: two tabs of one account in one chain are one party. Pure.
 */

import { assert } from '../../shared/index.ts'
import type { CommandOf } from '../ledger/index.ts'
import type { EscrowEntry } from './settlement.ts'

interface Waiting {
  readonly session: string
  readonly account: string
  readonly open: Set<string>
}

export class EscrowBook {
  readonly #byClaim = new Map<string, Waiting>()

  /** Claims that wait. */
  get count(): number {
    return this.#byClaim.size
  }

  add({ session, account, claimIds }: EscrowEntry): void {
    const entry = { session, account, open: new Set(claimIds) }
    for (const claimId of claimIds) {
      assert(!this.#byClaim.has(claimId), `the claim ${claimId} waits in escrow already`)
      this.#byClaim.set(claimId, entry)
    }
  }

  /** The payout, where nothing else is waited for; null for a claim that nobody is paid for, too. */
  release(claimId: string): CommandOf<'payout'> | null {
    const entry = this.#byClaim.get(claimId)
    if (entry === undefined) return null
    this.#byClaim.delete(claimId)
    entry.open.delete(claimId)
    return entry.open.size > 0 ? null : { kind: 'payout', session: entry.session, account: entry.account, part: 0 }
  }

  /** Null where it has gone back already. */
  refund(claimId: string): CommandOf<'refund'> | null {
    const entry = this.#byClaim.get(claimId)
    if (entry === undefined) return null
    for (const other of entry.open) this.#byClaim.delete(other)
    return { kind: 'refund', session: entry.session, account: entry.account, part: 0 }
  }
}
