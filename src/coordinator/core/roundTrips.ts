/**
 * RoundTrips: how far peers are from each other. Pairs that measured each other are known; the others follow from coordinates in
 * the plane that are fitted to what was measured (Vivaldi: Dabek, Cox, Kaashoek, Morris, SIGCOMM 2004). Peers that are near
 * each other there make up a region.
 */

import type { PeerId } from '../../shared/index.ts'
import { RTT_UNKNOWN_MS } from './limits.ts'

interface Node {
  /** Milliseconds. */
  x: number
  y: number
  /** Relative error of the coordinates, 0 … 1. */
  error: number
  samples: number
  region: number
  /** Whom chains have joined it with: only of these its word counts. The latest last. */
  readonly met: Set<PeerId>
  /** What it measured, the latest last. */
  readonly measured: Map<PeerId, number>
}

interface Region {
  readonly id: number
  /** Center of its peers. */
  x: number
  y: number
}

/** Pairs that are kept of each peer: those of its latest chains. */
const PAIRS_MAX = 64
/** Weight of a new measurement: queues on the way make single ones too long. */
const SMOOTHING = 0.25
/** Gains of the fit, as in the paper. */
const ERROR_GAIN = 0.25
const MOVE_GAIN = 0.25
/** Before so many measurements coordinates say nothing. */
const SAMPLES_MIN = 4
/** Longer ones say no more about where a peer is than this. */
const RTT_MAX_MS = 2_000
/** Peers within this distance of its center belong to a region. */
const REGION_RADIUS_MS = 30
/** Peers whose place is not known count as near the first. */
export const FIRST_REGION = 0

export class RoundTrips {
  readonly #nodes = new Map<PeerId, Node>()
  #regions: Region[] = []
  #nextRegion = FIRST_REGION

  /** A chain joins the two. */
  meet(one: PeerId, other: PeerId): void {
    if (one === other) return
    this.#note(one, other)
    this.#note(other, one)
  }

  #note(one: PeerId, other: PeerId): void {
    const { met } = this.#node(one)
    met.delete(other)
    met.add(other)
    if (met.size > PAIRS_MAX) forgetOldest(met)
  }

  /** `from` measured the way to `to` and back. It moves nobody but itself, and counts only between peers that met. */
  report(from: PeerId, to: PeerId, toldMs: number): void {
    const [node, other] = [this.#node(from), this.#node(to)]
    if (!node.met.has(to)) return
    const rttMs = Math.min(toldMs, RTT_MAX_MS)
    const known = node.measured.get(to)
    node.measured.delete(to)
    node.measured.set(to, known === undefined ? rttMs : known + SMOOTHING * (rttMs - known))
    if (node.measured.size > PAIRS_MAX) forgetOldest(node.measured)
    adjust(node, other, rttMs)
  }

  forget(peerId: PeerId): void {
    this.#nodes.delete(peerId)
    for (const { measured, met } of this.#nodes.values()) {
      measured.delete(peerId)
      met.delete(peerId)
    }
  }

  /** Milliseconds: as measured, the larger where both did, so that nobody looks near by saying so; else as fitted, else as assumed. */
  between(a: PeerId, b: PeerId): number {
    if (a === b) return 0
    const [node, other] = [this.#nodes.get(a), this.#nodes.get(b)]
    const measured = Math.max(node?.measured.get(b) ?? -1, other?.measured.get(a) ?? -1)
    if (measured >= 0) return measured
    if (node === undefined || other === undefined || node.samples < SAMPLES_MIN || other.samples < SAMPLES_MIN) return RTT_UNKNOWN_MS
    return distance(node, other)
  }

  /** A number that peers near each other share, as of the last `regroup`. */
  regionOf(peerId: PeerId): number {
    return this.#nodes.get(peerId)?.region ?? FIRST_REGION
  }

  /** Finds the regions anew; those that go on keep their numbers. */
  regroup(): void {
    const members = new Map<Region, Node[]>(this.#regions.map((region) => [region, []]))
    for (const node of this.#nodes.values()) {
      if (node.samples < SAMPLES_MIN) continue
      const [nearest] = [...members.keys()].sort((a, b) => distance(a, node) - distance(b, node))
      const fits = nearest !== undefined && distance(nearest, node) <= REGION_RADIUS_MS
      const region = fits ? nearest : { id: this.#nextRegion++, x: node.x, y: node.y }
      members.set(region, [...(members.get(region) ?? []), node])
      node.region = region.id
    }
    this.#regions = [...members].flatMap(([region, nodes]) => {
      if (nodes.length === 0) return []
      const mean = (of: (node: Node) => number) => nodes.reduce((sum, node) => sum + of(node), 0) / nodes.length
      return [{ id: region.id, x: mean(({ x }) => x), y: mean(({ y }) => y) }]
    })
  }

  #node(peerId: PeerId): Node {
    const node = this.#nodes.get(peerId) ?? newNode(peerId)
    this.#nodes.set(peerId, node)
    return node
  }
}

/** Near the origin, in a direction of its own: nodes at one point could not be pushed apart. */
function newNode(peerId: PeerId): Node {
  const angle = (Number.parseInt(peerId.slice(-8), 16) / 2 ** 32) * 2 * Math.PI
  return { x: Math.cos(angle), y: Math.sin(angle), error: 1, samples: 0, region: FIRST_REGION, met: new Set(), measured: new Map() }
}

function forgetOldest(collection: Set<PeerId> | Map<PeerId, unknown>): void {
  const [oldest] = collection.keys()
  if (oldest !== undefined) collection.delete(oldest)
}

/** Moves `node` towards the distance that was measured, the further the less is known of it beside the other. */
function adjust(node: Node, other: Node, rttMs: number): void {
  const apart = distance(node, other)
  const weight = node.error / (node.error + other.error)
  const error = Math.min(1, Math.abs(apart - rttMs) / Math.max(rttMs, 1))
  node.error = Math.max(0.01, error * ERROR_GAIN * weight + node.error * (1 - ERROR_GAIN * weight))
  const step = (MOVE_GAIN * weight * (rttMs - apart)) / Math.max(apart, 1e-3)
  node.x += step * (node.x - other.x)
  node.y += step * (node.y - other.y)
  node.samples++
}

function distance(a: { readonly x: number; readonly y: number }, b: { readonly x: number; readonly y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}
