/**
 * Openings: `open` frames that came, until each is decided. Of one session one is looked at after the other, since driver and upstream
 * send the same grant and verifying takes a while; strangers can send any number, so all of it is bounded, for each link and in all.
 */

import type { OpenFrame } from '../protocol/index.ts'
import { type PeerId, type SessionId, toErrorBody } from '../shared/index.ts'
import type { PeerLink } from './peerLinks.ts'
import type { Refusal } from './place.ts'

/** Sessions whose grants are being verified: as many as a stage serves. Each costs a frame or a few. */
const SESSIONS_MAX = 256

/** Frames of one link that wait: when a peer is replaced its neighbor opens all their sessions at once. Four such strangers are needed to fill all. */
const LINK_FRAMES_MAX = 64

/** Grants in a row that are none, after which a link is closed. Who is honest has verified what it passes on; it may have expired on the way. */
const BAD_GRANTS_MAX = 8

/** Of one session: driver and upstream each send one, now and then one more. */
const WAITING_MAX = 8

interface Waiting {
  count: number
  /** Who closed the session while its grant was being verified. */
  readonly closedBy: Set<PeerId>
  last: Promise<void>
}

/** Of one link. */
interface FromLink {
  frames: number
  badGrants: number
}

export class Openings {
  readonly #decide: (link: PeerLink, frame: OpenFrame, closedBy: ReadonlySet<PeerId>) => Promise<void>
  readonly #sessions = new Map<SessionId, Waiting>()
  readonly #links = new WeakMap<PeerLink, FromLink>()

  /** `decide` is called for one frame of a session after the other. */
  constructor(decide: (link: PeerLink, frame: OpenFrame, closedBy: ReadonlySet<PeerId>) => Promise<void>) {
    this.#decide = decide
  }

  add(link: PeerLink, frame: OpenFrame): void {
    const known = this.#sessions.get(frame.sessionId)
    const from = this.#of(link)
    if (from.frames >= LINK_FRAMES_MAX || (known === undefined && this.#sessions.size >= SESSIONS_MAX)) {
      const message = `${from.frames} grants of yours are being verified here already, of ${this.#sessions.size} sessions; try again`
      return refuse(link, frame, { reason: 'no-room', message })
    }
    const waiting = known ?? { count: 0, closedBy: new Set<PeerId>(), last: Promise.resolve() }
    this.#sessions.set(frame.sessionId, waiting)
    if (waiting.count >= WAITING_MAX) {
      link.close({ reason: 'garbage', detail: 'open is repeated too often' })
      return
    }
    waiting.count++
    from.frames++
    waiting.last = waiting.last
      .then(() => this.#decide(link, frame, waiting.closedBy))
      .catch((error: unknown) => refuse(link, frame, { reason: 'internal', message: toErrorBody(error).message }))
      .finally(() => {
        from.frames--
        waiting.count--
        if (waiting.count === 0) this.#sessions.delete(frame.sessionId)
      })
  }

  /** A grant has been verified: it is one, or why it is none. */
  verified(link: PeerLink, frame: OpenFrame, fault: string | null): void {
    const from = this.#of(link)
    from.badGrants = fault === null ? 0 : from.badGrants + 1
    if (fault !== null) refuse(link, frame, { reason: 'bad-grant', message: fault })
    if (from.badGrants >= BAD_GRANTS_MAX) link.close({ reason: 'garbage', detail: `${from.badGrants} grants in a row are none` })
  }

  /** A `close` of a session that may not be open yet. */
  closed(sessionId: SessionId, by: PeerId): void {
    this.#sessions.get(sessionId)?.closedBy.add(by)
  }

  #of(link: PeerLink): FromLink {
    const known = this.#links.get(link)
    if (known !== undefined) return known
    const from = { frames: 0, badGrants: 0 }
    this.#links.set(link, from)
    return from
  }
}

export function refuse(link: PeerLink, frame: OpenFrame, { reason, message }: Refusal): void {
  link.send({ type: 'failed', sessionId: frame.sessionId, reason, message: message.slice(0, 1_000) }, 'urgent')
}
