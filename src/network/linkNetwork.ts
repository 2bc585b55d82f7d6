/**
 * LinkNetwork: links to other peers by whatever path there is. A dial tries a direct connection (which may lead over a TURN server) and, when
 * that fails or takes too long, the coordinator's relay beside it; the first link counts. Direct: webrtc/peerJsNetwork.ts; relay:
 * relay/relayNetwork.ts.
 */

import type { Link } from '../protocol/index.ts'
import { type CancelTimer, type Clock, type PeerId, TabswarmError } from '../shared/index.ts'
import { SharedDial } from './sharedDial.ts'

/**
 * So long a direct connection is tried alone: its first try of five seconds, and one second of the next, in which most come about whose first
 * one got lost. Sooner, and pairs that could connect would burden the coordinator; later, and a question waits longer for nothing.
 */
export const RELAY_AFTER_MS = 6_000

/** To a peer that only the relay reached, it is asked for at once, for as long: a repaired session does not wait again. */
export const RELAY_MEMORY_MS = 5 * 60_000

/** Peers remembered: far more than a tab has links to. */
const REMEMBERED_MAX = 256

/** One way to make links. */
export interface Path {
  /** One that is open. */
  linkTo(peerId: PeerId): Link | null
  /** Rejects with a TabswarmError. */
  dial(peerId: PeerId, signal: AbortSignal): Promise<Link>
}

export interface LinkNetworkOptions {
  /** Null where the browser has no WebRTC. */
  readonly direct: Path | null
  readonly relay: Path
  readonly clock: Clock
  /** Whether the other side dialed the link, and it was handed over already. */
  readonly isIncoming: (link: Link) => boolean
}

export class LinkNetwork {
  readonly #options: LinkNetworkOptions
  readonly #dials = new Map<PeerId, SharedDial>()
  /** When the relay was the only way, by peer; oldest first. */
  readonly #relayedMs = new Map<PeerId, number>()

  constructor(options: LinkNetworkOptions) {
    this.#options = options
  }

  /** The open link to the peer, or a new one. Rejects with TabswarmError `unreachable`, `handshake-failed`, `too-many-links` or `cancelled`. */
  async dial(peerId: PeerId, signal?: AbortSignal): Promise<Link> {
    const { direct, relay } = this.#options
    const open = direct?.linkTo(peerId) ?? relay.linkTo(peerId)
    if (open !== null) return open
    if (signal?.aborted === true) throw new TabswarmError('cancelled', `dialing peer ${peerId} was cancelled`)
    return (this.#dials.get(peerId) ?? this.#begin(peerId)).wait(signal)
  }

  #begin(peerId: PeerId): SharedDial {
    const race = new Race(peerId, this.#options, this.#relayWaitMs(peerId))
    const forget = () => {
      if (this.#dials.get(peerId) === dial) this.#dials.delete(peerId)
    }
    const dial = new SharedDial(peerId, () => {
      // Who dials next, be it in the same turn, begins anew.
      forget()
      race.abandon()
    })
    this.#dials.set(peerId, dial)
    void race.run().then((outcome) => {
      forget()
      if (outcome instanceof TabswarmError) return dial.settle(outcome)
      this.#remember(peerId, outcome.isRelayed)
      dial.settle(outcome.link)
    })
    return dial
  }

  #relayWaitMs(peerId: PeerId): number {
    if (this.#options.direct === null) return 0
    const relayedMs = this.#relayedMs.get(peerId) ?? Number.NEGATIVE_INFINITY
    return this.#options.clock.nowMs() - relayedMs < RELAY_MEMORY_MS ? 0 : RELAY_AFTER_MS
  }

  #remember(peerId: PeerId, isRelayed: boolean): void {
    this.#relayedMs.delete(peerId)
    if (!isRelayed) return
    this.#relayedMs.set(peerId, this.#options.clock.nowMs())
    const [oldest] = this.#relayedMs.keys()
    if (this.#relayedMs.size > REMEMBERED_MAX && oldest !== undefined) this.#relayedMs.delete(oldest)
  }
}

interface Won {
  readonly link: Link
  readonly isRelayed: boolean
}

/** One dial over both paths. */
class Race {
  readonly #peerId: PeerId
  readonly #options: LinkNetworkOptions
  readonly #relayWaitMs: number
  readonly #stopDirect = new AbortController()
  readonly #stopRelay = new AbortController()
  readonly #errors: TabswarmError[] = []
  #cancelWait: CancelTimer = () => undefined
  #relayBegun = false
  #finished = false
  #finish: (outcome: Won | TabswarmError) => void = () => undefined

  constructor(peerId: PeerId, options: LinkNetworkOptions, relayWaitMs: number) {
    this.#peerId = peerId
    this.#options = options
    this.#relayWaitMs = relayWaitMs
  }

  /** The first link, or what failed last on both. */
  run(): Promise<Won | TabswarmError> {
    const outcome = new Promise<Won | TabswarmError>((resolve) => {
      this.#finish = (first) => {
        this.#finished = true
        resolve(first)
      }
    })
    const { direct, clock } = this.#options
    if (direct !== null)
      direct.dial(this.#peerId, this.#stopDirect.signal).then(
        (link) => this.#won({ link, isRelayed: false }),
        (error: TabswarmError) => this.#failed(error),
      )
    if (this.#relayWaitMs === 0) this.#relay()
    else this.#cancelWait = clock.after(this.#relayWaitMs, () => this.#relay())
    return outcome
  }

  /** Nobody waits any more. */
  abandon(): void {
    this.#finish(new TabswarmError('cancelled', `dialing peer ${this.#peerId} was cancelled`))
    this.#stop()
  }

  #relay(): void {
    if (this.#relayBegun) return
    this.#relayBegun = true
    this.#cancelWait()
    this.#options.relay.dial(this.#peerId, this.#stopRelay.signal).then(
      (link) => this.#won({ link, isRelayed: true }),
      (error: TabswarmError) => this.#failed(error),
    )
  }

  #won(won: Won): void {
    // The other path was first. Who dialed a link here may use it all the same.
    if (this.#finished && !this.#options.isIncoming(won.link)) won.link.close()
    this.#finish(won)
    this.#stop()
  }

  #stop(): void {
    this.#cancelWait()
    this.#relayBegun = true
    this.#stopDirect.abort()
    this.#stopRelay.abort()
  }

  /** Without a direct connection the relay is asked for at once. */
  #failed(error: TabswarmError): void {
    this.#errors.push(error)
    const isFinal = error.reason === 'too-many-links'
    if (!isFinal) this.#relay()
    const paths = this.#options.direct === null ? 1 : 2
    if (!isFinal && this.#errors.length < paths) return
    const [first] = this.#errors
    const message = this.#errors.map((each) => each.message).join('; ')
    this.#finish(new TabswarmError(first?.reason ?? 'unreachable', message))
    this.#stop()
  }
}
