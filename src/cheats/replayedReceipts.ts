/**
 * ReplayedReceipts: a stage's receipts with the hashes of an earlier session in the place of its own, signed by its own key: it was paid for those
 * rows once, and computes no others. Positions and counts are those of the present session, or nobody would have to look at a hash.
 */

import { EMPTY_HASH, type Receipt, readReceipt, type SignedReceipt, signReceipt } from '../protocol/index.ts'
import type { SessionId, Signer } from '../shared/index.ts'

/** Sessions that are remembered: the coordinator asks for receipts up to a minute after a session's end. */
const SESSIONS_MAX = 256

export class ReplayedReceipts {
  readonly #honestSessions: number
  readonly #signer: Pick<Signer, 'sign'>
  /** In the order of their first receipts: what the last one of each should say. */
  readonly #sessions = new Map<SessionId, { readonly honest: Receipt; readonly isForged: boolean }>()
  #count = 0

  constructor(honestSessions: number, signer: Pick<Signer, 'sign'>) {
    this.#honestSessions = honestSessions
    this.#signer = signer
  }

  /** What the coordinator is told in the place of that receipt of this peer. */
  async replace(signed: SignedReceipt): Promise<SignedReceipt> {
    const read = readReceipt(signed)
    if (!read.ok) return signed
    const honest = read.value
    const { sessionId, received, sent } = honest
    const isForged = this.#sessions.get(sessionId)?.isForged ?? this.#count++ >= this.#honestSessions
    this.#sessions.set(sessionId, { honest, isForged })
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > SESSIONS_MAX && oldest !== undefined) this.#sessions.delete(oldest)
    const earlier = isForged ? this.#earlier(honest) : null
    if (earlier === null) return signed
    const hashes = { received: { ...received, hash: earlier.received.hash }, sent: { ...sent, hash: earlier.sent.hash } }
    return signReceipt({ ...honest, ...hashes }, this.#signer)
  }

  /** The latest of another session with other rows: equal questions have equal hashes. Null: there is none, or nothing has passed here. */
  #earlier({ received, sent }: Receipt): Receipt | null {
    if (received.hash === EMPTY_HASH || sent.hash === EMPTY_HASH) return null
    const receipts = [...this.#sessions.values()].map(({ honest }) => honest)
    const isOther = ({ hash }: { readonly hash: string }, own: string) => hash !== EMPTY_HASH && hash !== own
    return receipts.findLast((other) => isOther(other.received, received.hash) && isOther(other.sent, sent.hash)) ?? null
  }
}
