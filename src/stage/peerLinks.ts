/**
 * PeerLinks: the links of one stage host, each shared by all sessions between the two peers. Those that were dialed here are closed when no session
 * has used them for a while; those that others opened stay until they close them, or until too many others are of no use either.
 */

import { type Dial, encodeFrame, type Frame, type Link, type LinkClosed, type LinkKind } from '../protocol/index.ts'
import type { CancelTimer, Clock, PeerId } from '../shared/index.ts'

/** How long an unused link stays for the next session. */
const LINK_KEEP_MS = 5 * 60_000

/**
 * Links of others that no session uses: half as many as a page takes, so that whoever dials many and opens nothing keeps nobody out. A driver opens its
 * session right after its link, and comes back to it with its next question.
 */
export const UNUSED_LINKS_MAX = 24

/**
 * Statistics of a link are asked for at most this often: `getStats` of a busy peer connection takes its threads about a millisecond, just when
 * the rows of a lap are to leave. Wanted of them is the kind of path, which an open connection seldom changes.
 */
const STATS_AGE_MAX_MS = 5_000

export class PeerLink {
  readonly #link: Link
  readonly #clock: Clock
  readonly #dialed: boolean
  readonly #owner: PeerLinkOwner
  readonly #users = new Set<unknown>()
  #open = true
  #cancelKeep: CancelTimer | null = null
  #kind: LinkKind | null = null
  #askedKind: { readonly kind: Promise<LinkKind>; readonly atMs: number } | null = null

  constructor(link: Link, options: { readonly clock: Clock; readonly dialed: boolean; readonly owner: PeerLinkOwner }) {
    this.#link = link
    this.#clock = options.clock
    this.#dialed = options.dialed
    this.#owner = options.owner
  }

  get peerId(): PeerId {
    return this.#link.peerId
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Returns how many bytes the frame takes on the wire. */
  send(frame: Frame, priority: 'data' | 'urgent' = 'data'): number {
    const bytes = encodeFrame(frame)
    const { byteLength } = bytes
    this.#owner.onSent(byteLength)
    this.#link.send(bytes, priority)
    return byteLength
  }

  /** The kind of path, as it was lately; a promise before it is known, which rejects where the link ends. */
  kind(): LinkKind | Promise<LinkKind> {
    const nowMs = this.#clock.nowMs()
    let asked = this.#askedKind
    if (asked === null || nowMs - asked.atMs > STATS_AGE_MAX_MS) {
      asked = { kind: this.#askKind(), atMs: nowMs }
      this.#askedKind = asked
      // Who waits hears of it; nobody does where it is known already.
      asked.kind.catch(() => undefined)
    }
    return this.#kind ?? asked.kind
  }

  async #askKind(): Promise<LinkKind> {
    const { kind } = await this.#link.stats()
    this.#kind = kind
    return kind
  }

  close(closed: LinkClosed): void {
    this.#link.close(closed)
  }

  use(user: unknown): void {
    this.#cancelKeep?.()
    this.#cancelKeep = null
    this.#users.add(user)
    this.#owner.onUsed(this)
  }

  release(user: unknown): void {
    this.#users.delete(user)
    if (!this.#open || this.#users.size > 0) return
    if (!this.#dialed) return this.#owner.onUnused(this)
    this.#cancelKeep?.()
    this.#cancelKeep = this.#clock.after(LINK_KEEP_MS, () => this.close({ reason: 'local', detail: 'not used any more' }))
  }

  /** The link has ended. */
  ended(): void {
    this.#open = false
    this.#cancelKeep?.()
  }
}

interface PeerLinkOwner {
  onSent(bytes: number): void
  onUsed(link: PeerLink): void
  /** No session uses it any more; not called of links that were dialed here. */
  onUnused(link: PeerLink): void
}

export interface PeerLinkEvents {
  onFrame(link: PeerLink, bytes: Uint8Array): void
  /** Called once for each link; it is out of the table already. */
  onClose(link: PeerLink, closed: LinkClosed): void
}

export class PeerLinks {
  readonly #dial: Dial
  readonly #clock: Clock
  readonly #events: PeerLinkEvents
  readonly #links = new Map<Link, PeerLink>()
  readonly #dialing = new Map<PeerId, Promise<PeerLink>>()
  /** Of those that others opened; unused for the longest first. */
  readonly #unused = new Set<PeerLink>()
  readonly #owner: PeerLinkOwner = {
    onSent: (bytes) => {
      this.#bytesSent += bytes
    },
    onUsed: (link) => this.#unused.delete(link),
    onUnused: (link) => this.#addUnused(link),
  }
  #bytesSent = 0

  constructor(options: { readonly dial: Dial; readonly clock: Clock; readonly events: PeerLinkEvents }) {
    this.#dial = options.dial
    this.#clock = options.clock
    this.#events = options.events
  }

  /** Bytes of frames handed to links, of all that ever were. */
  get bytesSent(): number {
    return this.#bytesSent
  }

  /** Takes a link that another peer opened. */
  add(link: Link): void {
    this.#adopt(link, false)
  }

  /** A link to the peer, one that is open already or a new one. Rejects as `Dial` does. */
  connect(peerId: PeerId): Promise<PeerLink> {
    for (const link of this.#links.values()) if (link.peerId === peerId) return Promise.resolve(link)
    const known = this.#dialing.get(peerId)
    if (known !== undefined) return known
    const dialing = this.#dial(peerId)
      .then((link) => this.#adopt(link, true))
      .finally(() => this.#dialing.delete(peerId))
    this.#dialing.set(peerId, dialing)
    return dialing
  }

  #addUnused(link: PeerLink): void {
    this.#unused.delete(link)
    this.#unused.add(link)
    const [oldest] = this.#unused
    if (oldest === undefined || this.#unused.size <= UNUSED_LINKS_MAX) return
    this.#unused.delete(oldest)
    oldest.close({ reason: 'local', detail: 'others wait for a link, and no session uses this one' })
  }

  #adopt(link: Link, dialed: boolean): PeerLink {
    const known = this.#links.get(link)
    if (known !== undefined) return known
    const peerLink = new PeerLink(link, { clock: this.#clock, dialed, owner: this.#owner })
    this.#links.set(link, peerLink)
    if (!dialed) this.#owner.onUnused(peerLink)
    link.listen({
      onFrame: (bytes) => this.#events.onFrame(peerLink, bytes),
      onClose: (closed) => {
        this.#links.delete(link)
        this.#unused.delete(peerLink)
        peerLink.ended()
        this.#events.onClose(peerLink, closed)
      },
    })
    return peerLink
  }
}
