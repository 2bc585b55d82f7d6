/** Bounds and periods of accounts, holds and settlements, each with its reason. */

/** Receipts of one peer: one every 256 positions of a session and one at its end, for tens of sessions at once; each costs a signature's check. */
export const RECEIPT_RATE = { perSecond: 20, burst: 200 } as const

/** Admissions of one peer whose hold is not posted yet: it may have four sessions, and each hold is a line for good. */
export const HOLDS_PENDING_MAX = 4
/** The same of one API key, whose clients may be many. */
export const HOLDS_PENDING_OF_KEY_MAX = 64
/** An admission waits that long for the store; clients give up after 20 s. */
export const STORE_WAIT_MS = 10_000
/** Sessions that not everybody may serve or audit: their results may be audited for the rule's 24 hours. */
export const POLICY_KEPT_MS = 26 * 3_600_000
/** Two hundred bytes each. */
export const POLICIES_MAX = 100_000
/** What a requester is told to wait when the store does not answer. */
export const RETRY_STORE_MS = 5_000

/** Who has left is remembered as a part of sessions: their grants live for two hours, their settlements a minute longer. */
export const PEER_KEPT_MS = 3 * 3_600_000
/** Of those who have left; the oldest are forgotten first, whose sessions then pay nobody for them. */
export const PEERS_GONE_MAX = 50_000

/** How often those are looked for. */
export const PEERS_CHECK_MS = 60_000

/** After a failure of the store what must be written is tried again; the wait doubles up to the second. */
export const RETRY_FIRST_MS = 250
export const RETRY_LAST_MS = 30_000

/** Trust is written at most that often: a process that dies loses a second of it. */
export const TRUST_SAVE_MS = 1_000
/** A peer is told of its balance at most that often. */
export const BALANCE_MS = 1_000
/** All peers are told of the ledger's head at most that often: a fork is noticed so much later. */
export const HEAD_MS = 30_000
/** Of accounts whose balances are read at once: pages wait for none of them. */
export const BALANCES_AT_ONCE = 16

/** Of one peer's requests for statements: each sums up a month in the store. A year of a busy account is a few hundred. */
export const STATEMENT_RATE = { perSecond: 2, burst: 20 } as const
/** Of all peers: holds come first. */
export const STATEMENTS_AT_ONCE = 4
/** What a peer is told to wait when there are more. */
export const RETRY_REQUEST_MS = 1_000

/** Of one peer's other requests about its account: what a person does on a page. */
export const ACCOUNT_RATE = { perSecond: 1, burst: 20 } as const
/** Of all peers: each is a few rows, and each new connection of a browser has one. */
export const ACCOUNTS_AT_ONCE = 32

/** How often the day's work is looked for: whoever runs for months begins each day soon. */
export const CHORES_MS = 3_600_000
/** On a shared database a hold of that age was left by a coordinator that is gone: no grant lives as long. */
export const HOLD_LEFT_MS = 4 * 3_600_000
/** There, escrow that has waited so much longer than the rule's time was left by one, too. */
export const ESCROW_LEFT_MS = 3_600_000

/** Between two canaries, in the middle: each takes a place in the swarm, and a minute of the coordinator's processor. */
export const CANARY_GAP_MS = 30_000
/** A peer that was in no canary's chain by then is not the one that is chosen, and its results wait for the rule. */
export const CANARY_WANTED_MS = 3_600_000
/** In doubt at once: one canary answers for all stages of its chain. */
export const CANARY_WANTED_PEERS_MAX = 1_000

/** Micro-credits that the reserve is filled up to once a day: what failed answers may cost the operator. */
export const RESERVE_A_DAY = 100_000_000n
