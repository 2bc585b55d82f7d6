/** Grant: the coordinator's signed permission for one session. */

import type { ManifestHash, ModelId, PeerId, SessionId } from '../shared/index.ts'
import type { RowEncoding } from './rows.ts'
import type { SignedDocument } from './signedDocument.ts'

export interface GrantStage {
  readonly peerId: PeerId
  readonly firstLayer: number
  readonly endLayer: number
}

export interface Grant {
  readonly version: 1
  readonly sessionId: SessionId
  /** 0 for the session's first chain; each repair has a grant of its own with a higher one, which alone counts from then on. */
  readonly revision: number
  readonly modelId: ModelId
  readonly manifestHash: ManifestHash
  readonly driver: PeerId
  /** In order from the embedding to the head; they cover every layer once. */
  readonly stages: readonly GrantStage[]
  /** Most positions that the session's KV cache will ever hold. */
  readonly maxPositions: number
  /** Candidates a position, at most TOP_K_MAX. */
  readonly topK: number
  readonly rowEncoding: RowEncoding
  /** Coordinator time. */
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** How messages name a stage; whoever stands before the first and behind the last. */
export function stageName({ stages }: Grant, index: number): string {
  const stage = stages[index]
  if (stage === undefined) return 'the driver'
  return `stage ${index} (peer ${stage.peerId.slice(0, 8)}, layers ${stage.firstLayer}–${stage.endLayer - 1})`
}

export type SignedGrant = SignedDocument

/** Domain separation: a signature of a grant can be taken for nothing else. */
export const GRANT_CONTEXT = 'tabswarm grant 1\n'
