/**
 * Admission: one request for a session, by a chain or by a refusal that says what to do. Who may wait for another answer: admissionQueue.ts.
 */

import type { Span } from '../../model/index.ts'
import type { ClientMessage } from '../../protocol/index.ts'
import type { PeerId, SessionId } from '../../shared/index.ts'
import { RETRY_BUSY_MS, RETRY_LOADING_MS, SESSIONS_PER_REQUESTER_MAX } from './limits.ts'
import { isAvoided, isChoosable, type PeerRecord } from './peers.ts'
import type { PlacedStage } from './placement.ts'
import { roomAt, wholeBlocks } from './room.ts'
import { type Candidate, chooseChain, uncovered } from './route.ts'
import type { OpenSessions } from './sessions.ts'
import type { SwarmModel } from './swarm.ts'

export type AdmitMessage = Extract<ClientMessage, { type: 'admit' }>

interface Refusal {
  readonly reason:
    | 'unknown-model'
    | 'bad-request'
    | 'prompt-too-long'
    | 'too-large'
    | 'too-many-sessions'
    | 'no-volunteers'
    | 'incomplete'
    | 'busy'
  readonly message: string
  readonly retryAfterMs: number | null
  /** More peers, or less to do for them, would have made it a chain. */
  readonly isForLack: boolean
}

