/** Bounds of the protocol, each with its reason. A value beyond its bound is refused by name, never clamped. */

/** Both sides must speak the same; a change of any frame, message or rule raises it. */
export const PROTOCOL_VERSION = 7

/** Chromium and libdatachannel both carry messages of 256 KiB; a frame is one message. */
export const FRAME_BYTES_MAX = 256 * 1024

/** Several frames in one message: few enough that the first does not wait for the last, and no lane is added for them (F19). */
export const BUNDLE_BYTES_MAX = 32 * 1024

/** JSON payloads of control frames: a grant of 64 stages is about 8 KB. */
export const CONTROL_PAYLOAD_BYTES_MAX = 64 * 1024

/** Rows of one RowsFrame. The driver cuts prompts smaller, so that a frame stays under FRAME_BYTES_MAX. */
export const ROWS_MAX = 512

/** Width of a residual row, in elements. 16,384 is Llama-3.1-405B's. */
export const WIDTH_MAX = 16_384

/** Candidates of one position. */
export const TOP_K_MAX = 256

/** A round trip that a peer tells. */
export const RTT_MS_MAX = 60_000

/** Tokens whose logits a row asks for beside its candidates: those that a client favours, or the next one of a prompt. What a dispatch of the head has room for. */
export const NAMED_TOKENS_MAX = 8

/** Rows that a last stage can compute once more for all their logits: a draft of 31, and the row before it. */
export const FETCHABLE_ROWS = 32

/** What the coordinator grants by default. */
export const TOP_K_DEFAULT = 128

/** Stages of one chain: more hops than this would answer slower than anybody reads. */
export const STAGES_MAX = 64

/** Positions of one session. */
export const POSITIONS_MAX = 1_048_576

/** Rows that an upstream may have outstanding at a stage: a few prompt chunks in flight. */
export const WINDOW_ROWS = 1_024

/** Bytes that a link holds for a slow peer before it gives up on it: WINDOW_ROWS rows of the widest model in f16, and as much again. */
export const LINK_QUEUE_BYTES_MAX = 64 * 1024 * 1024

/** A session without a frame for this long is closed by its stages. */
export const SESSION_IDLE_MS = 60_000

/** Lines of a statement in one message: about 30 KB, and more than a page shows at once. */
export const STATEMENT_LINES_MAX = 100

/** A control message on the coordinator's socket, JSON text. */
export const CONTROL_MESSAGE_BYTES_MAX = 256 * 1024

/** What a failed frame may say, in characters; longer texts are cut, so that reporting a failure never fails. */
export const FAILURE_MESSAGE_CHARACTERS_MAX = 1_000

/** Rows sent in a whole session, repeats and repairs included: what a `window` may announce. */
export const WINDOW_TOTAL_MAX = 2 ** 40

/** How often the chain of one session may be repaired: what a grant's `revision` may say. */
export const REVISIONS_MAX = 10_000

/** How long a stage keeps a session whose driver, upstream or downstream is gone: a replacement may have to load its layers first. */
export const REPAIR_WAIT_MS = 30_000

/**
 * A stage that is to load other layers ends a session that has computed nothing for so long: it waits for somebody, perhaps for who loads these
 * very layers. In software a prompt's chunk takes a stage 10 s.
 */
export const DRAIN_IDLE_MS = 15_000

/** How long a grant may live, from its issue: stages remember a grant's session until then. */
export const GRANT_LIFE_MS_MAX = 24 * 3_600_000

/** How long an account's word for a peer may live: a tab makes a new one whenever it connects. */
export const CERTIFICATE_LIFE_MS_MAX = 24 * 3_600_000

/** Multiply-accumulates a second that anybody may say of a device: ten times the fastest accelerator of 2026. */
export const MACS_PER_SECOND_MAX = 1e16

/** One message of a relay's socket: a frame, the kind of its record, and the tag of AES-GCM. */
export const RELAY_RECORD_BYTES_MAX = FRAME_BYTES_MAX + 1 + 16

/** Positions between two checkpoints: what a stage risks with a driver that vanishes, for 2 KB of receipts a stage. */
export const CHECKPOINT_POSITIONS = 256

/** Positions beyond the driver's last acknowledgement after which a stage stops serving it: what is in flight (WINDOW_ROWS), and a checkpoint. */
export const UNACKNOWLEDGED_POSITIONS_MAX = WINDOW_ROWS + CHECKPOINT_POSITIONS

/** Receipts of one peer in one segment: a checkpoint at each 256th of a million positions, each twice for truncations, and asked ones. */
export const RECEIPTS_MAX = 10_000

/** How far a receipt's time may be ahead: peers estimate coordinator time from messages that take a while. */
export const RECEIPT_AHEAD_MS_MAX = 10_000

/** A receipt's body in base64url: about 1,200 as peers write them, with every number at its longest 1,500. */
export const RECEIPT_CHARACTERS_MAX = 4_000

/** Rows of one audit over HTTP: a session of 8,192 positions of width 2,048 in f16, in and out. What is longer is not audited. */
export const AUDIT_BYTES_MAX = 64 * 1024 * 1024

/** How long a stage keeps the rows of a part that has ended: receipts are waited for 5 s, up to three times, and a challenge a minute. */
export const LOG_KEPT_MS = 60_000

/** Accounts of one answer to an operator: more than a page shows at once. */
export const ACCOUNTS_LISTED_MAX = 50

/** Lines of one answer with what proves them: some 10 KB each at most. */
export const PROVEN_LINES_MAX = 15

/** Hashes of one proof: two for each doubling of the longest ledger. */
export const PROOF_HASHES_MAX = 110

/** Records of one answer to an export: the last event of a page of 500 may have some more. */
export const EXPORT_RECORDS_MAX = 1_000

/** The longest that an `admit` may wait for room. */
export const QUEUE_WAIT_MS_MAX = 60_000

/** Who is asked to compute one result again: four peers at most, and the coordinator's own engine twice. */
export const AUDITORS_MAX = 6
