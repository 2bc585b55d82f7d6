/**
 * SessionBook: sessions from their grant until their receipts are in: collects them by segment, asks for what would let neighbors be
 * compared, and hands each session over once, decided or not. Waits are bounded: who signs nothing is missing then.
 */

import type { Grant, Receipt } from '../../protocol/index.ts'
import { type PeerId, required, type SessionId } from '../../shared/index.ts'
import type { FailureSeenBy, Leave, SessionOpened } from './effects.ts'
import { ASK_ROUNDS, RECEIPT_WAIT_MS, SEGMENTS_MAX } from './limits.ts'
import { missingReceipts } from './proveWork.ts'
import { Segment } from './segment.ts'

export interface TrackedSegment {
  readonly segment: Segment
  /** Of the stages before. */
  readonly leaves: readonly Leave[]
}

export interface TrackedSession {
  readonly opened: SessionOpened
  readonly segments: readonly TrackedSegment[]
  readonly failure: FailureSeenBy | null
}

export interface Ask {
  readonly peerId: PeerId
  readonly sessionId: SessionId
  readonly revision: number
  readonly endPosition: number
}

interface OpenSession {
  readonly opened: SessionOpened
  readonly segments: TrackedSegment[]
  failure: FailureSeenBy | null
  /** null: still open. */
  waitsUntilMs: number | null
  rounds: number
}

export class SessionBook {
  readonly #sessions = new Map<SessionId, OpenSession>()
  /** Of them, those that have ended and wait for receipts. */
  readonly #closing = new Map<SessionId, OpenSession>()

  get count(): number {
    return this.#sessions.size
  }

  get(sessionId: SessionId): TrackedSession | null {
    return this.#sessions.get(sessionId) ?? null
  }

  open(opened: SessionOpened): void {
    const { grant } = opened
    if (this.#sessions.has(grant.sessionId)) return
    const segments = [{ segment: new Segment(grant), leaves: [] }]
    this.#sessions.set(grant.sessionId, { opened, segments, failure: null, waitsUntilMs: null, rounds: 0 })
  }

  /** False where the session is over, the grant is not newer, or the chain has broken too often to be compared further. */
  repaired(grant: Grant, leaves: readonly Leave[]): boolean {
    const session = this.#sessions.get(grant.sessionId)
    if (session === undefined || session.waitsUntilMs !== null || session.segments.length >= SEGMENTS_MAX) return false
    if (grant.revision <= newest(session).grant.revision) return false
    session.segments.push({ segment: new Segment(grant), leaves })
    return true
  }

  /** Why it does not count, or null. */
  receipt(receipt: Receipt): string | null {
    const session = this.#sessions.get(receipt.sessionId)
    const of = session?.segments.find(({ segment }) => segment.grant.revision === receipt.revision)
    return of === undefined ? 'the receipt is of a session that is over, or never was' : of.segment.add(receipt)
  }

  close(sessionId: SessionId, failure: FailureSeenBy | null, nowMs: number): void {
    const session = this.#sessions.get(sessionId)
    if (session === undefined || session.waitsUntilMs !== null) return
    session.failure = failure
    session.waitsUntilMs = nowMs + RECEIPT_WAIT_MS
    this.#closing.set(sessionId, session)
  }

  /** What is wanted of peers, and the sessions that nothing more is waited for. They are forgotten here. */
  due(nowMs: number): { readonly asks: readonly Ask[]; readonly decided: readonly TrackedSession[] } {
    const asks: Ask[] = []
    const decided: TrackedSession[] = []
    for (const [sessionId, session] of this.#closing) {
      const isLate = nowMs >= (session.waitsUntilMs ?? 0)
      const missing = missingOf(session)
      const isWaiting = session.rounds === 0 ? session.segments.some(({ segment }) => segment.unfinished.length > 0) : missing.length > 0
      if (isWaiting && !isLate) continue
      if (missing.length > 0 && session.rounds < ASK_ROUNDS) {
        session.rounds++
        session.waitsUntilMs = nowMs + RECEIPT_WAIT_MS
        asks.push(...missing)
      } else {
        this.#closing.delete(sessionId)
        this.#sessions.delete(sessionId)
        decided.push(session)
      }
    }
    return { asks, decided }
  }
}

function newest({ segments }: OpenSession): Segment {
  return required(segments.at(-1), 'the first segment of a session').segment
}

function missingOf({ opened, segments }: OpenSession): Ask[] {
  const { sessionId } = opened.grant
  return segments.flatMap(({ segment }) =>
    missingReceipts(segment).map((missing) => ({ ...missing, sessionId, revision: segment.grant.revision })),
  )
}
