/**
 * Openings: `open` frames that came, until each is decided. Of one session one is looked at after the other, since driver and upstream
 * send the same grant and verifying takes a while; strangers can send any number, so all of it is bounded.
 */

import type { OpenFrame } from '../protocol/index.ts'
import { type PeerId, type SessionId, toErrorBody } from '../shared/index.ts'
import type { PeerLink } from './peerLinks.ts'
import type { Refusal } from './place.ts'

/** Sessions whose grants are being verified. */
const SESSIONS_MAX = 64

/** Of one session: driver and upstream each send one, now and then one more. */
const WAITING_MAX = 8

interface Waiting {
  count: number
  /** Who closed the session while its grant was being verified. */
  readonly closedBy: Set<PeerId>
  last: Promise<void>
}

export class Openings {
  readonly #decide: (link: PeerLink, frame: OpenFrame, closedBy: ReadonlySet<PeerId>) => Promise<void>
  readonly #sessions = new Map<SessionId, Waiting>()

  /** `decide` is called for one frame of a session after the other. */
  constructor(decide: (link: PeerLink, frame: OpenFrame, closedBy: ReadonlySet<PeerId>) => Promise<void>) {
    this.#decide = decide
  }

  add(link: PeerLink, frame: OpenFrame): void {
    const known = this.#sessions.get(frame.sessionId)
    if (known === undefined && this.#sessions.size >= SESSIONS_MAX) {
      refuse(link, frame, { reason: 'no-room', message: `${SESSIONS_MAX} grants are being verified here already` })
      return
    }
    const waiting = known ?? { count: 0, closedBy: new Set<PeerId>(), last: Promise.resolve() }
    this.#sessions.set(frame.sessionId, waiting)
    if (waiting.count >= WAITING_MAX) {
      link.close({ reason: 'garbage', detail: 'open is repeated too often' })
      return
    }
    waiting.count++
    waiting.last = waiting.last
      .then(() => this.#decide(link, frame, waiting.closedBy))
      .catch((error: unknown) => refuse(link, frame, { reason: 'internal', message: toErrorBody(error).message }))
      .finally(() => {
        waiting.count--
        if (waiting.count === 0) this.#sessions.delete(frame.sessionId)
      })
  }

  /** A `close` of a session that may not be open yet. */
  closed(sessionId: SessionId, by: PeerId): void {
    this.#sessions.get(sessionId)?.closedBy.add(by)
  }
}

export function refuse(link: PeerLink, frame: OpenFrame, { reason, message }: Refusal): void {
  link.send({ type: 'failed', sessionId: frame.sessionId, reason, message: message.slice(0, 1_000) }, 'urgent')
}
