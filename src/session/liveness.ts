/**
 * Liveness: notices that a chain that owes rows has fallen silent, and which stage did. A lap takes 30 ms on one machine and a minute on
 * another, so the first limit follows what this chain has taken lately. Then every stage is pinged, directly and through the
 * chain: who does not answer is gone, and a hop that the second ping did not pass is cut. Who answers and still gets on with nothing
 * is given longer: StuckLimit. A lost link is noticed sooner, by the link.
 */

import type { CancelTimer, Clock } from '../shared/index.ts'
import { StuckLimit } from './stuckLimit.ts'

/** Silence after which stages are pinged: at least this, */
export const QUIET_MIN_MS = 400

/** or so many times the longest silence lately. */
export const QUIET_FACTOR = 3

/** A silence counts less with each sign of life that follows it. */
const DECAY = 0.8

/** How long a pinged stage may take: at least this, at most that; else so many times the slowest answer lately. */
export const ANSWER_MIN_MS = 800
export const ANSWER_MAX_MS = 10_000
const ANSWER_FACTOR = 8

/** Until somebody was pinged, an answer is taken to need this long: a busy machine that computes its first pass. */
const ANSWER_UNKNOWN_MS = 300

/** The same for a stage that the coordinator has lost sight of. */
export const ANSWER_HURRY_MIN_MS = 300
const ANSWER_HURRY_FACTOR = 4

/** Between one round of pings and the next while a slow pass goes on. */
const PING_AGAIN_MS = 2_000

export interface LivenessEvents {
  /** Asks every stage to answer `sequence`. */
  ping(sequence: number): void
  /** Stages that do not answer. */
  onSilent(stageIndexes: readonly number[], silentMs: number): void
  /** The hop to this stage lets nothing through. */
  onCut(stageIndex: number): void
  /** Everybody answers, and nothing has come for `silentMs`. */
  onStuck(silentMs: number): void
}

export class Liveness {
  readonly #clock: Clock
  readonly #events: LivenessEvents
  #stageCount: number
  #cancel: CancelTimer | null = null
  /** When something was last heard that shows progress. */
  #progressMs = 0
  #longestMs = 0
  readonly #stuckLimit = new StuckLimit()
  #owedRows = 0
  /** Null before the first. */
  #slowestAnswerMs: number | null = null
  #sequence = 0
  #pingedMs = 0
  #direct = new Set<number>()
  #through = new Set<number>()

  constructor(clock: Clock, stageCount: number, events: LivenessEvents) {
    this.#clock = clock
    this.#stageCount = stageCount
    this.#events = events
  }

  /** So many rows are owed: from now on something must be heard. */
  expect(owedRows: number): void {
    this.#owedRows = owedRows
    if (this.#cancel !== null) return
    this.#progressMs = this.#clock.nowMs()
    this.#waitQuietly()
  }

  /** A pass was computed or results came; so many rows are still owed. */
  progress(owedRows: number): void {
    if (this.#cancel === null) return
    const silentMs = this.#clock.nowMs() - this.#progressMs
    this.#longestMs = Math.max(silentMs, this.#longestMs * DECAY)
    this.#stuckLimit.ended(silentMs, this.#owedRows)
    this.rest()
    if (owedRows > 0) this.expect(owedRows)
  }

  /** Results came: every stage has computed something. */
  resultsCame(owedRows: number): void {
    this.#stuckLimit.worked()
    this.progress(owedRows)
  }

  answered(stageIndex: number, sequence: number, through: boolean): void {
    if (sequence !== this.#sequence) return
    if (through) this.#through.add(stageIndex)
    else this.#direct.add(stageIndex)
    const tookMs = this.#clock.nowMs() - this.#pingedMs
    this.#slowestAnswerMs = Math.max(tookMs, (this.#slowestAnswerMs ?? 0) * DECAY)
  }

  /** Asks everybody once, so that it is known how long answers take. */
  measure(): void {
    if (this.#cancel === null) this.#ask()
  }

  /** A stage may be gone: if rows are owed, everybody is pinged at once and has to answer sooner. */
  hurry(): void {
    if (this.#cancel === null) return
    this.#cancel()
    this.#ping(Math.max(ANSWER_HURRY_MIN_MS, ANSWER_HURRY_FACTOR * (this.#slowestAnswerMs ?? ANSWER_UNKNOWN_MS)))
  }

  /** Nothing is owed. */
  rest(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  /** Another chain. */
  restart(stageCount: number): void {
    this.rest()
    this.#stuckLimit.restart()
    this.#stageCount = stageCount
  }

  #waitQuietly(): void {
    const quietMs = Math.max(QUIET_MIN_MS, QUIET_FACTOR * this.#longestMs)
    this.#cancel = this.#clock.after(quietMs, () => this.#ping(this.#usualAnswerMs))
  }

  get #usualAnswerMs(): number {
    const slowestMs = this.#slowestAnswerMs ?? ANSWER_UNKNOWN_MS
    return Math.min(ANSWER_MAX_MS, Math.max(ANSWER_MIN_MS, ANSWER_FACTOR * slowestMs))
  }

  #ping(answerMs: number): void {
    this.#cancel = this.#clock.after(answerMs, () => this.#judge())
    this.#ask()
  }

  #ask(): void {
    this.#sequence++
    this.#pingedMs = this.#clock.nowMs()
    this.#direct = new Set()
    this.#through = new Set()
    this.#events.ping(this.#sequence)
  }

  #judge(): void {
    this.#cancel = null
    const silentMs = this.#clock.nowMs() - this.#progressMs
    const silent = Array.from({ length: this.#stageCount }, (_, index) => index).filter((index) => !this.#direct.has(index))
    if (silent.length > 0) {
      // It may only have been busy: the next one gets twice the time.
      this.#slowestAnswerMs = 2 * (this.#slowestAnswerMs ?? ANSWER_UNKNOWN_MS)
      return this.#events.onSilent(silent, silentMs)
    }
    for (let index = 0; index < this.#stageCount; index++) if (!this.#through.has(index)) return this.#events.onCut(index)
    if (silentMs >= this.#stuckLimit.limitMs(this.#owedRows)) return this.#events.onStuck(silentMs)
    this.#cancel = this.#clock.after(PING_AGAIN_MS, () => this.#ping(this.#usualAnswerMs))
  }
}
