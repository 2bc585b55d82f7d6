/**
 * The frames that peers exchange over a Link, as types. Their bytes: frameCodec.ts; their rules: SPEC.md.
 * Positions of a session are numbered from 0; a lap's rows are consecutive.
 */

import type { SessionId } from '../shared/index.ts'
import type { SignedGrant } from './grant.ts'
import type { SignedReceipt } from './receipt.ts'
import type { RowEncoding, RowKind } from './rows.ts'

/** Token ids (driver → stage 0) or activations (stage → stage) of consecutive positions. */
export interface RowsFrame {
  readonly type: 'rows'
  readonly sessionId: SessionId
  /** Rises with each repair or truncation; frames of an older epoch are dropped. */
  readonly epoch: number
  readonly firstPosition: number
  readonly rowCount: number
  readonly kind: RowKind
  /** How many of the last rows the driver wants candidates for, 0 … rowCount. */
  readonly resultCount: number
  readonly encoding: 'tokens' | RowEncoding
  /** tokens: u32 little-endian [rowCount]; else [rowCount, rowBytes]. */
  readonly payload: Uint8Array
  /** Tokens whose logits are wanted beside the candidates, as many of each wanted row: u32 little-endian [resultCount, n]. Left out: none. */
  readonly named?: Uint8Array
}

/** Last stage → driver: candidates of the rows asked for; also sent (with none) for a lap that asked for none. */
export interface ResultsFrame {
  readonly type: 'results'
  readonly sessionId: SessionId
  readonly epoch: number
  /** Of the lap, as in its RowsFrame. */
  readonly firstPosition: number
  readonly rowCount: number
  readonly resultCount: number
  readonly topK: number
  /** For each wanted row: f32 logSumExp, then topK × (u32 id, f32 logit), best first, ties to the lowest id. */
  readonly payload: Uint8Array
  /** Of the tokens that the rows named, in their order: (u32 id, f32 logit) [resultCount, n]. Left out: none were. */
  readonly named?: Uint8Array
}

/** Driver → last stage: all logits of the last position of that epoch. */
export interface FetchFrame {
  readonly type: 'fetch'
  readonly sessionId: SessionId
  readonly epoch: number
  readonly position: number
}

/** Last stage → driver: some of the logits that it fetches; those of a position come in order of ids. */
export interface LogitsFrame {
  readonly type: 'logits'
  readonly sessionId: SessionId
  readonly epoch: number
  readonly position: number
  /** u32 first id, then f32 logits of that and the following ids, little-endian. */
  readonly payload: Uint8Array
}

/**
 * Asks for a session under a grant. The driver sends it to every stage, each stage to the next, the last to the driver:
 * whichever copy comes first opens the session, the other joins it. With a grant of a higher revision it repairs the chain: who
 * has the same span as before keeps its KV cache, everybody connects anew.
 */
export interface OpenFrame {
  readonly type: 'open'
  readonly sessionId: SessionId
  /** The session's, as in `rows`. A stage that knows an older one forgets positions ≥ `length`. */
  readonly epoch: number
  readonly length: number
  readonly grant: SignedGrant
}

/** The answer: to the upstream as soon as KV is reserved, to the driver once the next stage has answered too. */
export interface OpenedFrame {
  readonly type: 'opened'
  readonly sessionId: SessionId
  /** Of the grant that it answers. */
  readonly revision: number
  /** The first position that the receiver has no row of: the upstream goes on there, out of its log. */
  readonly nextPosition: number
  /** The upstream may send this many rows in all, counted from this answer, until a `window` raises it. */
  readonly windowRows: number
}

/** The receiver has consumed rows: the sum of rows that may have been sent since `opened`. Never falls. */
export interface WindowFrame {
  readonly type: 'window'
  readonly sessionId: SessionId
  readonly windowRows: number
}

/** Driver → stage 0 → … in band: forget positions ≥ length; `epoch` is the new one. Each stage passes it on. */
export interface TruncateFrame {
  readonly type: 'truncate'
  readonly sessionId: SessionId
  readonly epoch: number
  readonly length: number
}

/** Driver → each stage, each stage → the next: the session is over (finished, cancelled, failed); free everything at once. */
export interface CloseFrame {
  readonly type: 'close'
  readonly sessionId: SessionId
}

/** Stage → driver: a neighbor cannot be reached or its link has ended. The session waits here for a repair, REPAIR_WAIT_MS long. */
export interface SeveredFrame {
  readonly type: 'severed'
  readonly sessionId: SessionId
  /** Of the grant that the stage knows. */
  readonly revision: number
  readonly neighbor: 'upstream' | 'downstream'
  readonly reason: 'stage-lost' | 'unreachable'
  readonly message: string
}

/** Driver → stage: answer at once. With `through` it comes down the chain, so that each answer vouches for the links before it. */
export interface PingFrame {
  readonly type: 'ping'
  readonly sessionId: SessionId
  readonly sequence: number
  readonly through: boolean
}

/** Stage → driver. */
export interface PongFrame {
  readonly type: 'pong'
  readonly sessionId: SessionId
  readonly sequence: number
  readonly through: boolean
}

/** Driver → each stage: what it got so far, which acknowledges it. The link proves whose word it is; its signature, that the coordinator will take it. */
export interface ReceiptFrame {
  readonly type: 'receipt'
  readonly sessionId: SessionId
  readonly receipt: SignedReceipt
  /** The driver's, base64url. */
  readonly publicKey: string
}

/** Any stage → driver (or the upstream, before it is open): this session cannot go on here. */
export interface FailedFrame {
  readonly type: 'failed'
  readonly sessionId: SessionId
  readonly reason: FailureReason
  readonly message: string
}

export type FailureReason =
  | 'bad-grant'
  | 'no-room'
  | 'not-serving'
  | 'unreachable'
  | 'stage-lost'
  | 'device-lost'
  | 'not-finite'
  | 'protocol'
  | 'expired'
  | 'stopped'
  | 'internal'

/** Stage → driver, after each lap: what the route panel shows. Lost ones do no harm. */
export interface LapFrame {
  readonly type: 'lap'
  readonly sessionId: SessionId
  /** The session's here when the pass ended. */
  readonly epoch: number
  readonly firstPosition: number
  readonly rowCount: number
  readonly kind: RowKind
  /** From rows handed to the engine until the packed result is readable. */
  readonly computeMs: number
  /** Bytes of frames that this stage has sent downstream in this session, this lap's included; each frame is one message of the link. */
  readonly bytesSent: number
  readonly linkKind: 'webrtc' | 'turn' | 'relay' | 'memory'
}

export type Frame =
  | RowsFrame
  | ResultsFrame
  | OpenFrame
  | OpenedFrame
  | WindowFrame
  | TruncateFrame
  | CloseFrame
  | FailedFrame
  | LapFrame
  | SeveredFrame
  | PingFrame
  | PongFrame
  | ReceiptFrame
  | FetchFrame
  | LogitsFrame
