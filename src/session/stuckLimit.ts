/**
 * StuckLimit: how long stages that answer pings may get on with nothing. Before a session's first results nobody knows what its laps take;
 * then it follows the longest silence that ended well. That is one pass of one stage: planners cut passes to about a second, where they can.
 */

/** Until laps have worked, and never more: shaders compile, and a first pass on a software GPU took 60 s. */
export const STUCK_MS = 120_000

/** So many times the longest silence so far: a stage that served one session may by now serve several in a pass, with parts of prompts. */
export const STUCK_FACTOR = 8

/** And at least this: a machine with other work stalls for seconds. */
export const STUCK_MIN_MS = 10_000

/** In a repaired chain before its first results: who is new may be far slower, and in software a prompt's chunk takes a stage 10 s. */
export const STUCK_NEW_MIN_MS = 30_000

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
    if (this.#leastMs !== null) this.#leastMs = STUCK_NEW_MIN_MS
  }

  /** While `owedRows` are owed: a pass takes at most as many times longer as it has more rows. */
  limitMs(owedRows: number): number {
    if (this.#leastMs === null) return STUCK_MS
    const adaptedMs = STUCK_FACTOR * this.#longestMs * Math.max(1, owedRows / this.#owedRowsMax)
    return Math.min(STUCK_MS, Math.max(this.#leastMs, adaptedMs))
  }
}
