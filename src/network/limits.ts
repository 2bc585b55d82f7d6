/** Bounds of a page's links, whatever carries them, each with its reason. */

/** A chain is at most 64 stages; browsers bear a few hundred connections a page, and a link has up to three. */
export const LINKS_MAX = 64

/** Of them, those that others dialed: a stage can always dial its neighbours. */
export const INCOMING_LINKS_MAX = 48

/** Connections that strangers have begun and not proven yet. */
export const PENDING_HANDSHAKES_MAX = 16
