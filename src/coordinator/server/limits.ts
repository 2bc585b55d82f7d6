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

/** Requesters that the gateway's driver stands for: so many times a tab's sessions, places in the queue, repairs and messages. */
export const GATEWAY_SHARE = 64

/** How often the core is told that time has passed. */
export const TICK_MS = 250
/** A socket that does not answer the closing handshake by then is cut. */
export const CLOSE_GRACE_MS = 1_000
/** One read of a model file: large enough to be fast, small enough for thousands of downloads at once. */
export const FILE_CHUNK_BYTES = 512 * 1024
/** TCP connections at once: every tab holds two sockets and a few for HTTP. */
export const CONNECTIONS_MAX = 8_192

/** Relays at once: each holds at most two queues, so all of them together about 350 MB, and far less with peers that read. */
export const RELAYS_MAX = 512
/** Of one peer: a chain of several stages for each of some sessions at once. */
export const RELAYS_PER_PEER_MAX = 32
/** Both ends have opened their sockets by then, or the relay is given up. */
export const RELAY_JOIN_MS = 10_000
/** What may wait for an end of a relay before the other end is not read from: enough for a fast path, little enough for hundreds of them. */
export const RELAY_QUEUE_HIGH_BYTES = 64 * 1024
export const RELAY_QUEUE_LOW_BYTES = 16 * 1024
/** Of one direction of a relay: chunks of a prompt through a model of width 4,096, 500 rows a second in f16. */
export const RELAY_RATE = { bytesPerSecond: 4_000_000, burstBytes: 8_000_000 } as const
/** Of all relays together: they are the last resort, and share the line with everything else that the coordinator says. */
export const RELAY_TOTAL_RATE = { bytesPerSecond: 50_000_000, burstBytes: 50_000_000 } as const
/** A minute more than a driver keeps a link for its next question; a relay that nobody uses, or has a session for, ends then. */
export const RELAY_IDLE_MS = 6 * 60_000
/** How often that is looked at, and both ends pinged: proxies cut sockets that are silent for a minute. */
export const RELAY_CHECK_MS = 25_000
