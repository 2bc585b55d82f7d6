/**
 * PeerJsNetwork: authenticated links to other peers over WebRTC, one a peer. Dials, answers, and decides when both dial at
 * once: the offer of the lower id counts. Who dialed a link adds lanes to it while large frames are sent. Signalling: signaller.ts;
 * connections: rtcConnection.ts; trust: handshake.ts; links and their lanes: openLink.ts.
 */

import type { Link } from '../../protocol/index.ts'
import { type Clock, type PeerId, type Sha256, type Signer, TabswarmError, type VerifySignature } from '../../shared/index.ts'
import { prove, type Role } from '../handshake.ts'
import { INCOMING_LINKS_MAX, LINKS_MAX, PENDING_HANDSHAKES_MAX } from '../limits.ts'
import { SharedDial } from '../sharedDial.ts'
import { LANES_MAX } from '../stripedChannel.ts'
import type { FrameConnection } from './frameConnection.ts'
import { linkOver, type OpenLink } from './openLink.ts'
import { type Connected, connect, type FramePlace, type RtcConnection } from './rtcConnection.ts'
import { type ConnectionPurpose, type IceOptions, Signaller, type SignallingServer } from './signaller.ts'

/** From the call of `dial` to an authenticated link. */
const DIAL_DEADLINE_MS = 15_000

/**
 * A first try that takes longer is given up for a fresh one: browsers hide local addresses behind mDNS names, whose lookup gets
 * lost now and then. A connection over 500 ms of round trip is made in less.
 */
const FIRST_TRY_MS = 5_000

export interface PeerJsNetworkOptions {
  readonly peerId: PeerId
  readonly signalling: SignallingServer
  readonly ice: IceOptions
  readonly signer: Signer
  readonly verify: VerifySignature
  readonly sha256: Sha256
  readonly clock: Clock
  /** [0, 1), for backoff. */
  readonly random: () => number
  /** Cryptographically strong, for nonces. */
  readonly randomBytes: (count: number) => Uint8Array
  /** Where frames are handled. `worker`: each link is to be handed over (handOver.ts), and not to be used on the page. */
  readonly framePlace: FramePlace
  /** An authenticated link that the other side dialed; `dial` may return the same link later. */
  readonly onIncoming: (link: Link) => void
}

export interface PeerNetwork {
  linkTo(peerId: PeerId): Link | null
  /** The open link to the peer, or a new one. Rejects with TabswarmError `unreachable`, `handshake-failed`, `too-many-links` or `cancelled`. */
  dial(peerId: PeerId, signal?: AbortSignal): Promise<Link>
  /** For the next connection to the signalling server, after the control socket had to identify anew. */
  setSignalToken(token: string): void
  /** For connections from now on. */
  setIce(ice: IceOptions): void
  /** Closes every link and the signalling socket. */
  destroy(): void
}

interface Attempt {
  readonly dial: SharedDial
  readonly settle: (outcome: Link | TabswarmError) => void
  /** The connection being tried; null before the offer, and when the other side's offer has taken its place. */
  connection: FrameConnection | null
}

interface KeptLink {
  readonly open: OpenLink
  readonly role: Role
  /** A lane is being added, or could not be: then the link stays as it is. */
  isWidening: boolean
}

export class PeerJsNetwork implements PeerNetwork {
  readonly #options: PeerJsNetworkOptions
  readonly #signaller: Signaller
  readonly #links = new Map<PeerId, KeptLink>()
  readonly #dials = new Map<PeerId, Attempt>()
  /** Offers of others whose link is being made; a newer one of the same peer takes the older one's place. */
  readonly #incoming = new Map<PeerId, FrameConnection>()
  #destroyed = false

