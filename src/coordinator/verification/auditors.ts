/**
 * Who audits a result: a peer that holds the layers, else a spare that loads them, else the coordinator's own engine. Never
 * one of the session's own peers, nobody who belongs to the audited, the requester or an auditor before, nobody of the same public network.
 * Candidates come from the session's own pool and regions: an audit never widens its policy.
 */

import type { ModelId, PeerId, SessionId } from '../../shared/index.ts'
import type { HolderId } from './trust.ts'

export interface AvailableAuditor {
  readonly peerId: PeerId
  readonly holder: HolderId
  /** loaded: it serves all these layers. spare: it has room for them, beside what it may serve. */
  readonly kind: 'loaded' | 'spare'
  /** Its public address block; null: a private or loopback address, which says nothing. */
  readonly network: string | null
}

export interface AuditorCandidate extends AvailableAuditor {
  readonly trusted: boolean
}

/** What the coordinator itself computes with: what tabs without a GPU do, and the plain loops that every engine is held against. */
export type OwnArithmetic = 'fast' | 'reference'

export interface OwnAuditor {
  readonly kind: 'coordinator'
  readonly arithmetic: OwnArithmetic
}

export type Auditor = AvailableAuditor | OwnAuditor

/** What is wanted of candidates; who answers keeps to the session's policy. */
export interface AuditorRequest {
  readonly sessionId: SessionId
  readonly modelId: ModelId
  readonly firstLayer: number
  readonly endLayer: number
  /** Of its input, from 0. */
  readonly endPosition: number
}

export interface AuditedResult {
  /** Driver and stages of all the session's chains. */
  readonly peers: ReadonlySet<PeerId>
  readonly holder: HolderId
  readonly requester: HolderId
  readonly network: string | null
  /** Who was tried, whether it answered or not. */
  readonly tried: readonly Auditor[]
}

export function chooseAuditor(
  candidates: readonly AuditorCandidate[],
  { peers, holder, requester, network, tried }: AuditedResult,
  linked: (one: HolderId, other: HolderId) => boolean,
  random: () => number,
): AuditorCandidate | null {
  const before = tried.flatMap((auditor) => ('peerId' in auditor ? [auditor] : []))
  const holders = [holder, requester, ...before.map((auditor) => auditor.holder)]
  const networks = new Set([network, ...before.map((auditor) => auditor.network)])
  const eligible = candidates.filter(
    (candidate) =>
      !peers.has(candidate.peerId) &&
      !holders.some((other) => linked(other, candidate.holder)) &&
      (candidate.network === null || !networks.has(candidate.network)),
  )
  const rank = ({ kind, trusted }: AuditorCandidate) => (kind === 'loaded' ? 0 : 2) + (trusted ? 0 : 1)
  const best = Math.min(...eligible.map(rank))
  const equals = eligible.filter((candidate) => rank(candidate) === best)
  // Which of them cannot be foreseen.
  return equals[Math.floor(random() * equals.length)] ?? null
}
