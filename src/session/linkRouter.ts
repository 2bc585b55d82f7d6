/**
 * LinkRouter: shares links between the sessions of one driver. A link has one receiver, a driver may run several sessions
 * through the same peer; this hands each frame to its session. Links no session has used for a while are closed.
 */

import { type Dial, decodeFrame, encodeFrame, type Frame, type Link, type LinkClosed, type LinkStats } from '../protocol/index.ts'
import type { CancelTimer, Clock, PeerId, SessionId } from '../shared/index.ts'

/** How long an unused link stays for the next question: connecting anew costs a second or so. */
export const LINK_KEEP_MS = 5 * 60_000

export interface RouteHandlers {
  onFrame(frame: Frame): void
  /** The link ended; the route is gone. */
  onClose(closed: LinkClosed): void
}

export interface Route {
  send(frame: Frame, priority?: 'data' | 'urgent'): void
  /** The peer broke a rule: closes the link for every session on it. */
  closeLink(detail: string): void
  detach(): void
}

interface RoutedLink {
  readonly link: Link
  readonly sessions: Map<SessionId, RouteHandlers>
  closed: boolean
  cancelKeep: CancelTimer | null
}

export class LinkRouter {
  readonly #dial: Dial
  readonly #clock: Clock
  readonly #links = new Map<PeerId, Promise<RoutedLink>>()

  constructor(options: { readonly dial: Dial; readonly clock: Clock }) {
    this.#dial = options.dial
    this.#clock = options.clock
  }

  /** The session's way to a peer, over a new link or one that is open. Rejects as `Dial` does. */
  async attach(peerId: PeerId, sessionId: SessionId, handlers: RouteHandlers): Promise<Route> {
    const routed = await this.#connect(peerId)
    routed.cancelKeep?.()
    routed.cancelKeep = null
    routed.sessions.set(sessionId, handlers)
    return {
      send: (frame, priority = 'data') => routed.link.send(encodeFrame(frame), priority),
      closeLink: (detail) => routed.link.close({ reason: 'garbage', detail }),
      detach: () => this.#detach(routed, sessionId, handlers),
    }
  }

  /** Of the link to that peer; null while there is none. */
  async stats(peerId: PeerId): Promise<LinkStats | null> {
    const routed = await this.#links.get(peerId)?.catch(() => null)
    return routed?.link.stats() ?? null
  }

  /** A dial under way is shared; a link that closed between the dial's end and now is dialed again, once. */
  async #connect(peerId: PeerId): Promise<RoutedLink> {
    const routed = await this.#connection(peerId)
    return routed.closed ? this.#connection(peerId) : routed
  }

  #connection(peerId: PeerId): Promise<RoutedLink> {
    const known = this.#links.get(peerId)
    if (known !== undefined) return known
    const connection = this.#dial(peerId).then((link) => this.#route(peerId, link))
    this.#links.set(peerId, connection)
    connection.catch(() => this.#forget(peerId, connection))
    return connection
  }

  #forget(peerId: PeerId, connection: Promise<RoutedLink> | null): void {
    if (connection === null || this.#links.get(peerId) === connection) this.#links.delete(peerId)
  }

  #route(peerId: PeerId, link: Link): RoutedLink {
    const routed: RoutedLink = { link, sessions: new Map(), closed: false, cancelKeep: null }
    link.listen({
      onFrame: (bytes) => {
        const frame = decodeFrame(bytes)
        if (!frame.ok) link.close({ reason: 'garbage', detail: frame.error })
        else routed.sessions.get(frame.value.sessionId)?.onFrame(frame.value)
      },
      onClose: (closed) => {
        routed.closed = true
        routed.cancelKeep?.()
        this.#forget(peerId, null)
        const receivers = [...routed.sessions.values()]
        routed.sessions.clear()
        for (const receiver of receivers) receiver.onClose(closed)
      },
    })
    return routed
  }

  #detach(routed: RoutedLink, sessionId: SessionId, handlers: RouteHandlers): void {
    if (routed.sessions.get(sessionId) === handlers) routed.sessions.delete(sessionId)
    if (routed.closed || routed.sessions.size > 0) return
    routed.cancelKeep?.()
    routed.cancelKeep = this.#clock.after(LINK_KEEP_MS, () => routed.link.close({ reason: 'local', detail: 'not used any more' }))
  }
}
