/** What verification is told, and what it wants done. A ledger can carry the money's part out by the ids alone: each claim is settled once. */

import type { Grant, Receipt, RowCounts } from '../../protocol/index.ts'
import type { ModelId, PeerId, SessionId } from '../../shared/index.ts'
import type { Auditor } from './auditors.ts'
import type { PartSpan } from './segment.ts'
import type { WorkLine } from './settle.ts'
import type { HolderId, TrustRecord } from './trust.ts'

export interface SessionOpened {
  readonly kind: 'opened'
  readonly grant: Grant
  readonly requester: HolderId
  /** The driver is the coordinator's own gateway, which has seen the text anyway: its engine may replay the session. */
  readonly ownGateway: boolean
  /** Sent to find out who computes what it should: all of it is audited. */
  readonly isCanary: boolean
}

/** A stage of the chain before that is not in the new one. */
export interface Leave {
  readonly peerId: PeerId
  /** It drained, or said that it leaves. */
  readonly announced: boolean
}

/** `coordinator`: it saw the failure itself. Else the stages that told of it. */
export type FailureSeenBy = 'coordinator' | readonly PeerId[]

export type VerificationEvent =
  | SessionOpened
  /** The session goes on under a grant of a higher revision. `left`: what the coordinator itself has seen. */
  | { readonly kind: 'repaired'; readonly grant: Grant; readonly left: readonly Leave[] }
  /** Opened and verified by the caller, from the peer that it names. */
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  /** Finished, cancelled, vanished or expired; `failure`: the network failed the answer, and who says so. */
  | { readonly kind: 'closed'; readonly sessionId: SessionId; readonly failure: FailureSeenBy | null }
  /** The stage has handed its rows over; whether they hash to what its receipts committed to. */
  | { readonly kind: 'answered'; readonly claimId: string; readonly committed: boolean }
  /** An auditor's rows are there: their distance from the audited stage's and, where `audit` named one, from that auditor's (distance.ts). */
  | { readonly kind: 'audited'; readonly claimId: string; readonly distance: number; readonly between: number | null }
  /** The auditor refuses, or is gone. */
  | { readonly kind: 'auditor-lost'; readonly claimId: string }
  | { readonly kind: 'tick' }

/** valid: within tolerance. failed: two auditors say so, or its own signature does. undecided: no auditor could say. */
export type Verdict = 'valid' | 'failed' | 'unanswered' | 'undecided'

/** Why a claim goes back to who paid. */
export type RefundReason = 'linked' | 'banned' | 'cheated' | 'unanswered'

export interface ClaimedWork {
  readonly claimId: string
  readonly peerId: PeerId
  readonly lines: readonly WorkLine[]
}

export type VerificationEffect =
  /** The peer is to sign a receipt of that revision at that position. */
  | {
      readonly kind: 'ask-receipt'
      readonly peerId: PeerId
      readonly sessionId: SessionId
      readonly revision: number
      readonly endPosition: number
    }
  /** Once a session: its claims move from the payer into escrow, what is left of the hold goes back. */
  | {
      readonly kind: 'settle'
      readonly sessionId: SessionId
      /** reserve: the network failed the answer, which is free. */
      readonly payer: 'requester' | 'reserve'
      readonly submitted: RowCounts
      readonly claims: readonly ClaimedWork[]
    }
  /** Once a claim, out of escrow: to its holder, or back to who paid. */
  | { readonly kind: 'release'; readonly claimId: string; readonly reason: 'audited' | 'rule' }
  | { readonly kind: 'refund'; readonly claimId: string; readonly reason: RefundReason }
  /** Hand over the logged input of positions 0 … end, and the output of first … end; `commitments`: what was signed. */
  | {
      readonly kind: 'challenge'
      readonly claimId: string
      readonly peerId: PeerId
      readonly firstPosition: number
      readonly endPosition: number
      readonly commitments: readonly Receipt[]
      /** Of the session's first chain. */
      readonly grant: Grant
      /** The layers that it computed. */
      readonly firstLayer: number
      readonly endLayer: number
    }
  /** Its log of that session is not needed any more. */
  | { readonly kind: 'release-log'; readonly peerId: PeerId; readonly sessionId: SessionId }
  /** Have the challenged rows computed again by that auditor. `against`: an auditor that differs from the stage, to be compared with too. */
  | { readonly kind: 'audit'; readonly claimId: string; readonly auditor: Auditor; readonly against: Auditor | null }
  /** Nobody could say whether that peer computes what it should: a session of the coordinator's own gateway may. */
  | { readonly kind: 'canary'; readonly peerId: PeerId; readonly modelId: ModelId }
  /** For computing `positions` positions of the session's rows through the layers that `stage` had. */
  | {
      readonly kind: 'pay-audit'
      readonly claimId: string
      readonly grant: Grant
      readonly stage: PeerId
      readonly firstLayer: number
      readonly endLayer: number
      readonly peerId: PeerId
      readonly positions: number
      /** Of them, those whose candidates were asked for. */
      readonly results: number
    }
  /** Once a result that was drawn or contradicted. The peer itself may see what was found. */
  | {
      readonly kind: 'verdict'
      readonly claimId: string
      readonly sessionId: SessionId
      readonly peerId: PeerId
      /** Null: it was the driver. */
      readonly span: PartSpan | null
      readonly verdict: Verdict
      readonly reason: string
    }
  /** Of an auditor, who may see it too: two others agree with each other and not with what it computed. */
  | {
      readonly kind: 'contradicted'
      readonly claimId: string
      readonly sessionId: SessionId
      readonly peerId: PeerId
      readonly span: PartSpan
    }
  /** Two peers contradict each other and no third one says who is right; for the operator. */
  | { readonly kind: 'dispute'; readonly sessionId: SessionId; readonly peerIds: readonly [PeerId, PeerId] }
  /** To be kept by the store. */
  | { readonly kind: 'trust'; readonly holder: HolderId; readonly record: TrustRecord }
  | { readonly kind: 'ban'; readonly holder: HolderId }
