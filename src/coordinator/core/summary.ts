/** What anybody may know of the network, from the records: nothing that leads back to a person, ids cut short. */

import type { NetworkSummary } from '../../protocol/index.ts'
import { SUMMARY_INTERVAL_MS, VOLUNTEERS_LISTED_MAX } from './limits.ts'
import { capacityOf, isChoosable, type PeerRecord } from './peers.ts'
import { missingBytes } from './placement.ts'
import type { Plan } from './plan.ts'
import { uncovered } from './route.ts'
import type { OpenSessions } from './sessions.ts'
import type { SwarmModel } from './swarm.ts'

type SwarmSummary = NetworkSummary['swarms'][number]
type VolunteerSummary = SwarmSummary['volunteers'][number]

export interface SummaryRequest {
  readonly models: readonly SwarmModel[]
  readonly peers: readonly PeerRecord[]
  readonly plan: Plan
  readonly sessions: OpenSessions
  readonly stagesMin: number
  readonly nowMs: number
}

/** What watchers are told: only what has changed, and not too often. */
export class Bulletin {
  #text = ''
  #toldMs = Number.NEGATIVE_INFINITY

  /** Null: nothing now. */
  next(nowMs: number, summaryNow: () => NetworkSummary): NetworkSummary | null {
    if (nowMs - this.#toldMs < SUMMARY_INTERVAL_MS) return null
    this.#toldMs = nowMs
    const summary = summaryNow()
    const text = JSON.stringify(summary)
    if (text === this.#text) return null
    this.#text = text
    return summary
  }
}

export function summarize(request: SummaryRequest): NetworkSummary {
  const volunteers = request.peers.filter((peer) => peer.pledge !== null)
  return { tabs: volunteers.length, swarms: request.models.map((model) => summarizeSwarm(model, volunteers, request)) }
}

function summarizeSwarm(model: SwarmModel, volunteers: readonly PeerRecord[], request: SummaryRequest): SwarmSummary {
  const { plan, nowMs } = request
  const { layerCount, contextLength } = model.costs
  // A spare counts for the first model, so that it is seen somewhere.
  const first = request.models[0] === model
  const mine = volunteers.filter(({ peerId }) => (plan.placeOf(peerId)?.model ?? (first ? model : null)) === model)
  const spans = volunteers.flatMap((peer) => (peer.served?.modelId === model.modelId && isChoosable(peer, nowMs) ? [peer.served.span] : []))
  const ready = uncovered(layerCount, spans).length === 0
  return {
    modelId: model.modelId,
    manifestHash: model.manifestHash,
    name: model.name,
    layerCount,
    contextLength,
    weightBytes: model.weightBytes,
    minStages: request.stagesMin,
    state: ready ? 'ready' : mine.length === 0 ? 'empty' : 'incomplete',
    missingBytes: ready ? 0 : missingBytes(model.costs, mine.map(capacityOf)),
    sessions: request.sessions.ofModel(model.modelId),
    volunteers: mine.slice(0, VOLUNTEERS_LISTED_MAX).map((peer) => summarizeVolunteer(peer, nowMs)),
  }
}

function summarizeVolunteer(peer: PeerRecord, nowMs: number): VolunteerSummary {
  const { order, served, pledge } = peer
  const state = served !== null ? (isChoosable(peer, nowMs) ? 'serving' : 'away') : order !== null ? 'loading' : 'waiting'
  return {
    shortId: peer.peerId.slice(0, 8),
    engine: pledge?.engine ?? 'webgpu',
    adapter: pledge?.adapter ?? '',
    state,
    span: served?.span ?? order?.span ?? null,
    progress: served !== null ? 1 : (order?.progress ?? 0),
  }
}
