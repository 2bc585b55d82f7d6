/** Bounds of the coordinator's sockets and requests, each with its reason. */

/** From the challenge to a valid `identify`, rule C1. */
export const IDENTIFY_DEADLINE_MS = 10_000
/** Sockets that have not identified yet: a burst of tabs after a restart, not a flood. */
export const UNIDENTIFIED_MAX = 256
/** Of one address: a person with many tabs, or a household behind one router; the rest of the door stays open for others. */
export const UNIDENTIFIED_PER_ADDRESS_MAX = 64
/** ws cuts off beyond this; up to it the client is told why. */
export const RECEIVE_BYTES_MAX = 1024 * 1024
/** A client that reads so slowly that this much waits for it is cut off: a few of the largest summaries. */
export const SEND_BUFFER_BYTES_MAX = 4 * 1024 * 1024

/** Control messages of one socket: a busy volunteer sends about two a second. */
export const CONTROL_RATE = { perSecond: 50, burst: 200 } as const
/** Signalling messages of one socket: an offer and a dozen candidates for each of up to 64 links at once. */
export const SIGNAL_RATE = { perSecond: 100, burst: 1_000 } as const
/** An SDP of one data channel is about 1 KB. */
export const SIGNAL_BYTES_MAX = 64 * 1024
/** Held for a peer whose signalling socket is about to come; then the sender is told that nobody is there. */
export const SIGNAL_HOLD_MS = 5_000
export const SIGNALS_HELD_MAX = 64

/** How often the core is told that time has passed. */
export const TICK_MS = 250
/** A socket that does not answer the closing handshake by then is cut. */
export const CLOSE_GRACE_MS = 1_000
/** One read of a model file: large enough to be fast, small enough for thousands of downloads at once. */
export const FILE_CHUNK_BYTES = 512 * 1024
/** TCP connections at once: every tab holds two sockets and a few for HTTP. */
export const CONNECTIONS_MAX = 8_192
