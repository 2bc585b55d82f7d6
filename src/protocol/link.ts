/**
 * Link: an authenticated, reliable, ordered way to one peer, whatever carries it (WebRTC, relay, memory, a port into a
 * worker). Implementations live in network/ and pass one acceptance suite. A link carries whole frames as bytes; who
 * receives them decodes with `decodeFrame`.
 */

import type { PeerId } from '../shared/index.ts'

export type LinkKind = 'webrtc' | 'turn' | 'relay' | 'memory'

export interface LinkStats {
  readonly kind: LinkKind
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Smoothed, milliseconds; null before the first measurement. */
  readonly roundTripMs: number | null
}

/** Why a link ended. `garbage`: the peer broke the protocol and `detail` says which rule. */
export interface LinkClosed {
  readonly reason: 'local' | 'remote' | 'lost' | 'garbage' | 'overflow' | 'handshake-failed'
  readonly detail: string
}

export interface LinkHandlers {
  /** One whole frame of at most FRAME_BYTES_MAX; the receiver owns the bytes. */
  readonly onFrame: (frame: Uint8Array) => void
  /** Called once; nothing follows it. */
  readonly onClose: (closed: LinkClosed) => void
}

export interface Link {
  readonly peerId: PeerId
  /** Installs the receiver; frames that came before wait (bounded) and are delivered in order. Once a link. */
  listen(handlers: LinkHandlers): void
  /**
   * Queues one frame. `urgent` frames (cancel, truncate, failed) overtake queued data. Gives up ownership of the bytes.
   * The queue is bounded in bytes: beyond it the link closes with `overflow`, since a sender that respects windows never
   * gets there. Sending on a closed link is ignored: `onClose` has told.
   */
  send(frame: Uint8Array, priority?: 'data' | 'urgent'): void
  stats(): Promise<LinkStats>
  close(closed?: LinkClosed): void
}

/** Dials a peer (or returns the open link to it). Rejects with TabswarmError `unreachable`, within the adapter's deadline. */
export type Dial = (peerId: PeerId, signal?: AbortSignal) => Promise<Link>
