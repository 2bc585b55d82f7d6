/**
 * Receipt: what a peer says, signed, that it took and sent in one segment of a session: a stage of its work, the driver of what
 * it submitted and got. A segment is a session's chain under one revision of its grant. The driver acknowledges a checkpoint by
 * its own receipt at that position. It travels as the exact bytes that were signed. Rules V1 … V11 of SPEC.md.
 */

import type { PeerId, SessionId } from '../shared/index.ts'
import type { Grant } from './grant.ts'
import type { LedgerHead } from './ledgerRequests.ts'
import type { SignedDocument } from './signedDocument.ts'

/** Rows by kind. A row counts each time it passes, also when a truncation dropped it later. */
export interface RowCounts {
  readonly prompt: number
  readonly decode: number
  /** Of them, rows whose candidates the driver asked for. */
  readonly results: number
}

/** What passed one link of the chain in this segment; both its ends tell it. */
export interface LinkTally extends RowCounts {
  /** Where the receiver asked its sender to begin; lower when a truncation went below it. */
  readonly firstPosition: number
  /** Behind the last position that stands. */
  readonly endPosition: number
  /** h(endPosition − 1) of the activation log, 64 hex digits, begun with 32 zero bytes before firstPosition. */
  readonly hash: string
}

export type ReceiptParty =
  | {
      readonly kind: 'stage'
      readonly index: number
      readonly firstLayer: number
      readonly endLayer: number
      /** Rows that went through the layers; fewer than were received where the session ended first. */
      readonly computed: RowCounts
    }
  | {
      readonly kind: 'driver'
      /** Of the rows sent, those that it had submitted in an earlier segment already. */
      readonly resent: RowCounts
    }

export interface Receipt {
  readonly version: 1
  readonly sessionId: SessionId
  /** Of the grant whose chain the segment is. */
  readonly revision: number
  readonly peerId: PeerId
  readonly party: ReceiptParty
  /** Of the last truncation that is counted in. */
  readonly epoch: number
  /** From the upstream; the driver's are results. */
  readonly received: LinkTally
  /** To the downstream; the driver's are token ids, the last stage's results. */
  readonly sent: LinkTally
  /** Rises with each receipt of this peer in this segment. */
  readonly sequence: number
  /** Coordinator time. */
  readonly timeMs: number
  /** The peer takes no further part in this segment. */
  readonly final: boolean
  /** The ledger's last head that the peer has checked; null: it has none yet. Who is told of another ledger notices. */
  readonly head: LedgerHead | null
}

export type SignedReceipt = SignedDocument

/** Hash of a link that nothing has passed yet. */
export const EMPTY_HASH = '0'.repeat(64)

/** Rows of both kinds. */
export function rowTotal({ prompt, decode }: RowCounts): number {
  return prompt + decode
}

/**
 * Rows that a stage may have computed in a segment beside those that it received there: they waited for their pass since an earlier one, and lie
 * between where its downstream and where it itself went on.
 */
export function waitedRows({ received, sent }: { readonly received: Positions; readonly sent: Positions }): number {
  return Math.max(0, received.firstPosition - sent.firstPosition)
}

type Positions = Pick<LinkTally, 'firstPosition'>

/** Why `receipt` cannot be of this grant's segment, or null. */
export function receiptMisfit({ sessionId, revision, peerId, party, sent, received, timeMs }: Receipt, grant: Grant): string | null {
  if (sessionId !== grant.sessionId || revision !== grant.revision) return 'another session or revision'
  if (Math.max(sent.endPosition, received.endPosition) > grant.maxPositions) return `positions beyond the ${grant.maxPositions} granted`
  if (timeMs >= grant.expiresAtMs) return 'a time after the grant has expired'
  if (party.kind === 'driver') return peerId === grant.driver ? null : 'a driver that the grant does not name'
  const stage = grant.stages[party.index]
  if (stage?.peerId !== peerId) return 'a stage that the grant does not name'
  const isGranted = stage.firstLayer === party.firstLayer && stage.endLayer === party.endLayer
  return isGranted ? null : 'layers that the grant does not name'
}
