/**
 * Route: the chain of one session, out of what peers serve at the moment. Covers every layer once, each peer at most once, by
 * the least lap time expected: passes as measured, waiting behind the sessions that are open already, round trips between
 * peers. A chain that lost stages keeps the others and gets its holes filled.
 */

import type { Span } from '../../model/index.ts'
import { STAGES_MAX } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { HOP_MS } from './limits.ts'
import type { PlacedStage } from './placement.ts'

export interface Candidate {
  readonly peerId: PeerId
  readonly span: Span
  /** One decode row through one layer, and through the head, milliseconds. */
  readonly msPerLayer: number
  readonly headMs: number
  /** Open sessions. */
  readonly sessions: number
  /** Share of its free KV that the session would take, 0 … 1. */
  readonly kvShare: number
  readonly numericClass: string
  /** Taken only where nobody else serves: the requester's own, and who fails others though it answers. */
  readonly lastResort: boolean
}

/** Layers whose KV was computed by engines of this class: another class rebuilds it only within rounding. */
export interface LostStage {
  readonly span: Span
  readonly numericClass: string
}

export interface RouteOptions {
  /** Stages that the chain has at least, where there is a choice. */
  readonly stagesMin: number
  readonly driver: PeerId
  /** Round trip between two peers, as measured or as assumed, milliseconds. */
  readonly rttMs: (a: PeerId, b: PeerId) => number
  /** Stages of the chain with exactly these layers, in order; their peers need not be candidates. */
  readonly keep?: readonly PlacedStage[]
  readonly lost?: readonly LostStage[]
}

interface Path {
  readonly stages: readonly PlacedStage[]
  readonly costMs: number
}

/** Taking all that is left of a peer's KV costs as much as this: the next long session would find no room. */
const KV_COST_MS = 10
/** Costs that no lap reaches, one above the other. */
const OTHER_CLASS_COST_MS = 1e7
const MISSING_STAGE_COST_MS = 1e9
const LAST_RESORT_COST_MS = 1e11

/** Candidates that are looked at for each layer: the cheapest of those that hold it. */
const CANDIDATES_PER_LAYER_MAX = 8
/** Ways to the same layer in the same number of stages that are followed further, each ending at another peer. */
const PATHS_MAX = 6

/** The best chain over `layerCount` layers, in all but one of thousands of cases, or null where layers are missing. */
export function chooseChain(layerCount: number, candidates: readonly Candidate[], options: RouteOptions): PlacedStage[] | null {
  const kept = new Set(options.keep?.map(({ peerId }) => peerId))
  const others = kept.size === 0 ? candidates : candidates.filter(({ peerId }) => !kept.has(peerId))
  const few = cheapestOfEachLayer(layerCount, others, options)
  // Who gives only a part may be needed for another, so that a search over parts can miss what whole spans would cover.
  return new Search(layerCount, few, options, true).best() ?? new Search(layerCount, few, options, false).best()
}

function cheapestOfEachLayer(layerCount: number, candidates: readonly Candidate[], options: RouteOptions): Candidate[] {
  const ranked = cheapestOfEachSpan(layerCount, candidates, options).sort((a, b) => a.costMs - b.costMs || a.index - b.index)
  const takenAt = new Array<number>(layerCount).fill(0)
  const few: Candidate[] = []
  for (const { candidate } of ranked) {
    const { firstLayer, endLayer } = candidate.span
    let wanted = false
    for (let layer = firstLayer; layer < endLayer; layer++) wanted ||= (takenAt[layer] ?? 0) < CANDIDATES_PER_LAYER_MAX
    if (!wanted) continue
    few.push(candidate)
    for (let layer = firstLayer; layer < endLayer; layer++) takenAt[layer] = (takenAt[layer] ?? 0) + 1
  }
  return few
}

interface Ranked {
  readonly candidate: Candidate
  /** Among all: of equals the first is taken. */
  readonly index: number
  readonly costMs: number
}

/** No layer wants more of one span than CANDIDATES_PER_LAYER_MAX; hundreds of peers hold the same few. */
function cheapestOfEachSpan(layerCount: number, candidates: readonly Candidate[], { driver, rttMs, lost }: RouteOptions): Ranked[] {
  const bySpan = new Map<number, Ranked[]>()
  for (const [index, candidate] of candidates.entries()) {
    const { span, sessions, peerId, msPerLayer } = candidate
    const key = span.firstLayer * (layerCount + 1) + span.endLayer
    const best = bySpan.get(key) ?? []
    if (best.length === 0) bySpan.set(key, best)
    const most = best[CANDIDATES_PER_LAYER_MAX - 1]?.costMs ?? Number.POSITIVE_INFINITY
    const passesMs = msPerLayer * (1 + sessions)
    if (passesMs >= most) continue
    const hopMs = (HOP_MS + rttMs(driver, peerId)) / (span.endLayer - span.firstLayer)
    const costMs = passesMs + hopMs + avoidanceMs(candidate, span, lost)
    if (costMs >= most) continue
    const rank = best.findLastIndex((other) => other.costMs <= costMs) + 1
    best.splice(rank, 0, { candidate, index, costMs })
    best.length = Math.min(best.length, CANDIDATES_PER_LAYER_MAX)
  }
  return [...bySpan.values()].flat()
}

/** What keeps a peer from being chosen, though it could serve. */
function avoidanceMs({ numericClass, lastResort }: Candidate, part: Span, lost: readonly LostStage[] = []): number {
  if (lost.length === 0) return lastResort ? LAST_RESORT_COST_MS : 0
  const others = lost.filter((stage) => overlap(stage.span, part) && stage.numericClass !== numericClass)
  return OTHER_CLASS_COST_MS * others.length + (lastResort ? LAST_RESORT_COST_MS : 0)
}

