/**
 * Expectations: how long an answer will be and take, by those that came last here. What nobody has measured is not guessed; the reading of the prompt is
 * not counted.
 */

import type { ModelId } from '../../shared/index.ts'
import { badParameter } from './apiError.ts'
import { ANSWER_TOKENS_DEFAULT } from './ports.ts'
import type { AnswerRequest } from './requests.ts'
import type { UsageRecords } from './usageRecords.ts'

/** Of a model: recent enough to follow its swarm, and enough for one slow chain not to decide. */
const PACES_MAX = 64
/** A shorter answer says little of a pace. */
const TOKENS_MIN = 8
/** Longer than that a line that says nothing does not last, and its client loses an answer that it pays for. */
const WHOLE_MS_MAX = 240_000

export class Expectations {
  readonly #usage: Pick<UsageRecords, 'usualTokens'>
  /** Milliseconds a token, oldest first. */
  readonly #paces = new Map<ModelId, number[]>()

  constructor(usage: Pick<UsageRecords, 'usualTokens'>) {
    this.#usage = usage
  }

  /** So many tokens of each choice came within `durationMs`, from the first of them on. */
  came(modelId: ModelId, tokens: number, durationMs: number): void {
    if (tokens < TOKENS_MIN) return
    const paces = [...(this.#paces.get(modelId) ?? []), durationMs / (tokens - 1)]
    this.#paces.set(modelId, paces.slice(-PACES_MAX))
  }

  /** Of an answer that may have `maxTokens`. */
  tokens(modelId: ModelId, maxTokens: number): number {
    return Math.min(maxTokens, this.#usage.usualTokens(modelId) ?? maxTokens)
  }

  /** Throws an ApiError where a client that waits for its answer whole would wait too long. */
  checkWait({ stream, maxTokens }: AnswerRequest, modelId: ModelId): void {
    const pace = this.#usualPace(modelId)
    const most = maxTokens ?? ANSWER_TOKENS_DEFAULT
    if (stream || pace === null || pace * most <= WHOLE_MS_MAX) return
    const expectedMs = pace * this.tokens(modelId, most)
    if (expectedMs <= WHOLE_MS_MAX) return
    const why = `this answer is expected to take ${Math.round(expectedMs / 1_000)} s, more than ${WHOLE_MS_MAX / 1_000} s without a word`
    throw badParameter('stream', `${why}: send stream: true, or ask for fewer tokens`, 'use_streaming')
  }

  /** The middle one; null: nobody knows. */
  #usualPace(modelId: ModelId): number | null {
    const sorted = [...(this.#paces.get(modelId) ?? [])].sort((one, other) => one - other)
    return sorted[Math.floor(sorted.length / 2)] ?? null
  }
}