export type Decision =
  | { readonly kind: 'chain'; readonly stages: readonly PlacedStage[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export interface AdmissionRequest {
  readonly message: AdmitMessage
  readonly requester: PeerId
  /** The requester's. */
  readonly origin: string
  /** The requester's: so many times the sessions of one. */
  readonly share: number
  readonly model: SwarmModel | undefined
  readonly peers: Iterable<PeerRecord>
  readonly sessions: OpenSessions
  readonly stagesMin: number
  /** Round trip between two peers, as measured or as assumed, milliseconds. */
  readonly rttMs: (a: PeerId, b: PeerId) => number
  readonly nowMs: number
}

export interface CandidatesRequest {
  readonly model: SwarmModel
  readonly peers: Iterable<PeerRecord>
  readonly sessions: OpenSessions
  /** What is to go on over them, whose own room is not in its way; null: a new session. */
  readonly sessionId: SessionId | null
  /** KV that the session needs at each stage. */
  readonly positions: number
  readonly requester: PeerId
  /** The requester's. */
  readonly origin: string
  readonly nowMs: number
}

export function decideAdmission(request: AdmissionRequest): Decision {
  const { message, model, requester, share, sessions, nowMs } = request
  if (model === undefined)
    return refuse('unknown-model', `this coordinator has no model "${message.modelId}"; GET /models lists those that it has`)
  const early = checkLengths(message, model.costs.contextLength)
  if (early !== null) return { kind: 'refused', refusal: early }
  const sessionsMax = share * SESSIONS_PER_REQUESTER_MAX
  if (sessions.ofDriver(requester) >= sessionsMax)
    return refuse('too-many-sessions', `${sessionsMax} answers are open already; stop or finish one`, RETRY_BUSY_MS)
  const present: PeerRecord[] = []
  for (const peer of request.peers) if (peer.served?.modelId === model.modelId && isChoosable(peer, nowMs)) present.push(peer)
  const missing = uncovered(model.costs.layerCount, spansOf(present))
  if (missing.length > 0) return { kind: 'refused', refusal: explainMissing(request, model, missing) }
  const positions = message.promptTokens + message.maxTokens
  const large = present.filter((peer) => (peer.served?.kvPositions ?? 0) >= positions)
  if (large.length < present.length && uncovered(model.costs.layerCount, spansOf(large)).length > 0)
    return refuse(
      'too-large',
      `${positions} positions (${message.promptTokens} of the prompt, ${message.maxTokens} of the answer) are more than the tabs can keep; ask for fewer tokens, or let tabs pledge more memory`,
    )
  const candidates = freeCandidates({ ...request, model, peers: large, sessionId: null, positions })
  const { stagesMin, rttMs } = request
  const stages = chooseChain(model.costs.layerCount, candidates, { stagesMin, driver: requester, rttMs })
  if (stages === null) return refuse('busy', 'all tabs that hold this model are busy; try again in a moment', RETRY_BUSY_MS)
  return { kind: 'chain', stages }
}

function refuse(reason: Refusal['reason'], message: string, retryAfterMs: number | null = null): Decision {
  return { kind: 'refused', refusal: { reason, message, retryAfterMs, isForLack: reason === 'busy' } }
}

function checkLengths({ promptTokens, maxTokens }: AdmitMessage, contextLength: number): Refusal | null {
  if (promptTokens === 0)
    return {
      reason: 'bad-request',
      message: 'the prompt is empty: a model needs at least one token to go on from',
      retryAfterMs: null,
      isForLack: false,
    }
  if (promptTokens > contextLength)
    return {
      reason: 'prompt-too-long',
      message: `the prompt has ${promptTokens} tokens, the model's context ${contextLength}; shorten it or start a new chat`,
      retryAfterMs: null,
      isForLack: false,
    }
  if (promptTokens + maxTokens > contextLength)
    return {
      reason: 'too-large',
      message: `${promptTokens} tokens of the prompt leave room for ${contextLength - promptTokens} more in the context, ${maxTokens} were asked for`,
      retryAfterMs: null,
      isForLack: false,
    }
  return null
}

function explainMissing(
  request: AdmissionRequest,
  model: SwarmModel,
  missing: readonly { firstLayer: number; endLayer: number }[],
): Refusal {
  const volunteers = [...request.peers].filter((peer) => peer.pledge !== null)
  if (volunteers.length === 0)
    return {
      reason: 'no-volunteers',
      message: `nobody is contributing to ${model.name} right now; open Contribute in a tab, here or on another machine`,
      retryAfterMs: null,
      isForLack: true,
    }
  const layers = missing.map(({ firstLayer, endLayer }) =>
    endLayer - firstLayer === 1 ? `${firstLayer}` : `${firstLayer}–${endLayer - 1}`,
  )
  const loading = volunteers.some((peer) => peer.order !== null && peer.served === null)
  const silent = volunteers.some((peer) => peer.served !== null && !isChoosable(peer, request.nowMs))
  const advice = loading
    ? 'tabs are loading now, try again in a moment'
    : silent
      ? 'a tab does not answer, others take over if it stays away'
      : 'more tabs have to contribute, or pledge more memory'
  return {
    reason: 'incomplete',
    message: `layers ${layers.join(', ')} of ${model.name} are not served: ${advice}`,
    retryAfterMs: loading || silent ? RETRY_LOADING_MS : null,
    isForLack: true,
  }
}

function spansOf(peers: readonly PeerRecord[]): Span[] {
  const spans: Span[] = []
  for (const { served } of peers) if (served !== null) spans.push(served.span)
  return spans
}

/** Peers that serve the model and have room, as room.ts reckons it. */
export function freeCandidates(request: CandidatesRequest): Candidate[] {
  const { model, peers, sessions, sessionId, positions, requester, origin, nowMs } = request
  const { modelId, costs } = model
  const reserved = sessions.reserved(nowMs, sessionId)
  const needed = wholeBlocks(positions)
  const candidates: Candidate[] = []
  for (const peer of peers) {
    const { peerId, served, pledge } = peer
    if (served === null || pledge === null || served.modelId !== modelId) continue
    const isDoubted = sessionId !== null && sessions.isDoubted(sessionId, peerId)
    const room = roomAt(peer, { capacity: served.kvPositions, reserved: reserved.get(peerId), isDoubted }, nowMs)
    if (room.kvPositions < needed) continue
    const macsPerMs = Math.max(1, peer.macsPerSecond) / 1_000
    candidates.push({
      peerId,
      span: served.span,
      msPerLayer: costs.macsPerLayer / macsPerMs,
      headMs: costs.headMacs / macsPerMs,
      sessions: room.sessions,
      kvShare: needed / room.kvPositions,
      numericClass: pledge.numericClass,
      lastResort: peerId === requester || isAvoided(peer, origin, nowMs),
    })
  }
  return candidates
}
