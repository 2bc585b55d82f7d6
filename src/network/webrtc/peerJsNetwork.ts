/**
 * PeerJsNetwork: authenticated links to other peers over WebRTC, one a peer. Dials, answers, and decides when both dial at
 * once: the offer of the lower id counts. Who dialed a link adds lanes to it while large frames are sent. Signalling: signaller.ts;
 * trust: handshake.ts; lanes: stripedChannel.ts.
 */

import type { Link } from '../../protocol/index.ts'
import { type Clock, type PeerId, type Sha256, type Signer, TabswarmError, type VerifySignature } from '../../shared/index.ts'
import type { ByteChannel } from '../channel.ts'
import type { ChannelLink } from '../channelLink.ts'
import { authenticate, prove, type Role } from '../handshake.ts'
import { LINKS_MAX, PENDING_HANDSHAKES_MAX } from '../limits.ts'
import { SharedDial } from '../sharedDial.ts'
import { LANES_MAX, StripedChannel } from '../stripedChannel.ts'
import type { FrameConnection } from './frameConnection.ts'
import { RtcChannel } from './rtcChannel.ts'
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
  readonly dial: SharedDial<ChannelLink>
  readonly settle: (outcome: ChannelLink | TabswarmError) => void
  /** The connection being tried; null before the offer, and when the other side's offer has taken its place. */
  connection: FrameConnection | null
}

interface OpenLink {
  readonly link: ChannelLink
  readonly channel: StripedChannel
  readonly role: Role
  /** A lane is being added, or could not be: then the link stays as it is. */
  isWidening: boolean
}

export class PeerJsNetwork implements PeerNetwork {
  readonly #options: PeerJsNetworkOptions
  readonly #signaller: Signaller
  readonly #links = new Map<PeerId, OpenLink>()
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
    return this.#links.get(peerId)?.link ?? null
  }

  async dial(peerId: PeerId, signal?: AbortSignal): Promise<Link> {
    const open = this.#links.get(peerId)
    if (open !== undefined) return open.link
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
    for (const { link } of [...this.#links.values()]) link.close()
    this.#signaller.destroy()
  }

  #begin(peerId: PeerId): Attempt {
    if (this.#links.size + this.#dials.size >= LINKS_MAX)
      throw new TabswarmError('too-many-links', `${LINKS_MAX} links are open already; close one before dialing peer ${peerId}`)
    const dial = new SharedDial<ChannelLink>(peerId, () => this.#fail(peerId, 'cancelled', 'nobody waits for it any more'))
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
    if (this.#links.size >= LINKS_MAX && !this.#links.has(from)) return false
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
  async #establish(peerId: PeerId, connection: FrameConnection, role: Role, withinMs: number): Promise<ChannelLink> {
    const { clock } = this.#options
    const { link, channel } = await openChannel({ connection, clock, peerId, withinMs }, async (opened) => {
      const channel = new StripedChannel(opened, { onLarge: () => this.#widen(peerId) })
      const options = { ...this.#options, role, expectedPeerId: peerId, onEnd: (ended: Link) => this.#forget(ended) }
      return { channel, link: await authenticate(channel, options) }
    })
    if (link.closed || this.#destroyed) {
      link.close()
      throw new TabswarmError('unreachable', `peer ${peerId} closed the connection at once`)
    }
    this.#links.get(peerId)?.link.close({ reason: 'lost', detail: 'a newer connection to this peer took its place' })
    this.#links.set(peerId, { link, channel, role, isWidening: false })
    return link
  }

  /** The link to the peer if this side has `role` in it and a lane may be added now. */
  #widenable(peerId: PeerId, role: Role): OpenLink | null {
    const open = this.#links.get(peerId)
    return open?.role === role && !open.isWidening && open.channel.laneCount < LANES_MAX ? open : null
  }

  #widen(peerId: PeerId): void {
    const open = this.#widenable(peerId, 'dialer')
    // A listener that is not done with the lane before drops the offer of the next.
    if (open?.channel.isSettled !== true) return
    const connection = this.#signaller.connect(peerId, 'lane')
    // Without the signalling server the next large frame asks again.
    if (connection !== null) this.#addLane(peerId, open, connection)
  }

  #answerLane(from: PeerId, connection: FrameConnection): void {
    const open = this.#widenable(from, 'listener')
    if (open === null) connection.close()
    else this.#addLane(from, open, connection)
  }

  #addLane(peerId: PeerId, open: OpenLink, connection: FrameConnection): void {
    const { clock } = this.#options
    const { role, channel } = open
    open.isWidening = true
    openChannel({ connection, clock, peerId, withinMs: DIAL_DEADLINE_MS }, (lane) =>
      prove(lane, { ...this.#options, role, expectedPeerId: peerId }, (backlog) => channel.addLane(lane, backlog)),
    ).then(
      () => {
        open.isWidening = false
      },
      // The link works without it, and stays as it is.
      () => undefined,
    )
  }

  #forget(link: Link): void {
    if (this.#links.get(link.peerId)?.link === link) this.#links.delete(link.peerId)
  }
}

/** Resolves when both descriptions are set: Chromium may open a data channel while the answer is still being applied. */
function whenStable(connection: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (connection.signalingState !== 'stable') return
      connection.removeEventListener('signalingstatechange', check)
      resolve()
    }
    connection.addEventListener('signalingstatechange', check)
    check()
  })
}

/** Waits for the data channel and for its connection's descriptions, and hands it to `use`. */
function openChannel<Value>(
  { connection, clock, peerId, withinMs }: { connection: FrameConnection; clock: Clock; peerId: PeerId; withinMs: number },
  use: (channel: ByteChannel) => Promise<Value>,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    let channel: RtcChannel | null = null
    let ended = false
    const unreachable = (detail: string) => reject(new TabswarmError('unreachable', `peer ${peerId} cannot be reached: ${detail}`))
    const cancelDeadline = clock.after(withinMs, () => connection.close())
    connection.listen({
      onOpen: (dataChannel, peerConnection, early) => {
        const opened = new RtcChannel({ connection: peerConnection, dataChannel, clock, early, destroy: () => connection.close() })
        void whenStable(peerConnection).then(() => {
          if (opened.closed || ended) return
          cancelDeadline()
          channel = opened
          use(opened).then(resolve, reject)
        })
      },
      onEnd: (reason) => {
        cancelDeadline()
        ended = true
        if (channel === null) unreachable('the connection could not be made; a firewall or two networks may lie between')
        else channel.handleEnd(reason)
      },
    })
  })
}
