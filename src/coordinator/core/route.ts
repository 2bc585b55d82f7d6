/**
 * Route: the chain of one session, out of what peers serve at the moment. Covers every layer once, each peer at most once;
 * fewest and least loaded stages, but no fewer than the swarm asks for where there is a choice.
 */

import type { Span } from '../../model/index.ts'
import { STAGES_MAX } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import type { PlacedStage } from './placement.ts'

export interface Candidate {
  readonly peerId: PeerId
  readonly span: Span
  /** Open sessions. */
  readonly sessions: number
  /** Taken only where nobody else serves: the requester's own. */
  readonly lastResort: boolean
}

interface Path {
  readonly stages: readonly PlacedStage[]
  readonly cost: number
}

const STAGE_COST = 1
const SESSION_COST = 0.5
/** Using a part of what a peer serves takes the rest out of nobody's hands, but hides a chain that others could have whole. */
const PART_COST = 4
const LAST_RESORT_COST = 1_000
const MISSING_STAGE_COST = 100
/** Peers of equal spans that are looked at: the least loaded. Two would do, were it not that a chain may need several. */
const ALIKE_MAX = 4

/** The best chain over `layerCount` layers, or null where layers are missing. */
export function chooseChain(layerCount: number, candidates: readonly Candidate[], stagesMin: number): PlacedStage[] | null {
  const few = leastLoadedOfEach(candidates)
  const borders = [...new Set(few.flatMap(({ span }) => [span.firstLayer, span.endLayer]))].sort((a, b) => a - b)
  // best[border]: for each number of stages the cheapest path from layer 0 to there.
  const best = new Map<number, Map<number, Path>>([[0, new Map([[0, { stages: [], cost: 0 }]])]])
  for (const border of borders) {
    for (const [count, path] of best.get(border) ?? []) {
      if (count === STAGES_MAX) continue
      for (const next of few) if (canFollow(path, next, border)) extend(best, borders, path, next, border)
    }
  }
  const complete = [...(best.get(layerCount) ?? [])].map(([count, { stages, cost }]) => ({
    stages,
    cost: cost + MISSING_STAGE_COST * Math.max(0, stagesMin - count),
  }))
  const [cheapest] = complete.sort((a, b) => a.cost - b.cost)
  return cheapest === undefined ? null : [...cheapest.stages]
}

function leastLoadedOfEach(candidates: readonly Candidate[]): Candidate[] {
  const kept = new Map<string, Candidate[]>()
  for (const candidate of [...candidates].sort((a, b) => Number(a.lastResort) - Number(b.lastResort) || a.sessions - b.sessions)) {
    const key = `${candidate.span.firstLayer}-${candidate.span.endLayer}`
    const alike = kept.get(key) ?? []
    if (alike.length < ALIKE_MAX) kept.set(key, [...alike, candidate])
  }
  return [...kept.values()].flat()
}

function canFollow(path: Path, { peerId, span }: Candidate, border: number): boolean {
  return span.firstLayer <= border && border < span.endLayer && path.stages.every((stage) => stage.peerId !== peerId)
}

function extend(best: Map<number, Map<number, Path>>, borders: readonly number[], path: Path, next: Candidate, border: number): void {
  for (const endLayer of borders) {
    if (endLayer <= border || endLayer > next.span.endLayer) continue
    const part = border !== next.span.firstLayer || endLayer !== next.span.endLayer
    const cost = path.cost + STAGE_COST + SESSION_COST * next.sessions + (part ? PART_COST : 0) + (next.lastResort ? LAST_RESORT_COST : 0)
    const paths = best.get(endLayer) ?? new Map<number, Path>()
    best.set(endLayer, paths)
    const count = path.stages.length + 1
    const known = paths.get(count)
    if (known !== undefined && known.cost <= cost) continue
    paths.set(count, { stages: [...path.stages, { peerId: next.peerId, span: { firstLayer: border, endLayer } }], cost })
  }
}

/** Layers of [0, layerCount) that none of `spans` covers, as spans. */
export function uncovered(layerCount: number, spans: readonly Span[]): Span[] {
  const gaps: Span[] = []
  let covered = 0
  for (const { firstLayer, endLayer } of [...spans].sort((a, b) => a.firstLayer - b.firstLayer)) {
    if (firstLayer > covered) gaps.push({ firstLayer: covered, endLayer: firstLayer })
    covered = Math.max(covered, endLayer)
  }
  if (covered < layerCount) gaps.push({ firstLayer: covered, endLayer: layerCount })
  return gaps
}
