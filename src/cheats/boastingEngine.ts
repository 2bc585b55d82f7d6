/**
 * BoastingEngine: computes honestly, and says that it took a fraction of the time. The pledge of a tab that lies about its speed says the same of
 * the probe, and may call the machine by another one's name: equal adapters are believed to be equally fast.
 */

import type { Span } from '../model/index.ts'
import type { Result } from '../shared/index.ts'
import type { Engine, ForwardResult, Segment, Slot } from '../worker/engine.ts'
import { PassingEngine } from './passingEngine.ts'

/** How many times as fast: lie-speed in the machine's own name, lie-adapter in that of one that is so much faster. */
export const SPEED_LIES = { 'lie-speed': 10, 'lie-adapter': 4 } as const
export type SpeedLie = keyof typeof SPEED_LIES

const FASTER_ADAPTER = 'NVIDIA GeForce RTX 4090'

export class BoastingEngine extends PassingEngine {
  readonly #factor: number
  readonly #isTurn: () => boolean
  #boasts = false

  /** `isTurn` is asked as each session opens; passes are told together, so from the first one on all are shortened. */
  constructor(inner: Engine, factor: number, isTurn: () => boolean) {
    super(inner)
    this.#factor = factor
    this.#isTurn = isTurn
  }

  override open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    const opened = super.open(request)
    if (opened.ok && this.#isTurn()) this.#boasts = true
    return opened
  }

  override async forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const result = await super.forward(segments)
    return this.#boasts ? { ...result, computeMs: result.computeMs / this.#factor } : result
  }
}

/** What such a tab says that its device is. */
export function boasted<Detected extends { readonly adapter: string; readonly macsPerSecond: number }>(
  lie: SpeedLie,
  detected: Detected,
): Detected {
  const macsPerSecond = SPEED_LIES[lie] * detected.macsPerSecond
  return { ...detected, macsPerSecond, ...(lie === 'lie-adapter' && { adapter: FASTER_ADAPTER }) }
}