/** From border to border, the cheapest ways that lead there. */
class Search {
  readonly #layerCount: number
  readonly #candidates: readonly Candidate[]
  readonly #options: RouteOptions
  readonly #mayDivide: boolean
  readonly #keep: readonly PlacedStage[]
  readonly #borders: readonly number[]
  /** Keys: layer, number of stages up to stagesMin, last peer. */
  readonly #paths = new Map<number, Map<number, Map<PeerId, Path>>>()

  constructor(layerCount: number, candidates: readonly Candidate[], options: RouteOptions, mayDivide: boolean) {
    this.#layerCount = layerCount
    this.#candidates = candidates
    this.#options = options
    this.#mayDivide = mayDivide
    this.#keep = options.keep ?? []
    const spans = [...candidates, ...this.#keep].map(({ span }) => span)
    const even = Array.from({ length: options.stagesMin }, (_, index) => Math.round((index * layerCount) / options.stagesMin))
    const borders = new Set([...spans.flatMap(({ firstLayer, endLayer }) => [firstLayer, endLayer]), ...even])
    this.#borders = [...borders].sort((a, b) => a - b)
  }

  best(): PlacedStage[] | null {
    this.#extend({ stages: [], costMs: 0 }, 0)
    for (const border of this.#borders) for (const path of this.#cheapest(border)) this.#extend(path, border)
    const { driver, rttMs, stagesMin } = this.#options
    const complete = this.#cheapest(this.#layerCount).map(({ stages, costMs }) => {
      const last = stages.at(-1)?.peerId ?? driver
      return { stages, costMs: costMs + rttMs(last, driver) / 2 + MISSING_STAGE_COST_MS * Math.max(0, stagesMin - stages.length) }
    })
    const [cheapest] = complete.sort((a, b) => a.costMs - b.costMs)
    return cheapest === undefined ? null : [...cheapest.stages]
  }

  #extend(path: Path, border: number): void {
    if (border === this.#layerCount || path.stages.length === STAGES_MAX) return
    const next = this.#keep.find(({ span }) => span.firstLayer >= border)
    if (next?.span.firstLayer === border) return this.#offer(path, next.peerId, next.span, 0)
    const limit = next?.span.firstLayer ?? this.#layerCount
    for (const candidate of this.#candidates) {
      const { peerId, span } = candidate
      if (span.firstLayer > border || span.endLayer <= border || path.stages.some((stage) => stage.peerId === peerId)) continue
      const furthest = Math.min(span.endLayer, limit)
      for (const endLayer of this.#borders) {
        if (endLayer <= border || endLayer > furthest || (!this.#mayDivide && endLayer < furthest)) continue
        const part = { firstLayer: border, endLayer }
        this.#offer(path, peerId, part, this.#stageMs(candidate, part))
      }
    }
  }

  /** A stage more, if there is no cheaper way to its end in as many stages that ends at the same peer. */
  #offer({ stages, costMs }: Path, peerId: PeerId, span: Span, stageMs: number): void {
    const { driver, rttMs } = this.#options
    const count = stages.length + 1
    const cost = costMs + stageMs + HOP_MS + rttMs(stages.at(-1)?.peerId ?? driver, peerId) / 2
    const paths = this.#pathsTo(span.endLayer, count)
    const same = paths.get(peerId)
    if (same === undefined || same.costMs > cost) paths.set(peerId, { stages: [...stages, { peerId, span }], costMs: cost })
  }

  #stageMs(candidate: Candidate, part: Span): number {
    const { span, sessions, kvShare } = candidate
    const waitingMs = sessions * this.#passMs(candidate, span)
    return this.#passMs(candidate, part) + waitingMs + KV_COST_MS * kvShare + avoidanceMs(candidate, part, this.#options.lost)
  }

  #passMs({ msPerLayer, headMs }: Candidate, { firstLayer, endLayer }: Span): number {
    return (endLayer - firstLayer) * msPerLayer + (endLayer === this.#layerCount ? headMs : 0)
  }

  #pathsTo(border: number, count: number): Map<PeerId, Path> {
    const counts = this.#paths.get(border) ?? new Map<number, Map<PeerId, Path>>()
    this.#paths.set(border, counts)
    const capped = Math.min(count, this.#options.stagesMin)
    const paths = counts.get(capped) ?? new Map<PeerId, Path>()
    counts.set(capped, paths)
    return paths
  }

  #cheapest(border: number): Path[] {
    const counts = [...(this.#paths.get(border)?.values() ?? [])]
    return counts.flatMap((paths) => [...paths.values()].sort((a, b) => a.costMs - b.costMs).slice(0, PATHS_MAX))
  }
}

function overlap(a: Span, b: Span): boolean {
  return a.firstLayer < b.endLayer && b.firstLayer < a.endLayer
}

/** Layers of [0, layerCount) that none of `spans` covers, as spans. */
export function uncovered(layerCount: number, spans: readonly Span[]): Span[] {
  // How many more spans hold a layer than the one before it.
  const steps = new Int32Array(layerCount + 1)
  for (const { firstLayer, endLayer } of spans) {
    steps[Math.min(firstLayer, layerCount)] = (steps[Math.min(firstLayer, layerCount)] ?? 0) + 1
    steps[Math.min(endLayer, layerCount)] = (steps[Math.min(endLayer, layerCount)] ?? 0) - 1
  }
  const gaps: Span[] = []
  let holders = 0
  let gapStart: number | null = null
  for (let layer = 0; layer <= layerCount; layer++) {
    holders += steps[layer] ?? 0
    if (holders === 0 && layer < layerCount) gapStart ??= layer
    else if (gapStart !== null) {
      gaps.push({ firstLayer: gapStart, endLayer: layer })
      gapStart = null
    }
  }
  return gaps
}
