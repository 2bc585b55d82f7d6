/**
 * StopSequences: ends a text where a stop string begins, although the string may come in pieces. Text that could be the
 * beginning of a stop string is held back until it cannot be. What comes out does not depend on how the text was cut.
 */

import { SessionError } from './errors.ts'

/** OpenAI allows 4; more does no harm, but every character is compared with each. */
export const STOP_SEQUENCES_MAX = 16

/** Characters of one stop string: as much text may be held back. */
export const STOP_SEQUENCE_CHARACTERS_MAX = 1_000

export class StopSequences {
  readonly #stops: readonly string[]
  #held = ''
  #stopped = false

  /** Throws SessionError `bad-request` on too many, too long or empty stop strings. */
  constructor(stops: readonly string[]) {
    if (stops.length > STOP_SEQUENCES_MAX) {
      throw new SessionError('bad-request', `${stops.length} stop strings; give at most ${STOP_SEQUENCES_MAX}`)
    }
    for (const stop of stops) {
      if (stop.length === 0 || stop.length > STOP_SEQUENCE_CHARACTERS_MAX) {
        throw new SessionError(
          'bad-request',
          `a stop string has ${stop.length} characters; allowed are 1 to ${STOP_SEQUENCE_CHARACTERS_MAX}`,
        )
      }
    }
    this.#stops = stops
  }

  /** Whether there is nothing to stop at. */
  get isEmpty(): boolean {
    return this.#stops.length === 0
  }

  /** Whether a stop string has been seen; nothing is released after it. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** The text that may be shown now. */
  push(text: string): string {
    if (this.#stopped) return ''
    const whole = this.#held + text
    const start = this.#firstMatch(whole)
    if (start !== null) {
      this.#stopped = true
      this.#held = ''
      return whole.slice(0, start)
    }
    const heldLength = this.#pendingLength(whole)
    this.#held = whole.slice(whole.length - heldLength)
    return whole.slice(0, whole.length - heldLength)
  }

  /** Nothing follows: what was held back is text after all. */
  flush(): string {
    const held = this.#held
    this.#held = ''
    return held
  }

  /** Another that goes on from here without changing this one. */
  fork(): StopSequences {
    const fork = new StopSequences(this.#stops)
    fork.#held = this.#held
    fork.#stopped = this.#stopped
    return fork
  }

  /** Where the stop string that is complete first begins; of several that end together the longest. */
  #firstMatch(whole: string): number | null {
    let best: { start: number; end: number } | null = null
    for (const stop of this.#stops) {
      const start = whole.indexOf(stop)
      if (start < 0) continue
      const end = start + stop.length
      if (best === null || end < best.end || (end === best.end && start < best.start)) best = { start, end }
    }
    return best?.start ?? null
  }

  /** Length of the longest end of `whole` that begins a stop string. */
  #pendingLength(whole: string): number {
    let longest = 0
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, whole.length); length > longest; length--) {
        if (whole.endsWith(stop.slice(0, length))) {
          longest = length
          break
        }
      }
    }
    return longest
  }
}
