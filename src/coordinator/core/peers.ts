/** PeerRecord: all that the coordinator knows of one socket's peer. Changed only by the core. */

import { coversSpan, type Span } from '../../model/index.ts'
import type { ClientMessage } from '../../protocol/index.ts'
import type { ModelId, PeerId } from '../../shared/index.ts'
import type { WeightForm } from './costs.ts'
import { AWAY_AFTER_MS, FAILURE_BACKOFF_MS, FAILURES_MAX } from './limits.ts'
import { type Load, newLoad } from './loads.ts'
import type { Capacity } from './placement.ts'
import { FIRST_REGION } from './roundTrips.ts'

export type Pledge = Extract<ClientMessage, { type: 'pledge' }>

/** The last assignment sent. */
interface Order extends Load {
  readonly assignmentId: number
  readonly modelId: ModelId
  readonly span: Span
  readonly kvPositions: number
}

/** Layers that a peer said it serves, or has in its memory. */
interface Held {
  readonly modelId: ModelId
  readonly span: Span
  readonly kvPositions: number
}

/** KV positions that sessions have given back at a peer, or, negative, that were granted there. */
export interface RoomChange {
  readonly atMs: number
  readonly kvPositions: number
}

/** What speaks against a volunteer that answers pings: see ghosts.ts. */
export interface Doubts {
  /** Sessions that failed over it since one was finished, latest last. */
  readonly failures: readonly { readonly driver: PeerId; readonly origin: string; readonly atMs: number }[]
  /** The last choice until then, for those whom the failures concern. */
  readonly avoidedUntilMs: number
  /** How often it was given up since a session was finished. */
  readonly givenUp: number
  /** Since when its reports contradict what is granted there. */
  readonly unexplainedSinceMs: number | null
}

export const NO_DOUBTS: Doubts = { failures: [], avoidedUntilMs: 0, givenUp: 0, unexplainedSinceMs: null }

export interface PeerRecord {
  readonly peerId: PeerId
  /** Where it connects from: the tabs of one requester, however many, have the same. */
  readonly origin: string
  /** Requesters that it stands for: its limits are so many times one's. */
  readonly share: number
  heardMs: number
  /** Null: not a volunteer, or away. */
  pledge: Pledge | null
  /** Of the pledge, or of a faster pledge with the same adapter: what differs there is what else the machine did meanwhile. */
  probedMacsPerSecond: number
  /** As its passes showed, latest last. */
  speedReports: readonly number[]
  /** By its own word, as far as its kind makes that plausible. */
  toldMacsPerSecond: number
  /** What is believed of it: see speeds.ts. */
  macsPerSecond: number
  /** Peers of one region are near each other: see roundTrips.ts. */
  region: number
  /** Of the pledge, what a load may take; shrinks where loads did not fit. */
  memoryBytes: number
  /** How the pledged engine keeps weights. */
  weightForm: WeightForm
  order: Order | null
  /** What it serves now. */
  served: Held | null
  /** What lies in its memory: any span inside is served at once. */
  loaded: Held | null
  failures: number
  blockedUntilMs: number
  pingSequence: number
  pingSentMs: number
  /** A driver said that it is lost: not chosen before it has answered a ping of at least this sequence, which was sent at `sinceMs`. */
  suspicion: { readonly sequence: number; readonly sinceMs: number; readonly driver: PeerId } | null
  /** It has cleared itself: no driver's word counts against it until then. */
  provenUntilMs: number
  report: { readonly sessions: number; readonly kvPositionsFree: number; readonly atMs: number } | null
  /** The last ones: reports that came before do not know them, and one up to REPORT_SETTLES_MS later may not know that a session has ended. */
  roomChanges: readonly RoomChange[]
  doubts: Doubts
  /** Peers over which its own sessions failed since one was finished. */
  readonly accused: Set<PeerId>
  watching: boolean
  /** It said that it will leave, and serves what is open until then. */
  draining: boolean
}

