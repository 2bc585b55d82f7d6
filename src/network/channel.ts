/**
 * ByteChannel: whole messages both ways over something that is connected and not yet trusted. The handshake authenticates it,
 * ChannelLink makes a Link of it. Adapters: webrtc/rtcChannel.ts, relay/sealedChannel.ts, memoryChannel.ts.
 */

import type { LinkStats } from '../protocol/index.ts'

/** What ties the handshake to this very channel: SHA-256 of both ends' DTLS certificates, or of a relay's ephemeral keys, 32 bytes each. */
export interface ChannelBinding {
  readonly localFingerprint: Uint8Array
  readonly remoteFingerprint: Uint8Array
}

/** `remote`: the other side closed it. `lost`: the network did. */
export interface ChannelClosed {
  readonly reason: 'remote' | 'lost' | 'garbage'
  readonly detail: string
}

export interface ChannelHandlers {
  /** One message; the receiver owns the bytes. */
  readonly onMessage: (bytes: Uint8Array) => void
  /** `bufferedBytes` has fallen to CHANNEL_LOW_BYTES or less. */
  readonly onLow: () => void
  /** Once, and only if the other side or the network closed it. */
  readonly onClose: (closed: ChannelClosed) => void
}

export interface ByteChannel {
  /** Bytes sent that the transport still holds. */
  bufferedBytes(): number
  /** Installs the receiver in place of the one before. */
  listen(handlers: ChannelHandlers): void
  /** Gives up ownership of the bytes. May throw when the transport is closing. */
  send(bytes: Uint8Array): void
  stats(): Promise<LinkStats>
  /** What was sent before still arrives, if it can. */
  close(): void
}

/** What the handshake runs over. */
export interface BoundChannel extends ByteChannel {
  readonly binding: ChannelBinding
}

/** Bytes of all lanes; the first one's path and round trip. */
export function sumStats([first, ...others]: readonly [LinkStats, ...LinkStats[]]): LinkStats {
  const sum = (bytes: (stats: LinkStats) => number) => others.reduce((total, stats) => total + bytes(stats), bytes(first))
  return { ...first, bytesSent: sum(({ bytesSent }) => bytesSent), bytesReceived: sum(({ bytesReceived }) => bytesReceived) }
}

/** Data waits above this: little enough that an urgent frame, which goes behind it, is not late; more than a fast path's flight. */
export const CHANNEL_HIGH_BYTES = 256 * 1024

/** And goes on from here, before the transport runs dry. */
export const CHANNEL_LOW_BYTES = 64 * 1024
