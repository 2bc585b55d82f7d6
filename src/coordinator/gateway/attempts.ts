/**
 * Attempts: answers that may be asked for again by who asked for them: the official clients try twice more, and say so, without any key of their own for it.
 * A repeated question joins the attempt that runs, or hears its answer again from memory, and is billed once. Kept in memory alone, for minutes.
 */

import type { CancelTimer, Clock } from '../../shared/index.ts'
import { ApiError } from './apiError.ts'
import type { Attempt } from './attempt.ts'

/** What tells one question from another. */
export interface Question {
  /** Whose it is: its API key, or nobody's. */
  readonly owner: string
  /** Of its path and body. */
  readonly hash: string
  /** The client's own name for it; null: it has none. */
  readonly idempotencyKey: string | null
  /** It says that it asks again. */
  readonly isRetry: boolean
}

interface Kept {
  readonly attempt: Attempt
  readonly hash: string
  readonly sinceMs: number
}

/** A client's own deadline is ten minutes; what began longer ago is not what it asks for again. */
const KEPT_MS = 10 * 60_000
/** What was kept is forgotten at most so much later than it should be. */
const TIDY_MS = 30_000
const BYTES_MAX = 32 * 1024 * 1024
/** Beside their answers each is a few hundred bytes. */
const ATTEMPTS_MAX = 10_000
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255

export class Attempts {
  readonly #clock: Clock
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>()
  #cancelTidy: CancelTimer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The attempt that the question is to join; null: it begins one of its own. Throws an ApiError where one key names two questions. */
  find(question: Question): Attempt | null {
    this.tidy()
    const kept = this.#kept.get(nameOf(question))
    if (kept === undefined) return null
    if (kept.hash !== question.hash)
      throw new ApiError(409, 'this Idempotency-Key belongs to another request; use a fresh one for each question', {
        code: 'idempotency_key_reused',
      })
    const isRepeated = question.isRetry || question.idempotencyKey !== null
    return isRepeated && kept.attempt.isJoinable ? kept.attempt : null
  }

  add(question: Question, attempt: Attempt): void {
    const name = nameOf(question)
    this.#kept.delete(name)
    this.#kept.set(name, { attempt, hash: question.hash, sinceMs: this.#clock.nowMs() })
    this.tidy()
  }

  /** Forgets what is too old, and of what is over the oldest beyond the bounds; to be called when an attempt is over, and by itself from time to time. */
  tidy(): void {
    const nowMs = this.#clock.nowMs()
    let bytes = 0
    for (const { attempt } of this.#kept.values()) bytes += attempt.bytes
    for (const [name, { attempt, sinceMs }] of this.#kept) {
      const isBeyond = bytes > BYTES_MAX || this.#kept.size > ATTEMPTS_MAX
      if (!attempt.isOver || (!isBeyond && nowMs - sinceMs < KEPT_MS)) continue
      this.#kept.delete(name)
      bytes -= attempt.bytes
    }
    this.#cancelTidy?.()
    this.#cancelTidy = this.#kept.size === 0 ? null : this.#clock.after(TIDY_MS, () => this.tidy())
  }

  close(): void {
    this.#kept.clear()
    this.tidy()
  }
}

function nameOf({ owner, hash, idempotencyKey }: Question): string {
  return idempotencyKey === null ? `${owner} body ${hash}` : `${owner} key ${idempotencyKey}`
}
