/**
 * ModelDrafter: drafts by a small model with the answer's own vocabulary, which runs whole wherever its DraftSource is: behind a
 * worker in the requester's tab, or in this process. It knows what a drafted token takes and how often its own were right; whether
 * that is worth the wait is decided in speculation.ts.
 */

import type { Clock } from '../shared/index.ts'
import type { Drafter, DraftRequest, DraftToken } from './drafter.ts'
import { HitRate } from './speculationAcceptance.ts'

/** Where the small model computes: one session of it, for one answer. One call does all that is asked for at one time. */
export interface DraftSource {
  /**
   * Appends certain tokens and drafts up to `count` to follow all of them; with 0 they are only computed. One call at a time. Rejects
   * with a TabswarmError, after which the session is of no use.
   */
  draft(ids: readonly number[], count: number): Promise<readonly DraftToken[]>
  close(): void
}

/** Before a token of the model was compared. */
const LIKELIHOOD_PRIOR = 0.6

/** Drafted and thrown away behind the prompt, so that what a token takes is known before anybody waits for one. */
const TRIAL_TOKENS = 2

/** Calls that are remembered. What a token takes is the least of them: those beside a lap may share the machine with it. */
const CALLS_REMEMBERED = 5

/** With more tokens than one pass of decode rows takes the model is behind: it catches up while nobody waits. */
const BEHIND_TOKENS = 8

/** Of the laps that a draft is not worth waiting for, the first so many are guessed beside them all the same, and then each so manieth. */
const TRIAL_LAPS = 8

export class ModelDrafter implements Drafter {
  readonly #source: DraftSource
  readonly #clock: Clock
  readonly #onFailed: (error: unknown) => void
  /** Certain tokens that the source was not told yet. */
  #untold: number[] = []
  /** The draft that the next certain tokens are compared with. */
  #compared: readonly DraftToken[] = []
  readonly #hits = new HitRate()
  /** Milliseconds a token of the last calls; none before the prompt is computed. */
  readonly #tokenMs: number[] = []
  /** That a draft was not worth waiting for. */
  #idleLaps = 0
  #begun = false
  #busy = false
  #ended = false

  /** `onFailed` is called once, when the source rejects: then the answer goes on without its drafts. */
  constructor(source: DraftSource, clock: Clock, onFailed: (error: unknown) => void) {
    this.#source = source
    this.#clock = clock
    this.#onFailed = onFailed
  }

  append(ids: readonly number[]): void {
    this.#compare(ids)
    for (const id of ids) this.#untold.push(id)
    if (this.#begun) return
    this.#begun = true
    // The prompt is computed while the chain computes it.
    void this.#ask(0).then(() => this.#ask(TRIAL_TOKENS))
  }

  draft({ limit, countWorth }: DraftRequest): readonly DraftToken[] | Promise<readonly DraftToken[]> {
    if (this.#ended || this.#busy || this.#tokenMs.length === 0) return []
    const count = Math.min(limit, countWorth(Math.min(...this.#tokenMs), this.#hits.of(LIKELIHOOD_PRIOR)))
    if (count > 0 && this.#untold.length <= BEHIND_TOKENS) return this.#guess(count)
    if (count > 0 || this.#isTrial()) void this.#guess(1)
    return []
  }

  close(): void {
    if (this.#ended) return
    this.#ended = true
    this.#source.close()
  }

  /** How often the model is right is learned while the lap is under way: that costs the answer nothing. */
  #isTrial(): boolean {
    this.#idleLaps++
    return this.#idleLaps <= TRIAL_LAPS || this.#idleLaps % TRIAL_LAPS === 0
  }

  async #guess(count: number): Promise<readonly DraftToken[]> {
    const drafted = await this.#ask(count)
    // What came too late for its lap stands behind tokens that are no longer the last.
    if (this.#untold.length === 0) this.#compared = drafted
    return drafted
  }

  #compare(ids: readonly number[]): void {
    for (const [index, id] of ids.entries()) {
      const token = this.#compared[index]
      if (token === undefined) break
      this.#hits.observe(token.id === id)
      if (token.id !== id) break
    }
    this.#compared = []
  }

  /** [] when it fails: an answer never waits for a drafter to come back. */
  async #ask(count: number): Promise<readonly DraftToken[]> {
    if (this.#ended) return []
    const ids = this.#untold
    this.#untold = []
    this.#busy = true
    const startedMs = this.#clock.nowMs()
    try {
      const drafted = await this.#source.draft(ids, count)
      if (count > 0) this.#remember((this.#clock.nowMs() - startedMs) / Math.max(1, drafted.length))
      return drafted
    } catch (error) {
      if (!this.#ended) this.#onFailed(error)
      this.close()
      return []
    } finally {
      this.#busy = false
    }
  }

  #remember(tokenMs: number): void {
    this.#tokenMs.push(tokenMs)
    if (this.#tokenMs.length > CALLS_REMEMBERED) this.#tokenMs.shift()
  }
}
