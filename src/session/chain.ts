/**
 * Chain: the model from end to end, as the driver sees it: token ids in, candidates out. `openLinkChain` builds one over
 * links to stages, `openEngineChain` one over engines in this process. A chain holds one session.
 */

import type { Grant, LinkKind, PositionCandidates, RowKind, SignedGrant } from '../protocol/index.ts'
import type { PeerId, SessionId } from '../shared/index.ts'
import type { SessionError } from './errors.ts'

/** The k best logits of one position and the logsumexp over the whole vocabulary. */
export type Candidates = PositionCandidates

/** Token ids of consecutive positions, all of one kind. */
export interface Lap {
  readonly firstPosition: number
  readonly ids: Uint32Array
  readonly kind: RowKind
  /** How many of the last rows want candidates, 0 … ids.length. */
  readonly resultCount: number
  /** Tokens whose logits they want beside those, as many of each: [resultCount, n], n at most NAMED_TOKENS_MAX. */
  readonly named?: Uint32Array
}

/** Rows that came through the whole chain; a lap may come back in several parts, always in order. */
export interface LapResults {
  readonly firstPosition: number
  readonly rowCount: number
  readonly candidates: readonly Candidates[]
}

/** What one stage says of one pass: for the route panel and as a sign of life. */
export interface StageLap {
  readonly stageIndex: number
  readonly firstPosition: number
  readonly rowCount: number
  readonly kind: RowKind
  readonly computeMs: number
  readonly bytesSent: number
  readonly linkKind: LinkKind
}

/** The chain lost stages and goes on without them: what was computed there is computed anew, and nothing else changes. */
export type ChainRepair =
  | {
      readonly phase: 'lost'
      readonly stageIndexes: readonly number[]
      /** `draining`: nothing broke; a stage that is about to stop was replaced in time. */
      readonly reason: SessionError['reason'] | 'draining'
      readonly message: string
      /** Positions that had come back by then. */
      readonly positions: number
    }
  /** Another chain was granted, and is being opened. */
  | { readonly phase: 'granted'; readonly grant: Grant }
  /**
   * Every stage has answered, and the log is being sent again: so many positions, which those before a replacement had computed and it has not;
   * 0 where every stage kept what it had.
   */
  | { readonly phase: 'opened'; readonly replayedPositions: number }
  /** The first results have come over the repaired chain. */
  | { readonly phase: 'done' }

export interface RepairRequest {
  readonly sessionId: SessionId
  /** Of the chain that is to be replaced. */
  readonly revision: number
  /** Peers that take no part any more; none when only a link between two of them broke. */
  readonly lostPeerIds: readonly PeerId[]
}

export interface RepairedGrant {
  readonly grant: Grant
  readonly signedGrant: SignedGrant
}

export interface ChainEvents {
  onResults(results: LapResults): void
  onLap(lap: StageLap): void
  onRepair(repair: ChainRepair): void
  /** Once, and nothing follows it: the chain has closed itself. */
  onFailed(error: SessionError): void
}

export interface Chain {
  /** Most positions that the session may hold. */
  readonly maxPositions: number
  /** Installs the receiver, replacing the one before it: one generation after the other. */
  listen(events: ChainEvents): void
  /**
   * Sends rows whose first position is the number submitted so far. Waits for room in the first stage's window; rejects with
   * the chain's SessionError when it fails or closes meanwhile.
   */
  submit(lap: Lap): Promise<void>
  /**
   * All logits of the position of `candidates`, [vocabulary]: the last one that was submitted, and answered. Rejects with the chain's SessionError when it fails
   * or closes meanwhile. One at a time, and as many as rows were submitted.
   */
  logits(candidates: Candidates): Promise<Float32Array>
  /** Forgets positions ≥ `length`, at most the number answered so far; rows under way are dropped. */
  truncate(length: number): void
  /** Frees the session everywhere, at once. Safe to call twice. */
  close(): void
}
