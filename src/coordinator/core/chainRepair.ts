/**
 * Chain repair: an open session has lost stages. Those that are left keep their layers and what they computed; others fill the holes, of
 * the same numeric class where there is one. Where that gives no chain, one of other stages altogether is taken.
 */

import { coversSpan } from '../../model/index.ts'
import { type Grant, REPAIR_WAIT_MS } from '../../protocol/index.ts'
import type { PeerId, SessionId } from '../../shared/index.ts'
import { freeCandidates } from './admission.ts'
import { CHAIN_HOPELESS_MS, CHAIN_REPAIR_MS, REFUSED_MS } from './limits.ts'
import { isChoosable, isThere, type PeerRecord } from './peers.ts'
import type { PlacedStage } from './placement.ts'
import { chooseChain, type LostStage, uncovered } from './route.ts'
import type { OpenSessions } from './sessions.ts'
import type { SwarmModel } from './swarm.ts'

/** A broken session whose driver waits for another chain. */
export interface PendingRepair {
  readonly driver: PeerId
  readonly requestId: string
  readonly sessionId: SessionId
  /** Stages of the grant that were reported lost. */
  readonly lost: ReadonlySet<PeerId>
  /** When the driver asked. */
  readonly sinceMs: number
  /** When it first said that this chain is broken: stages count from there, and do not know that it asks again. */
  readonly brokenMs: number
}

export interface RepairContext {
  readonly grant: Grant
  /** Its driver's. */
  readonly origin: string
  readonly model: SwarmModel
  readonly peers: readonly PeerRecord[]
  readonly sessions: OpenSessions
  readonly stagesMin: number
  readonly rttMs: (a: PeerId, b: PeerId) => number
  readonly nowMs: number
}

type RepairDecision =
  | { readonly kind: 'granted'; readonly grant: Grant }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'refused'; readonly message: string }

export function decideRepair({ lost, sinceMs, brokenMs }: PendingRepair, context: RepairContext): RepairDecision {
  const { grant, model, peers, nowMs } = context
  const stages = repairedStages(lost, nowMs - brokenMs < REPAIR_WAIT_MS, context)
  if (stages !== null) {
    const placed = stages.map(({ peerId, span }) => ({ peerId, firstLayer: span.firstLayer, endLayer: span.endLayer }))
    return { kind: 'granted', grant: { ...grant, revision: grant.revision + 1, stages: placed, issuedAtMs: nowMs } }
  }
  const isOnTheWay = peers.some(({ order, served }) => order?.modelId === model.modelId && served === null)
  const patienceMs = isOnTheWay ? CHAIN_REPAIR_MS : CHAIN_HOPELESS_MS
  if (nowMs - sinceMs < patienceMs) return { kind: 'waiting' }
  const waitedSeconds = Math.round((nowMs - sinceMs) / 1000)
  return { kind: 'refused', message: `nobody has taken over the lost layers within ${waitedSeconds} s; more tabs have to contribute` }
}

/** Stages for the session's next grant; null while layers are missing. `isKept`: those that are left still hold the session. */
function repairedStages(lostPeerIds: ReadonlySet<PeerId>, isKept: boolean, context: RepairContext): readonly PlacedStage[] | null {
  const { grant, model, peers, sessions, stagesMin, rttMs, nowMs } = context
  const { layerCount } = model.costs
  const numericClasses = sessions.numericClasses(grant.sessionId)
  const present = peers.filter((peer) => isChoosable(peer, nowMs))
  const stages = grant.stages.map(({ peerId, firstLayer, endLayer }) => ({ peerId, span: { firstLayer, endLayer } }))
  const there = new Set(peers.filter((peer) => isThere(peer, nowMs)).map(({ peerId }) => peerId))
  const isLeft = ({ peerId }: PlacedStage) => !lostPeerIds.has(peerId) && there.has(peerId)
  // Asked again at every event: mostly nobody has the lost layers yet.
  const servedSpans = present.flatMap(({ served }) => (served?.modelId === model.modelId ? [served.span] : []))
  if (uncovered(layerCount, [...servedSpans, ...stages.filter(isLeft).map(({ span }) => span)]).length > 0) return null
  const candidatesOf = (peers: readonly PeerRecord[]) =>
    freeCandidates({ ...context, peers, sessionId: grant.sessionId, positions: grant.maxPositions, requester: grant.driver })
  const others = candidatesOf(present.filter(({ peerId }) => !lostPeerIds.has(peerId)))
  // Who has freed the session meanwhile begins anew, and needs room for it.
  const hasRoom = ({ peerId, span }: PlacedStage) => others.some((other) => other.peerId === peerId && coversSpan(other.span, span))
  const keep = stages.filter((stage) => isLeft(stage) && (isKept || hasRoom(stage)))
  const lost = stages.flatMap((stage, index): LostStage[] =>
    keep.includes(stage) ? [] : [{ span: stage.span, numericClass: numericClasses[index] ?? '' }],
  )
  const options = { stagesMin, driver: grant.driver, rttMs }
  // Who was given up for lost and answers again may come back, as long as nobody else is there. Lost so soon it may have refused for lack of room.
  const mayHaveRefused = ({ peerId, report }: PeerRecord) =>
    lostPeerIds.has(peerId) && nowMs - grant.issuedAtMs < REFUSED_MS && (report?.atMs ?? 0) <= grant.issuedAtMs
  return (
    chooseChain(layerCount, others, { ...options, keep, lost }) ??
    chooseChain(layerCount, others, { ...options, lost }) ??
    chooseChain(layerCount, candidatesOf(present.filter((peer) => !mayHaveRefused(peer))), { ...options, keep, lost })
  )
}
