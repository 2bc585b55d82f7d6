/** A stage's part in a session: what it claims, and what there is to audit of it. */

import { rowTotal } from '../../protocol/index.ts'
import type { PeerId, SessionId } from '../../shared/index.ts'
import type { AuditTask } from './audits.ts'
import type { ClaimedWork } from './effects.ts'
import { AUDIT_POSITIONS_MAX } from './limits.ts'
import type { Linked } from './locate.ts'
import type { TrackedSession } from './sessions.ts'
import type { WorkLine } from './settle.ts'
import type { HolderId } from './trust.ts'

/** The same for ledger, audit and escrow: a session's work of one peer. */
export function claimIdOf(sessionId: SessionId, peerId: PeerId): string {
  return `${sessionId}/${peerId}`
}

export function claimsOf(sessionId: SessionId, lines: readonly WorkLine[]): ClaimedWork[] {
  const peers = [...new Set(lines.map(({ peerId }) => peerId))]
  return peers.map((peerId) => ({ claimId: claimIdOf(sessionId, peerId), peerId, lines: lines.filter((line) => line.peerId === peerId) }))
}

/** Every stage that the session ever had, with whether its part ended before the session did. */
export function partsOf({ segments }: TrackedSession): { readonly peerId: PeerId; readonly left: boolean }[] {
  const chains = segments.map(({ segment }) => segment.grant.stages.map(({ peerId }) => peerId))
  const last = new Set(chains.at(-1))
  return [...new Set(chains.flat())].map((peerId) => ({ peerId, left: !last.has(peerId) }))
}

/** Stages that are out of it, and have signed their last receipt. */
export function leaversOf(session: TrackedSession): PeerId[] {
  const hasSigned = (peerId: PeerId) => {
    const last = session.segments.findLast(({ segment }) => segment.placeOf(peerId) > 0)
    return last?.segment.hasFinal(last.segment.placeOf(peerId)) === true
  }
  return partsOf(session).flatMap(({ peerId, left }) => (left && hasSigned(peerId) ? [peerId] : []))
}

/** The coordinator saw that the network failed the answer, or two stages say so that belong neither together nor to the driver. */
export function isSeenFailure({ failure, opened, segments }: TrackedSession, linked: Linked): boolean {
  if (failure === null || failure === 'coordinator') return failure !== null
  const stages = new Set(segments.flatMap(({ segment }) => segment.grant.stages.map(({ peerId }) => peerId)))
  const seen = failure.filter((peerId) => stages.has(peerId) && !linked(peerId, opened.grant.driver))
  return seen.some((one) => seen.some((other) => !linked(one, other)))
}

export interface PartPorts {
  readonly holderOf: (peerId: PeerId) => HolderId
  readonly networkOf: (peerId: PeerId) => string | null
  readonly random: () => number
}

/** What to challenge that stage with, `left` where its part ended before the session did; null where it has signed no rows. */
export function taskOf({ opened, segments }: TrackedSession, peerId: PeerId, left: boolean, ports: PartPorts): AuditTask | null {
  const { sessionId, modelId } = opened.grant
  const commitments = segments.flatMap(({ segment }) => {
    const place = segment.placeOf(peerId)
    return place < 1 ? [] : segment.of(place).slice(-1)
  })
  const signed = commitments.filter(({ sent }) => rowTotal(sent) > 0)
  const party = commitments.at(-1)?.party
  const last = signed.at(-1)
  if (last === undefined || party?.kind !== 'stage') return null
  const from = Math.min(...signed.map(({ sent }) => sent.firstPosition))
  const to = last.sent.endPosition
  if (to <= from) return null
  // Of a long session any stretch, so that no position is safe.
  const spare = Math.max(0, to - from - AUDIT_POSITIONS_MAX)
  const endPosition = to - Math.floor(ports.random() * (spare + 1))
  return {
    claimId: claimIdOf(sessionId, peerId),
    sessionId,
    peerId,
    grant: opened.grant,
    modelId,
    firstLayer: party.firstLayer,
    endLayer: party.endLayer,
    firstPosition: Math.max(from, endPosition - AUDIT_POSITIONS_MAX),
    endPosition,
    commitments,
    left,
    ownGateway: opened.ownGateway,
    peers: new Set(segments.flatMap(({ segment }) => [segment.grant.driver, ...segment.grant.stages.map((stage) => stage.peerId)])),
    holder: ports.holderOf(peerId),
    requester: opened.requester,
    network: ports.networkOf(peerId),
  }
}
