/**
 * Where the parts of the swarm's picture lie, in pixels: the model as a strip of layers, above it each tab as a cell with the
 * band of its layers. Pure, so that 0, 1, 2 and hundreds of tabs are tested without a browser; swarmPicture.tsx draws it.
 */

import type { NetworkSummary } from '../../protocol/index.ts'

export type SwarmSummary = NetworkSummary['swarms'][number]
export type VolunteerSummary = SwarmSummary['volunteers'][number]

export interface Band {
  readonly volunteer: VolunteerSummary
  readonly x: number
  readonly width: number
  readonly y: number
}

export interface Layer {
  /** From 0. */
  readonly layer: number
  readonly x: number
  readonly width: number
  /** How many tabs serve it. */
  readonly depth: number
}

export interface FreeCell {
  readonly volunteer: VolunteerSummary
  readonly x: number
  readonly y: number
}

export interface SwarmLayout {
  readonly height: number
  readonly layers: readonly Layer[]
  readonly stripY: number
  /** One band a tab; empty where there are too many to draw one by one. */
  readonly bands: readonly Band[]
  /** With too many bands: how deep each layer is covered, against this maximum. Null otherwise. */
  readonly depthMax: number | null
  /** Cells without a band: tabs that wait, and all tabs where bands are not drawn. */
  readonly cells: readonly FreeCell[]
  /** Tabs that no cell is drawn for. */
  readonly hiddenCells: number
}

/** More lanes than this are read as depths, not as tabs. */
const LANES_MAX = 6
export const LANE_HEIGHT = 58
export const STRIP_HEIGHT = 18
export const DEPTH_HEIGHT = 96
export const CELL_RADIUS = 15
const CELL_STEP_X = 34
const CELL_STEP_Y = 30
const CELL_ROWS_MAX = 4
/** Room under the strip for its numbers. */
const LABEL_HEIGHT = 24
const GAP = 14

export function layOut(swarm: SwarmSummary, width: number): SwarmLayout {
  const step = width / Math.max(1, swarm.layerCount)
  const hosts = swarm.volunteers.filter((volunteer) => volunteer.span !== null)
  const lanes = assignLanes(hosts)
  const laneCount = lanes.reduce((most, lane) => Math.max(most, lane + 1), 0)
  const many = laneCount > LANES_MAX
  const topHeight = many ? DEPTH_HEIGHT : Math.max(1, laneCount) * LANE_HEIGHT
  const stripY = topHeight + 4
  const depths = coverage(swarm)
  const { cells, hidden, rows } = placeCells(
    many ? swarm.volunteers : swarm.volunteers.filter(({ span }) => span === null),
    width,
    stripY + STRIP_HEIGHT + LABEL_HEIGHT + GAP,
  )
  return {
    height: stripY + STRIP_HEIGHT + LABEL_HEIGHT + (rows === 0 ? 0 : GAP + rows * CELL_STEP_Y + 6 + (hidden > 0 ? LABEL_HEIGHT : 0)),
    layers: depths.map((depth, at) => ({ layer: at, x: at * step, width: step, depth })),
    stripY,
    bands: many ? [] : hosts.map((volunteer, at) => toBand(volunteer, laneCount - 1 - (lanes[at] ?? 0), step)),
    depthMax: many ? Math.max(...depths, 1) : null,
    cells,
    hiddenCells: hidden,
  }
}

/** How many tabs serve each layer. */
export function coverage({ layerCount, volunteers }: SwarmSummary): number[] {
  const depths = Array.from({ length: layerCount }, () => 0)
  for (const { state, span } of volunteers) {
    if (state !== 'serving' || span === null) continue
    for (let layer = span.firstLayer; layer < Math.min(span.endLayer, layerCount); layer++) depths[layer] = (depths[layer] ?? 0) + 1
  }
  return depths
}

/** First free lane for each span, so that bands never overlap. */
function assignLanes(hosts: readonly VolunteerSummary[]): number[] {
  const taken: { firstLayer: number; endLayer: number }[][] = []
  return hosts.map(({ span }) => {
    if (span === null) return 0
    let lane = taken.findIndex((spans) => spans.every((other) => other.endLayer <= span.firstLayer || span.endLayer <= other.firstLayer))
    if (lane === -1) lane = taken.push([]) - 1
    taken[lane]?.push(span)
    return lane
  })
}

function toBand(volunteer: VolunteerSummary, lane: number, step: number): Band {
  const { firstLayer, endLayer } = volunteer.span ?? { firstLayer: 0, endLayer: 0 }
  return { volunteer, x: firstLayer * step, width: (endLayer - firstLayer) * step, y: lane * LANE_HEIGHT }
}

/** Rows of a honeycomb; what does not fit CELL_ROWS_MAX rows is only counted. */
function placeCells(volunteers: readonly VolunteerSummary[], width: number, top: number) {
  const perRow = Math.max(1, Math.floor((width - CELL_STEP_X / 2) / CELL_STEP_X))
  const shown = volunteers.slice(0, perRow * CELL_ROWS_MAX)
  const cells = shown.map((volunteer, at) => {
    const row = Math.floor(at / perRow)
    const x = CELL_RADIUS + 2 + (at % perRow) * CELL_STEP_X + (row % 2) * (CELL_STEP_X / 2)
    return { volunteer, x, y: top + CELL_RADIUS + row * CELL_STEP_Y }
  })
  return { cells, hidden: volunteers.length - shown.length, rows: Math.ceil(shown.length / perRow) }
}

/** The picture in one sentence, for those who do not see it and above it for all. */
export function describeSwarm(swarm: SwarmSummary): string {
  const serving = swarm.volunteers.filter(({ state }) => state === 'serving').length
  const loading = swarm.volunteers.filter(({ state }) => state === 'loading').length
  const waiting = swarm.volunteers.filter(({ state }) => state === 'waiting').length
  const parts: string[] = []
  if (serving > 0) parts.push(`${serving} serving`)
  if (loading > 0) parts.push(`${loading} loading`)
  if (waiting > 0) parts.push(`${waiting} waiting`)
  const covered = coverage(swarm).filter((depth) => depth > 0).length
  const tabs = parts.length === 0 ? 'Nobody is contributing right now' : `Contributing tabs: ${parts.join(', ')}`
  return `${tabs}; ${covered} of ${swarm.layerCount} layers of ${swarm.name} have a home.`
}