  constructor(options: PeerJsNetworkOptions) {
    this.#options = options
    this.#signaller = new Signaller({
      ...options,
      acceptOffer: (from, purpose) => this.#acceptOffer(from, purpose),
      onConnection: (from, connection, purpose) =>
        purpose === 'lane' ? this.#answerLane(from, connection) : this.#answer(from, connection),
      onUnknownPeer: (peerId) => this.#fail(peerId, 'unreachable', 'it is not connected to the coordinator any more'),
    })
  }

  linkTo(peerId: PeerId): Link | null {
    return this.#links.get(peerId)?.open.link ?? null
  }

  async dial(peerId: PeerId, signal?: AbortSignal): Promise<Link> {
    const kept = this.#links.get(peerId)
    if (kept !== undefined) return kept.open.link
    if (signal?.aborted === true || this.#destroyed) throw new TabswarmError('cancelled', `dialing peer ${peerId} was cancelled`)
    const attempt = this.#dials.get(peerId) ?? this.#begin(peerId)
    return attempt.dial.wait(signal)
  }

  setSignalToken(token: string): void {
    this.#signaller.setToken(token)
  }

  setIce(ice: IceOptions): void {
    this.#signaller.setIce(ice)
  }

  destroy(): void {
    this.#destroyed = true
    for (const peerId of [...this.#dials.keys()]) this.#fail(peerId, 'cancelled', 'this peer is closing')
    for (const { open } of [...this.#links.values()]) open.link.close()
    this.#signaller.destroy()
  }

  #begin(peerId: PeerId): Attempt {
    if (this.#links.size + this.#dials.size >= LINKS_MAX)
      throw new TabswarmError('too-many-links', `${LINKS_MAX} links are open already; close one before dialing peer ${peerId}`)
    const dial = new SharedDial(peerId, () => this.#fail(peerId, 'cancelled', 'nobody waits for it any more'))
    const cancelDeadline = this.#options.clock.after(DIAL_DEADLINE_MS, () =>
      this.#fail(peerId, 'unreachable', `no connection within ${DIAL_DEADLINE_MS / 1000} s; a firewall or two networks may lie between`),
    )
    const attempt: Attempt = {
      dial,
      connection: null,
      settle: (outcome) => {
        cancelDeadline()
        if (this.#dials.get(peerId) === attempt) this.#dials.delete(peerId)
        dial.settle(outcome)
      },
    }
    this.#dials.set(peerId, attempt)
    // An offer of theirs is on its way to a link: it will settle this attempt.
    if (!this.#incoming.has(peerId)) this.#signaller.whenOpen(() => this.#offer(peerId, attempt, FIRST_TRY_MS))
    return attempt
  }

  #offer(peerId: PeerId, attempt: Attempt, withinMs: number): void {
    if (this.#dials.get(peerId) !== attempt || this.#incoming.has(peerId)) return
    let connection: FrameConnection | null
    try {
      connection = this.#signaller.connect(peerId, 'frames')
    } catch (error) {
      // Chromium makes no more than 500 connections, closed ones that are not collected yet included.
      return attempt.settle(
        new TabswarmError('unreachable', `peer ${peerId} cannot be reached: the browser makes no connection: ${String(error)}`),
      )
    }
    if (connection === null) return this.#signaller.whenOpen(() => this.#offer(peerId, attempt, withinMs))
    attempt.connection = connection
    this.#establish(peerId, connection, 'dialer', withinMs).then(
      (link) => attempt.settle(link),
      (error: TabswarmError) => {
        // Not when the other side's offer has taken over, or nobody waits any more.
        if (attempt.connection !== connection || this.#dials.get(peerId) !== attempt) return
        if (withinMs === FIRST_TRY_MS && error.reason === 'unreachable') this.#offer(peerId, attempt, DIAL_DEADLINE_MS)
        else attempt.settle(error)
      },
    )
  }

  #fail(peerId: PeerId, reason: string, detail: string): void {
    const attempt = this.#dials.get(peerId)
    if (attempt === undefined) return
    const { connection } = attempt
    attempt.settle(new TabswarmError(reason, `peer ${peerId} cannot be reached: ${detail}`))
    connection?.close()
  }

  #acceptOffer(from: PeerId, purpose: ConnectionPurpose): boolean {
    if (this.#destroyed || from === this.#options.peerId) return false
    if (purpose === 'lane') return this.#widenable(from, 'listener') !== null
    if (!this.#incoming.has(from) && this.#incoming.size >= PENDING_HANDSHAKES_MAX) return false
    if (this.#links.size + this.#incoming.size >= INCOMING_LINKS_MAX && !this.#links.has(from) && !this.#incoming.has(from)) return false
    const dial = this.#dials.get(from)
    return dial === undefined || dial.connection === null || from < this.#options.peerId
  }

  #answer(from: PeerId, connection: FrameConnection): void {
    const dial = this.#dials.get(from)
    const mine = dial?.connection ?? null
    if (dial !== undefined) dial.connection = null
    mine?.close()
    const older = this.#incoming.get(from)
    this.#incoming.set(from, connection)
    older?.close()
    this.#establish(from, connection, 'listener', DIAL_DEADLINE_MS)
      .then(
        (link) => {
          this.#options.onIncoming(link)
          this.#dials.get(from)?.settle(link)
        },
        (error: TabswarmError) => {
          const waiting = this.#dials.get(from)
          if (waiting?.connection === null && this.#incoming.get(from) === connection) waiting.settle(error)
        },
      )
      .finally(() => {
        if (this.#incoming.get(from) === connection) this.#incoming.delete(from)
      })
  }

  /** From PeerJS's connection to a link that is kept. Rejects with a TabswarmError, everything torn down. */
  async #establish(peerId: PeerId, connection: FrameConnection, role: Role, withinMs: number): Promise<Link> {
    const { clock, framePlace: place } = this.#options
    const connected = await connect({ connection, clock, peerId, withinMs, place })
    const open = await this.#prove(peerId, connected, role, (rtc) =>
      linkOver(rtc, peerId, {
        clock,
        onLarge: (laneCount) => this.#widen(peerId, laneCount),
        onEnd: (ended) => this.#forget(ended),
      }),
    )
    const { link } = open
    if (link.closed || this.#destroyed) {
      link.close()
      throw new TabswarmError('unreachable', `peer ${peerId} closed the connection at once`)
    }
    this.#links.get(peerId)?.open.link.close({ reason: 'lost', detail: 'a newer connection to this peer took its place' })
    this.#links.set(peerId, { open, role, isWidening: false })
    return link
  }

  #prove<Value>(peerId: PeerId, { rtc, handshake }: Connected, role: Role, use: (rtc: RtcConnection) => Value): Promise<Value> {
    return prove(handshake, { ...this.#options, role, expectedPeerId: peerId }, (backlog) => {
      rtc.endHandshake(backlog)
      return use(rtc)
    })
  }

  /** The link to the peer if this side has `role` in it and a lane may be added now. */
  #widenable(peerId: PeerId, role: Role): KeptLink | null {
    const kept = this.#links.get(peerId)
    return kept?.role === role && !kept.isWidening && kept.open.laneCount < LANES_MAX ? kept : null
  }

  /** `laneCount`: of who wants another, which has not heard of the last one yet. */
  #widen(peerId: PeerId, laneCount: number): void {
    const kept = this.#widenable(peerId, 'dialer')
    if (kept?.open.laneCount !== laneCount) return
    const connection = this.#signaller.connect(peerId, 'lane')
    // Without the signalling server the next large frame asks again.
    if (connection !== null) this.#addLane(peerId, kept, connection)
  }

  #answerLane(from: PeerId, connection: FrameConnection): void {
    const kept = this.#widenable(from, 'listener')
    if (kept === null) connection.close()
    else this.#addLane(from, kept, connection)
  }

  #addLane(peerId: PeerId, kept: KeptLink, connection: FrameConnection): void {
    kept.isWidening = true
    this.#establishLane(peerId, kept, connection).then(
      () => {
        kept.isWidening = false
      },
      // The link works without it, and stays as it is.
      () => undefined,
    )
  }

  async #establishLane(peerId: PeerId, { open, role }: KeptLink, connection: FrameConnection): Promise<void> {
    const { clock } = this.#options
    const connected = await connect({ connection, clock, peerId, withinMs: DIAL_DEADLINE_MS, place: open.place })
    // Before the other side has this one's proof, and would use the lane.
    if (connected.rtc.place === open.place) await this.#prove(peerId, connected, role, (rtc) => open.addLane(rtc))
    else await connected.rtc.end()
  }

  #forget(link: Link): void {
    if (this.#links.get(link.peerId)?.open.link === link) this.#links.delete(link.peerId)
  }
}