export function newPeer(peerId: PeerId, origin: string, nowMs: number, share = 1): PeerRecord {
  return {
    peerId,
    origin,
    share,
    heardMs: nowMs,
    pledge: null,
    probedMacsPerSecond: 0,
    speedReports: [],
    toldMacsPerSecond: 0,
    macsPerSecond: 0,
    region: FIRST_REGION,
    memoryBytes: 0,
    weightForm: 'blocks',
    order: null,
    served: null,
    loaded: null,
    failures: 0,
    blockedUntilMs: 0,
    pingSequence: 0,
    pingSentMs: nowMs,
    suspicion: null,
    provenUntilMs: 0,
    report: null,
    roomChanges: [],
    doubts: NO_DOUBTS,
    accused: new Set(),
    watching: false,
    draining: false,
  }
}

/** Forgets everything that was said about volunteering. */
export function withdraw(peer: PeerRecord): void {
  peer.pledge = null
  peer.order = null
  peer.served = null
  peer.loaded = null
  peer.report = null
  peer.speedReports = []
  peer.doubts = NO_DOUBTS
  peer.draining = false
}

/** Its GPU was lost and it loads the same layers again: not chosen meanwhile, its order stands as long as it gets on with it. */
export function suspend(peer: PeerRecord, nowMs: number): void {
  peer.served = null
  peer.loaded = null
  peer.report = null
  if (peer.order !== null) peer.order = { ...peer.order, ...newLoad(nowMs) }
}

/** It could not load what it was told to: it is left in peace for a while, longer each time. */
export function fail(peer: PeerRecord, nowMs: number): void {
  peer.order = null
  peer.served = null
  peer.loaded = null
  peer.blockedUntilMs = nowMs + FAILURE_BACKOFF_MS * 2 ** peer.failures
  peer.failures++
}

/** How an engine keeps weights: see worker/. */
export function weightFormOf(engine: Pledge['engine']): WeightForm {
  return engine === 'wasm' ? 'unpacked' : 'blocks'
}

/** May hold layers. */
export function isPlaceable(peer: PeerRecord, nowMs: number): boolean {
  return peer.pledge !== null && !peer.draining && peer.failures < FAILURES_MAX && nowMs >= peer.blockedUntilMs
}

/** Goes on with the sessions that it has, also while it is told to load other layers. */
export function isThere(peer: PeerRecord, nowMs: number): boolean {
  return peer.pledge !== null && peer.suspicion === null && nowMs - peer.heardMs < AWAY_AFTER_MS
}

/** May be chosen for a new session. */
export function isChoosable(peer: PeerRecord, nowMs: number): boolean {
  return peer.served !== null && !peer.draining && isThere(peer, nowMs)
}

/** Whether a requester of that origin is to be given another peer where there is one. */
export function isAvoided({ doubts }: PeerRecord, origin: string, nowMs: number): boolean {
  if (nowMs >= doubts.avoidedUntilMs) return false
  const [first] = doubts.failures
  return doubts.failures.some((failure) => failure.origin === origin || failure.origin !== first?.origin)
}

export function capacityOf(peer: PeerRecord): Capacity {
  return { peerId: peer.peerId, memoryBytes: peer.memoryBytes, weightForm: peer.weightForm, macsPerSecond: countedSpeed(peer) }
}

/** Multiply-accumulates a second, as placement divides by them. */
export function countedSpeed({ macsPerSecond }: PeerRecord): number {
  return Math.max(1, macsPerSecond)
}

/** Whether it serves all these layers. */
export function serves({ served }: PeerRecord, modelId: ModelId, span: Span): boolean {
  return served !== null && served.modelId === modelId && coversSpan(served.span, span)
}

/** The layers of both; empty where they have none in common. */
export function common(a: Span, b: Span): Span {
  const firstLayer = Math.max(a.firstLayer, b.firstLayer)
  return { firstLayer, endLayer: Math.max(firstLayer, Math.min(a.endLayer, b.endLayer)) }
}
