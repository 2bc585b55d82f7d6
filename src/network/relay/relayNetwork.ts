/**
 * RelayNetwork: links over the coordinator's relay, one a peer. Asks for them and answers them; the coordinator tells each end over its
 * control socket where to come. When to use one: ../linkNetwork.ts. Rules L1 … L8 of SPEC.md.
 */

import type { Link, ServerMessage } from '../../protocol/index.ts'
import { type Clock, type PeerId, type Sha256, type Signer, TabswarmError, type VerifySignature } from '../../shared/index.ts'
import type { ChannelLink } from '../channelLink.ts'
import { authenticate } from '../handshake.ts'
import { INCOMING_LINKS_MAX, LINKS_MAX, PENDING_HANDSHAKES_MAX } from '../limits.ts'
import type { RelaySocket } from './relaySocket.ts'
import { type SealedChannel, sealChannel } from './sealedChannel.ts'

/** From asking the coordinator to an authenticated link: a few round trips and two sockets. */
export const RELAY_DIAL_MS = 10_000

type RelayMessage = Extract<ServerMessage, { type: 'relay' }>

export interface RelayNetworkOptions {
  readonly signer: Signer
  readonly verify: VerifySignature
  readonly sha256: Sha256
  readonly subtle: SubtleCrypto
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  /** A socket at a path, with a query, of the coordinator's origin. */
  readonly openSocket: (path: string) => RelaySocket
  /** Asks the coordinator, and says up to which number this peer has heard of relays; false while the control socket is not online. */
  readonly request: (peerId: PeerId, heardOf: number) => boolean
  /** An authenticated link that the other side dialed. */
  readonly onIncoming: (link: Link) => void
}

interface Attempt {
  readonly settle: (outcome: ChannelLink | TabswarmError) => void
  /** Of the socket that is being joined, if it is. */
  readonly abort: AbortController
  /** Of the coordinator's last word: that of an attempt before may still come, about a relay that has been replaced. */
  token: string | null
}

export class RelayNetwork {
  readonly #options: RelayNetworkOptions
  readonly #links = new Map<PeerId, ChannelLink>()
  readonly #dials = new Map<PeerId, Attempt>()
  /** Relays of others that this peer is coming to. */
  readonly #incoming = new Map<PeerId, AbortController>()
  /** The number of the last relay that the coordinator told of. */
  #heardOf = 0
  #destroyed = false

  constructor(options: RelayNetworkOptions) {
    this.#options = options
  }

  linkTo(peerId: PeerId): Link | null {
    return this.#links.get(peerId) ?? null
  }

  /** A new link; one dial a peer at a time. Rejects with TabswarmError `unreachable`, `handshake-failed`, `too-many-links` or `cancelled`. */
  dial(peerId: PeerId, signal: AbortSignal): Promise<Link> {
    if (this.#links.size + this.#dials.size >= LINKS_MAX)
      return Promise.reject(new TabswarmError('too-many-links', `${LINKS_MAX} relayed links are open already; close one first`))
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#fail(peerId, 'cancelled', 'nobody waits for it any more')
      const cancelDeadline = this.#options.clock.after(RELAY_DIAL_MS, () =>
        this.#fail(peerId, 'unreachable', `no answer through the relay within ${RELAY_DIAL_MS / 1_000} s`),
      )
      const attempt: Attempt = {
        abort: new AbortController(),
        token: null,
        settle: (outcome) => {
          cancelDeadline()
          signal.removeEventListener('abort', onAbort)
          if (this.#dials.get(peerId) === attempt) this.#dials.delete(peerId)
          if (outcome instanceof TabswarmError) reject(outcome)
          else resolve(outcome)
        },
      }
      this.#dials.set(peerId, attempt)
      if (signal.aborted || this.#destroyed) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      if (!this.#options.request(peerId, this.#heardOf)) this.#fail(peerId, 'unreachable', 'this tab is not connected to the coordinator')
    })
  }

