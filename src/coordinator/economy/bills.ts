/** Bills: sessions whose rest of the hold is on its way back, and who is told then what they cost. Pure. */

import type { PeerId, SessionId } from '../../shared/index.ts'
import type { LedgerEvent } from '../ledger/index.ts'

interface Bill {
  readonly driver: PeerId
  /** Micro-credits. */
  readonly held: bigint
}

/** What went back to who paid, micro-credits. */
export function returnedBy({ postings }: Pick<LedgerEvent, 'postings'>): bigint {
  return postings.reduce((sum, { account, amount }) => (account.kind === 'user' ? sum + amount : sum), 0n)
}

export interface Settled {
  readonly driver: PeerId
  readonly sessionId: SessionId
  /** Micro-credits. */
  readonly charged: bigint
}

export class Bills {
  readonly #open = new Map<string, Bill & { readonly sessionId: SessionId }>()

  /** The session is settled; its `release` is yet to be posted. */
  begin(sessionId: SessionId, { driver, held }: Bill): void {
    this.#open.set(sessionId, { sessionId, driver, held })
  }

  /** What was held beyond its cost has gone back; null for events of other kinds, and of sessions that nobody is told of. */
  posted({ command, postings }: LedgerEvent): Settled | null {
    if (command.kind !== 'release') return null
    return this.#end(command.session, returnedBy({ postings }))
  }

  /** Its cost took all that was held: nothing was left to go back. */
  emptied(session: string): Settled | null {
    return this.#end(session, 0n)
  }

  #end(session: string, returned: bigint): Settled | null {
    const bill = this.#open.get(session)
    if (bill === undefined) return null
    this.#open.delete(session)
    return { driver: bill.driver, sessionId: bill.sessionId, charged: bill.held - returned }
  }
}
