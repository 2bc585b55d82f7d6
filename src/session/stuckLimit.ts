/**
 * StuckLimit: how long stages that answer pings may get on with nothing. Before a session's first results nobody knows what its laps take;
 * then it follows the longest silence that ended well. That is one pass of one stage: planners cut passes to about a second, where they can.
 */

import { DRAFT_TOKENS_MAX } from './speculation.ts'

/** Until laps have worked, and never more: shaders compile, and a first pass on a software GPU took 60 s. */
export const STUCK_MS = 120_000

/** So many times the longest silence so far: a stage that served one session may by now serve several in a pass, with parts of prompts. */
export const STUCK_FACTOR = 8

/** And at least this: a machine with other work stalls for seconds. */
export const STUCK_MIN_MS = 10_000

/**
 * In a repaired chain before its first results: who is new may be far slower, and in software a prompt's chunk takes a stage 10 s. And while a
 * prompt is owed: a stage computes the prompts of its sessions in turn, a second or less each, and decode rows all together.
 */
export const STUCK_SLOW_MIN_MS = 30_000

/** A lap that is no prompt's has at most so many rows. */
const DECODE_ROWS_MAX = DRAFT_TOKENS_MAX + 1

export class StuckLimit {
  /** Null before the session's first results. */
  #leastMs: number | null = null
  #longestMs = 0
  /** The most rows that were owed in a silence that ended well. */
  #owedRowsMax = 1

  /** A silence has ended well, in which `owedRows` were owed. */
  ended(silentMs: number, owedRows: number): void {
    this.#longestMs = Math.max(this.#longestMs, silentMs)
    this.#owedRowsMax = Math.max(this.#owedRowsMax, owedRows)
  }

  /** Results have come through the whole chain. */
  worked(): void {
    this.#leastMs = STUCK_MIN_MS
  }

  /** Another chain. */
  restart(): void {
    if (this.#leastMs !== null) this.#leastMs = STUCK_SLOW_MIN_MS
  }

  /** While `owedRows` are owed: a pass takes at most as many times longer as it has more rows. */
  limitMs(owedRows: number): number {
    if (this.#leastMs === null) return STUCK_MS
    const adaptedMs = STUCK_FACTOR * this.#longestMs * Math.max(1, owedRows / this.#owedRowsMax)
    const leastMs = owedRows > DECODE_ROWS_MAX ? STUCK_SLOW_MIN_MS : this.#leastMs
    return Math.min(STUCK_MS, Math.max(leastMs, adaptedMs))
  }
}
