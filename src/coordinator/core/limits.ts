/** Bounds and periods of the coordinator's core, each with its reason. */

import { SESSION_IDLE_MS } from '../../protocol/index.ts'

/** Sockets that one coordinator keeps: its summary and its plans are computed over all of them. */
export const PEERS_MAX = 1_000
/** Of one address block: who has a quarter of all places gives up such as serve, too, when all are taken. */
export const CROWD_MIN = PEERS_MAX / 4

/** Open sessions of one requester: enough for a few chats side by side, too few to take a swarm for oneself. */
export const SESSIONS_PER_REQUESTER_MAX = 4

export const PING_INTERVAL_MS = 2_000
/** Three pings unanswered: not chosen for new sessions. */
export const AWAY_AFTER_MS = 6_000
/** Who was reported lost by a session and answers no ping for this long is gone: it must not be chosen again, and its layers are needed. */
export const GHOST_MS = 3_000
/**
 * Suspicions by one driver's word: at once, or in vain and not yet forgotten. As many as a chain usually has stages, so that who sees one
 * fall apart is believed, and too few to hold a swarm away from others.
 */
export const SUSPICION_RATE = { perSecond: 1 / 15, burst: 4 } as const
/** Who has cleared itself is suspected no sooner than this: however many accuse it, it can be chosen most of the time. */
export const PROVEN_MS = 3_000
/** Repairs of one driver: all its sessions may break at once, each seven times in 6 s (rule R10). */
export const REPAIR_RATE = { perSecond: 1, burst: 24 } as const
/** How long a broken session waits while nobody is loading anything: a reloaded tab is back by then, and neighbors have begun (GROWTH_GRACE_MS). */
export const CHAIN_HOPELESS_MS = 12_000
/** A page that sleeps longer has lost its links too. */
export const DROP_AFTER_MS = 30_000

/** A tab that broke off may come back at once (a reload, a new device); only then do its neighbors load its layers. */
export const GROWTH_GRACE_MS = 5_000

/** Peers move for a better balance one after the other: a load takes seconds. One more at a time for each so many peers. */
export const MOVE_INTERVAL_MS = 10_000
export const PEERS_PER_MOVER = 20

/** A load without news for this long has failed: compiling the kernels in software takes a minute on a busy machine. */
export const LOAD_STALL_MS = 180_000
/** News of a load is that it has come so much further: at least that much in LOAD_STALL_MS, so in two hours at most. */
export const LOAD_STEP_MIN = 1 / 40
/** What a load takes by experience: 100 Mbit/s, as most homes have, and kernels to compile. */
export const LOAD_BYTES_PER_SECOND = 12.5e6
export const LOAD_PREPARE_MS = 20_000
/** Who is likely to need so many times as long still is not waited for: another, who begins then, is done before. */
export const LATE_FACTOR = 2
/** The rate of a download is known so long after its first bytes, no sooner. */
export const RATE_KNOWN_MS = 10_000
/** A stage that is lost so soon after the grant may have refused the session: dialing takes up to 3 s. */
export const REFUSED_MS = 5_000
/** How long a broken session waits while somebody loads layers: once a load that failed without a word, and a good one after it. */
export const CHAIN_REPAIR_MS = LOAD_STALL_MS + 60_000

/** A peer that failed this often is asked again only after it has pledged anew. */
export const FAILURES_MAX = 3
/** A peer over which a session failed is the last choice for so long; twice as long with each that fails until one is finished. */
export const AVOIDED_MS = 10_000
export const AVOIDED_MS_MAX = 600_000
/** Failures that are remembered of a peer, and for how long: what lies further apart has different causes. */
export const FAILURES_KEPT = 8
export const FAILURES_WITHIN_MS = 600_000
/** Who serves nobody for so long is given up: a crowd that finds no room comes within seconds. */
export const FAILURES_SPAN_MS = 10_000
/** Failures that one origin alone has to tell of: a session asks at most four times (rule R10), and then a person asks anew. */
export const FAILURES_BY_ONE_MIN = 3
/** A session that its driver says nothing bad about for so long is served: one that does not open is given up after 20 s. */
export const CARRIED_MS = 25_000
/** A driver to which more peers fail, without an answer meanwhile, has its own trouble: both ends of a hop may be blamed at once. */
export const ACCUSED_MAX = 2
/** A peer that is given up gets no layers for so long, doubled each time up to half an hour: others have loaded and served meanwhile. */
export const GIVEN_UP_MS = 60_000
export const GIVEN_UP_TIMES_MAX = 5
/** Reports are held against what is granted this often: what a session's end leaves open for a moment is gone by the next time. */
export const REPORTS_CHECK_INTERVAL_MS = 10_000
/** Wait after the first failure; doubles with each. */
export const FAILURE_BACKOFF_MS = 2_000
/** What is left of a pledge after a load that did not fit: drivers and browsers take their part. */
export const MISFIT_FACTOR = 0.8

/** KV positions of a stage where memory allows, and the least that is worth serving. */
export const KV_POSITIONS_WANTED = 8_192
export const KV_POSITIONS_MIN = 2_048
/** Engines reserve KV in blocks of this many positions. */
export const KV_BLOCK_POSITIONS = 32

/**
 * A session that no stage of its chain may hold for so long is over. Who was granted one opens it within 20 s, or gives up; stages free what
 * nothing is heard of after 60 s, and report that within seconds.
 */
export const UNHELD_MS = SESSION_IDLE_MS + 30_000

/** Life of a grant: 2,048 tokens at a third of a token a second. */
export const GRANT_LIFE_MS = 2 * 3_600_000
/** Sessions of a requester whose socket broke are counted as open for this long: it may come back and end them itself. */
export const ORPHAN_MS = 30_000

/** What a refused requester is told to wait: until sessions may have ended, and until tabs may have loaded. */
export const RETRY_BUSY_MS = 2_000
export const RETRY_LOADING_MS = 5_000

/** Requests that wait are tried again when something happens, this often at most, */
export const QUEUE_TRY_MS = 100
/** this long after a session has ended, for its stages hear of that from its driver, over a line that may be slow, */
export const ROOM_SETTLES_MS = 500
/** or when nothing was tried for so long, */
export const QUEUE_TRIED_AFTER_MS = 2_000
/** and are told when their place has changed. */
export const QUEUE_TELL_MS = 1_000
/** Of one requester. */
export const QUEUED_PER_REQUESTER_MAX = 16

/** A report of free KV may lack what has ended in so long before it: stages tell it with a delay. */
export const REPORT_SETTLES_MS = 1_000

/** Watchers get at most two summaries a second. */
export const SUMMARY_INTERVAL_MS = 500
/** 500 volunteers make a summary of about 150 KB; a message may have 256 KB. */
export const VOLUNTEERS_LISTED_MAX = 500

/** Round trip assumed between peers that were never measured: tabs of one continent, so that far ones get tried too. */
export const RTT_UNKNOWN_MS = 40

/** What each hop costs beside its way: framing, a message to the worker and one back. */
export const HOP_MS = 3

/** What a hop of a token takes, as placement reckons: half of a round trip between near peers, and the passing on. */
export const HOP_ASSUMED_MS = 13

/** Regions are found anew this often: peers do not travel. */
export const REGROUP_INTERVAL_MS = 30_000
