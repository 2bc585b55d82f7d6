/**
 * Speculation: whether a lap carries draft tokens behind the last one, and how many. The rows of a draft are verified by one
 * lap: what the sampler draws from the row before is what the draft said, or the rest is truncated. That is exact, also in
 * distribution: a draw depends on seed, position and candidates alone, and a row's candidates not on the rows beside it.
 * https://arxiv.org/abs/2211.17192 describes it for draft models.
 *
 * It costs time only, so time decides: what a lap of so many rows takes (LapCosts) against how often such drafts are right
 * (Acceptance), both measured in this answer. Both are estimates, so what may be lost by them is bounded.
 */

import type { Clock } from '../shared/index.ts'
import type { Drafter, DraftToken } from './drafter.ts'
import { Acceptance } from './speculationAcceptance.ts'
import { LapCosts } from './speculationCosts.ts'

/** A lap of 32 rows: four groups of the decode path's eight, and half of what a stage takes of all its sessions into a pass. */
export const DRAFT_TOKENS_MAX = 31

/** Tokens a millisecond that a draft must promise, × those of a lap without: below, the estimates' noise decides. */
const GAIN_MIN = 1.07

/**
 * What speculation may have lost on balance, in laps of one row: a start, and so much more for each token. Beyond it goes one
 * draft, by at most so many laps. What rows cost is not known at first, which may lose three more; never more than that.
 */
const CREDIT_START_LAPS = 0.4
const CREDIT_LAPS_PER_TOKEN = 0.01
const OVERDRAFT_LAPS_MAX = 1

interface SpeculationRequest {
  /** Tokens that the answer has room for; with 0 or less nothing is drafted. */
  readonly room: number
  /** How many of these ids the answer has use for, from the first on. */
  readonly countUsable: (ids: readonly number[]) => number
  readonly signal: AbortSignal
}

/** For one answer. Call `append` with the prompt, then `draft` and `observe` in turn, once each lap. */
export class Speculation {
  readonly #drafter: Drafter
  readonly #clock: Clock
  readonly #lapCosts = new LapCosts()
  readonly #acceptance = new Acceptance()
  /** What was paid for, and what it gave. */
  readonly #account = { tokens: 0, sentTokens: 0, acceptedTokens: 0, draftMs: 0 }
  #draft: readonly DraftToken[] = []
  #sentCount = 0
  #lastLapMs = 0
  /** Grows with what was right, so that who never was is never sent at length. */
  #lengthMax = 1

  constructor(drafter: Drafter, clock: Clock) {
    this.#drafter = drafter
    this.#clock = clock
  }

  append(ids: readonly number[]): void {
    this.#drafter.append(ids)
  }

  /** The ids to send behind the last token: [] where that is faster. */
  async draft({ room, countUsable, signal }: SpeculationRequest): Promise<readonly number[]> {
    const limit = Math.min(room, DRAFT_TOKENS_MAX)
    const startedMs = this.#clock.nowMs()
    // Who has lost more than may be lost is not asked.
    const drafted = limit > 0 && this.#creditLaps() > 0 ? await this.#ask(limit, signal) : []
    this.#account.draftMs += this.#clock.nowMs() - startedMs
    const ids = drafted.slice(0, limit).map(({ id }) => id)
    this.#draft = drafted.slice(0, countUsable(ids))
    this.#sentCount = this.#bestLength(this.#draft.map((token) => this.#acceptance.of(token)))
    return ids.slice(0, this.#sentCount)
  }

  /**
   * What the lap gave that was drafted for last: the accepted ids and one more, and how long it took. Drafts that were not sent
   * count too, since they could have been right all the same.
   */
  observe(ids: readonly number[], lapMs: number): void {
    this.#drafter.append(ids)
    this.#lastLapMs = lapMs
    this.#lapCosts.observe(this.#sentCount + 1, lapMs)
    for (const [index, id] of ids.entries()) {
      const token = this.#draft[index]
      if (token === undefined) break
      this.#acceptance.observe(token, token.id === id)
      if (token.id !== id) break
    }
    if (this.#sentCount > 0) this.#lengthMax = Math.max(1, this.#lengthMax / 2, 2 * (ids.length - 1))
    const account = this.#account
    account.tokens += ids.length
    account.sentTokens += this.#sentCount
    account.acceptedTokens += ids.length - 1
  }

  /** What the drafter says in time. */
  #ask(limit: number, signal: AbortSignal): readonly DraftToken[] | Promise<readonly DraftToken[]> {
    const countWorth = (tokenMs: number, likelihood: number) => Math.min(limit, this.#countWorth(tokenMs, likelihood))
    const drafted = this.#drafter.draft({ limit, countWorth, signal })
    const { oneRowMs } = this.#lapCosts
    if (!(drafted instanceof Promise) || oneRowMs === null) return drafted
    return unlessLate(drafted, this.#clock, (this.#creditLaps() + OVERDRAFT_LAPS_MAX) * oneRowMs)
  }

  /** See DraftRequest. */
  #countWorth(tokenMs: number, likelihood: number): number {
    const { oneRowMs } = this.#lapCosts
    return oneRowMs === null ? 0 : this.#bestLength(Array<number>(DRAFT_TOKENS_MAX).fill(likelihood), tokenMs / oneRowMs)
  }

  /** What may be lost from now on. All rows and times are charged at what laps have turned out to take by now. */
  #creditLaps(): number {
    const { tokens, sentTokens, acceptedTokens, draftMs } = this.#account
    const lapMs = this.#lapCosts.oneRowMs ?? this.#lastLapMs
    const lostLaps = sentTokens * this.#lapCosts.paidRowLaps - acceptedTokens + (lapMs > 0 ? draftMs / lapMs : 0)
    return CREDIT_START_LAPS + CREDIT_LAPS_PER_TOKEN * tokens - lostLaps
  }

  /**
   * The length of a draft that promises most tokens a millisecond, of tokens that are right with these likelihoods, each if all
   * before it are. `tokenLaps`: what it still takes to draft one.
   */
  #bestLength(likelihoods: readonly number[], tokenLaps = 0): number {
    if (this.#lapCosts.oneRowMs === null) return 0
    const creditLaps = this.#creditLaps()
    let best = { length: 0, tokensPerLap: GAIN_MIN }
    let promise = 1
    let tokens = 1
    for (const [index, likelihood] of likelihoods.slice(0, this.#lengthMax).entries()) {
      const laps = this.#lapCosts.lapsOf(index + 2) + (index + 1) * tokenLaps
      promise *= likelihood
      tokens += promise
      const stakeLaps = (index + 1) * (this.#lapCosts.rowLapsMost + tokenLaps)
      if ((1 - promise) * stakeLaps > creditLaps || stakeLaps > creditLaps + OVERDRAFT_LAPS_MAX) break
      if (tokens / laps > best.tokensPerLap) best = { length: index + 1, tokensPerLap: tokens / laps }
    }
    return best.length
  }
}

/** What the work gives within `waitMs`, or []. */
function unlessLate(work: Promise<readonly DraftToken[]>, clock: Clock, waitMs: number): Promise<readonly DraftToken[]> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(waitMs, () => resolve([]))
    void work.then(resolve, reject).finally(cancel)
  })
}
