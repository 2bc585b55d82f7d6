/**
 * PassGauge: whether passes take longer than in quiet times. Only passes of one decode row count, as milliseconds a layer, and each mix of
 * layers and heads of one span is compared with itself: more sessions make passes wider, not these.
 */

import type { PassTimes } from '../stage/index.ts'

/** Passes are averaged over windows of at least so long, */
export const WINDOW_MS = 1_000
/** and so many: one pass may meet a collection of garbage. */
export const WINDOW_PASSES_MIN = 4

/** Quiet windows that are remembered: half a minute, so that a long context, which makes passes slower bit by bit, moves the bound along. */
const QUIET_WINDOWS_MAX = 32
/** With fewer nothing is known. */
export const QUIET_WINDOWS_MIN = 5

/** Slower by this factor is somebody else's work. A second tab of a swarm on the same machine doubles a pass, and so does a context of 4,096. */
export const SLOW_FACTOR = 3

/** Slow windows in a row: as long as this together, */
export const SLOW_AFTER_MS = 5_000
/** where none counts for more than this: nothing may have been asked between two passes. */
const WINDOW_COUNTS_MS_MAX = 2_000

/** Mixes that are remembered: a peer serves one span at a time, and few parts of it. */
const MIXES_MAX = 8

const NOTHING: PassTimes = { count: 0, layers: 0, heads: 0, ms: 0 }

export class PassGauge {
  /** Of each mix its latest quiet windows, milliseconds a layer. */
  readonly #quiet = new Map<string, readonly number[]>()
  #served = ''
  #begun = NOTHING
  #begunMs = 0
  #slowMs = 0

  get isSlow(): boolean {
    return this.#slowMs >= SLOW_AFTER_MS
  }

  /** `passes`: counters that only rise while `served` stays, but for an engine that begins anew. */
  observe(served: string, passes: PassTimes, nowMs: number): void {
    if (served !== this.#served || passes.count < this.#begun.count) {
      this.#served = served
      this.#begin(passes, nowMs)
      return
    }
    const count = passes.count - this.#begun.count
    if (count < WINDOW_PASSES_MIN || nowMs - this.#begunMs < WINDOW_MS) return
    const layers = passes.layers - this.#begun.layers
    const heads = passes.heads - this.#begun.heads
    this.#judge(`${served} ${(heads / layers).toFixed(2)}`, (passes.ms - this.#begun.ms) / layers, nowMs)
    this.#begin(passes, nowMs)
  }

  /** No passes follow for a while. */
  rest(): void {
    this.#slowMs = 0
  }

  /** As slow as it is now is how it shall be. */
  forget(): void {
    this.rest()
    this.#quiet.clear()
  }

  #begin(passes: PassTimes, nowMs: number): void {
    this.#begun = passes
    this.#begunMs = nowMs
  }

  #judge(mix: string, msPerLayer: number, nowMs: number): void {
    const known = this.#quiet.get(mix) ?? []
    if (known.length >= QUIET_WINDOWS_MIN && msPerLayer >= SLOW_FACTOR * middle(known)) {
      this.#slowMs += Math.min(nowMs - this.#begunMs, WINDOW_COUNTS_MS_MAX)
      return
    }
    this.rest()
    this.#quiet.delete(mix)
    this.#quiet.set(mix, [...known, msPerLayer].slice(-QUIET_WINDOWS_MAX))
    const [oldest] = this.#quiet.keys()
    if (this.#quiet.size > MIXES_MAX && oldest !== undefined) this.#quiet.delete(oldest)
  }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}
