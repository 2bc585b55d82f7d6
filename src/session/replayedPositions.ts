/** What a repair costs: positions that are sent again, out of the logs of those who stay. */

import type { PeerId } from '../shared/index.ts'

/** Positions that a peer has of these layers. */
export interface ComputedSpan {
  readonly peerId: PeerId
  readonly firstLayer: number
  readonly endLayer: number
  readonly positions: number
}

export interface ChainBefore {
  /** Positions that the driver had sent. */
  readonly sent: number
  readonly stages: readonly ComputedSpan[]
}

/**
 * The most positions that a stage of the repaired chain lacks, and that the one before its first layer had computed when the chain broke (before
 * the first stage: that the driver had sent). Somebody new lacks all: what it says to have when the chain is open, it may have been sent since.
 */
export function replayedPositions({ sent, stages }: ChainBefore, repaired: readonly ComputedSpan[]): number {
  const reached = (firstLayer: number) =>
    firstLayer === 0 ? sent : (stages.find((stage) => stage.firstLayer < firstLayer && firstLayer <= stage.endLayer)?.positions ?? 0)
  const kept = ({ peerId, firstLayer, endLayer, positions }: ComputedSpan) =>
    stages.some((stage) => stage.peerId === peerId && stage.firstLayer === firstLayer && stage.endLayer === endLayer) ? positions : 0
  return Math.max(0, ...repaired.map((stage) => reached(stage.firstLayer) - kept(stage)))
}
