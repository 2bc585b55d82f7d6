/** A ByteChannel over an open RTCDataChannel: frames go straight to it, PeerJS only connected it. */

import type { LinkKind, LinkStats } from '../../protocol/index.ts'
import { type Clock, fromHex, TabswarmError } from '../../shared/index.ts'
import { type ByteChannel, CHANNEL_LOW_BYTES, type ChannelBinding, type ChannelHandlers } from '../channel.ts'

/** How long a closing data channel may flush before its connection is torn down: a peer that has gone never acknowledges. */
const FLUSH_MS = 2_000

export interface RtcChannelParts {
  readonly connection: RTCPeerConnection
  readonly dataChannel: RTCDataChannel
  readonly clock: Clock
  /** What came before the channel was told open, in order. */
  readonly early: readonly MessageEvent[]
  /** Tears down the peer connection, and PeerJS's record of it. */
  readonly destroy: () => void
}

/** Messages that may come before anybody listens: a handshake's first ones. */
const EARLY_MESSAGES_MAX = 8

/** Made when the data channel opens; usable once the connection's signalling is stable, see `binding`. */
export class RtcChannel implements ByteChannel {
  readonly #parts: RtcChannelParts
  #binding: ChannelBinding | null = null
  #handlers: ChannelHandlers | null = null
  #early: Uint8Array[] = []
  #closed = false
  #lastStats: LinkStats = { kind: 'webrtc', bytesSent: 0, bytesReceived: 0, roundTripMs: null }

  constructor(parts: RtcChannelParts) {
    const { dataChannel } = parts
    this.#parts = parts
    dataChannel.binaryType = 'arraybuffer'
    dataChannel.bufferedAmountLowThreshold = CHANNEL_LOW_BYTES
    dataChannel.addEventListener('message', (event) => this.#receive(event.data))
    for (const { data } of parts.early) this.#receive(data)
    dataChannel.addEventListener('bufferedamountlow', () => this.#handlers?.onLow())
  }

  /**
   * Throws TabswarmError `handshake-failed` where the connection's SDP does not tell one certificate for each side; so also
   * before both descriptions are set, and a data channel may open before that.
   */
  get binding(): ChannelBinding {
    const { connection } = this.#parts
    this.#binding ??= {
      localFingerprint: fingerprintOf(connection.localDescription),
      remoteFingerprint: fingerprintOf(connection.remoteDescription),
    }
    return this.#binding
  }

  get closed(): boolean {
    return this.#closed
  }

  bufferedBytes(): number {
    return this.#parts.dataChannel.bufferedAmount
  }

  listen(handlers: ChannelHandlers): void {
    this.#handlers = handlers
    for (const bytes of this.#early.splice(0)) handlers.onMessage(bytes)
  }

  send(bytes: Uint8Array): void {
    this.#parts.dataChannel.send(bytes as Uint8Array<ArrayBuffer>)
  }

  /** Once the connection has gone: the last statistics known. */
  async stats(): Promise<LinkStats> {
    if (!this.#closed) this.#lastStats = readStats(await this.#parts.connection.getStats(), this.#lastStats)
    return this.#lastStats
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers = null
    this.#parts.dataChannel.close()
    const cancel = this.#parts.clock.after(FLUSH_MS, this.#parts.destroy)
    this.#parts.dataChannel.addEventListener('close', () => {
      cancel()
      this.#parts.destroy()
    })
  }

  /** For who watches the connection: it has ended, by the other side or by the network. */
  handleEnd(reason: 'remote' | 'lost'): void {
    this.#end(reason, reason === 'remote' ? 'the other side closed the connection' : 'the connection was lost')
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) this.#deliver(new Uint8Array(data))
    else this.#end('garbage', '[F4] a text message on a channel of frames')
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#handlers !== null) this.#handlers.onMessage(bytes)
    else if (this.#closed) return
    else if (this.#early.length < EARLY_MESSAGES_MAX) this.#early.push(bytes)
    else this.#end('garbage', '[H1] too many messages before the handshake began')
  }

  #end(reason: 'remote' | 'lost' | 'garbage', detail: string): void {
    if (this.#closed) return
    this.#closed = true
    const handlers = this.#handlers
    this.#handlers = null
    this.#parts.destroy()
    handlers?.onClose({ reason, detail })
  }
}

/** SHA-256 of the certificate that the description allows; DTLS itself refuses any other. */
export function fingerprintOf(description: RTCSessionDescription | null): Uint8Array {
  const lines = [...(description?.sdp ?? '').matchAll(/^a=fingerprint:(\S+) ([0-9A-Fa-f:]+)\s*$/gm)]
  const distinct = new Set(lines.map(([, hash, value]) => `${hash?.toLowerCase()} ${value?.toLowerCase()}`))
  const [only, ...others] = distinct
  const hex = /^sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/.exec(only ?? '')?.[1]
  if (hex === undefined || others.length > 0)
    throw new TabswarmError('handshake-failed', `the connection names ${distinct.size} certificates; one SHA-256 fingerprint is needed`)
  return fromHex(hex.replaceAll(':', ''))
}

/** What getStats says of the one data channel and of the candidate pair in use; `before` where it says nothing. */
export function readStats(report: RTCStatsReport, before: LinkStats): LinkStats {
  const entries = new Map<string, Record<string, unknown>>()
  report.forEach((entry: Record<string, unknown>, id: string) => {
    entries.set(id, entry)
  })
  const all = [...entries.values()]
  const channel = all.find((entry) => entry.type === 'data-channel')
  const transport = all.find((entry) => entry.type === 'transport')
  // Firefox has no transport entry; its pair in use is marked `selected`.
  const pair =
    entries.get(String(transport?.selectedCandidatePairId)) ??
    all.find((entry) => entry.type === 'candidate-pair' && (entry.selected === true || entry.nominated === true))
  const ends = [entries.get(String(pair?.localCandidateId)), entries.get(String(pair?.remoteCandidateId))]
  const kind: LinkKind = ends.some((end) => end?.candidateType === 'relay') ? 'turn' : 'webrtc'
  const roundTripSeconds = numberOr(pair?.currentRoundTripTime, null)
  return {
    kind: pair === undefined ? before.kind : kind,
    bytesSent: numberOr(channel?.bytesSent, before.bytesSent),
    bytesReceived: numberOr(channel?.bytesReceived, before.bytesReceived),
    roundTripMs: roundTripSeconds === null ? before.roundTripMs : roundTripSeconds * 1000,
  }
}

function numberOr<Default>(value: unknown, otherwise: Default): number | Default {
  return typeof value === 'number' ? value : otherwise
}