  /** The coordinator says where the relay is. */
  handleRelay(message: RelayMessage): void {
    if (this.#destroyed) return
    this.#heardOf = message.number
    if (message.role === 'dialer') this.#join(message)
    else this.#answer(message)
  }

  /** The coordinator gives no relay to that peer. */
  handleRefused(peerId: PeerId, message: string): void {
    this.#fail(peerId, 'unreachable', message)
  }

  destroy(): void {
    this.#destroyed = true
    for (const peerId of [...this.#dials.keys()]) this.#fail(peerId, 'cancelled', 'this peer is closing')
    for (const abort of this.#incoming.values()) abort.abort()
    for (const link of [...this.#links.values()]) link.close()
  }

  #join(message: RelayMessage): void {
    const attempt = this.#dials.get(message.peerId)
    if (attempt === undefined) return
    attempt.token = message.token
    this.#establish(message, attempt.abort.signal).then(attempt.settle, (error: TabswarmError) => {
      if (attempt.token === message.token) attempt.settle(error)
    })
  }

  #answer(message: RelayMessage): void {
    const { peerId } = message
    if (!this.#incoming.has(peerId) && this.#incoming.size >= PENDING_HANDSHAKES_MAX) return
    if (this.#links.size + this.#incoming.size >= INCOMING_LINKS_MAX && !this.#links.has(peerId) && !this.#incoming.has(peerId)) return
    this.#incoming.get(peerId)?.abort()
    const abort = new AbortController()
    this.#incoming.set(peerId, abort)
    const cancelDeadline = this.#options.clock.after(RELAY_DIAL_MS, () => abort.abort())
    this.#establish(message, abort.signal)
      .then(
        (link) => {
          this.#options.onIncoming(link)
          this.#dials.get(peerId)?.settle(link)
        },
        // Who dialed is told; a dial of this side has its own deadline.
        () => undefined,
      )
      .finally(() => {
        cancelDeadline()
        if (this.#incoming.get(peerId) === abort) this.#incoming.delete(peerId)
      })
  }

  /** From the coordinator's word to a link that is kept. Rejects with a TabswarmError, the socket closed. */
  async #establish({ peerId, role, path, token }: RelayMessage, signal: AbortSignal): Promise<ChannelLink> {
    const { clock, subtle, sha256, openSocket } = this.#options
    let channel: SealedChannel
    try {
      channel = await sealChannel(openSocket(`${path}?token=${encodeURIComponent(token)}`), { role, subtle, sha256, clock, signal })
    } catch (error) {
      throw unreachable(peerId, error instanceof TabswarmError ? error.message : String(error))
    }
    const onAbort = () => channel.close()
    signal.addEventListener('abort', onAbort, { once: true })
    const options = { ...this.#options, role, expectedPeerId: peerId, onEnd: (ended: Link) => this.#forget(ended) }
    const link = await authenticate(channel, options).finally(() => signal.removeEventListener('abort', onAbort))
    if (link.closed || signal.aborted || this.#destroyed) {
      link.close()
      throw unreachable(peerId, 'the relayed link was closed at once')
    }
    this.#links.get(peerId)?.close({ reason: 'lost', detail: 'a newer relayed link to this peer took its place' })
    this.#links.set(peerId, link)
    return link
  }

  #fail(peerId: PeerId, reason: string, detail: string): void {
    const attempt = this.#dials.get(peerId)
    if (attempt === undefined) return
    attempt.settle(new TabswarmError(reason, `peer ${peerId} cannot be reached through the relay: ${detail}`))
    attempt.abort.abort()
  }

  #forget(link: Link): void {
    if (this.#links.get(link.peerId) === link) this.#links.delete(link.peerId)
  }
}

function unreachable(peerId: PeerId, detail: string): TabswarmError {
  return new TabswarmError('unreachable', `peer ${peerId} cannot be reached through the relay: ${detail}`)
}
