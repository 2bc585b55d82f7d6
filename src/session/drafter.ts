/**
 * Drafter: who says what an answer's next tokens might be, before the chain has computed them. A lookup in the text so far
 * (speculationNgrams.ts), a small model in the requester's own tab (modelDrafter.ts), or both (lookupFirst.ts).
 */

export interface DraftToken {
  readonly id: number
  /** 0 … 1: how sure the drafter is of it where all tokens before it are right. It is compared with what comes true. */
  readonly likelihood: number
  /** What the drafter's word is worth is measured for each method apart. */
  readonly method: 'lookup' | 'model'
}

export interface DraftRequest {
  /** More tokens than these are ignored; at least 1. */
  readonly limit: number
  /**
   * For drafters that need time: how many tokens, at most `limit`, to draft where each takes `tokenMs` and is right with this
   * likelihood if all before it are. 0 as long as laps are not measured, and where it would cost more than it gives.
   */
  readonly countWorth: (tokenMs: number, likelihood: number) => number
  /** Fires when nobody waits any more. */
  readonly signal: AbortSignal
}

/** Of one answer. A draft may be anything: wrong ones cost time and never change the answer. */
export interface Drafter {
  /** The next tokens that are certain: the whole prompt first, then what was sampled. Nothing is ever taken back. */
  append(ids: readonly number[]): void
  /**
   * Tokens to follow all that was appended. The next lap waits for them as long as it may lose time by drafts, and what it waited
   * counts as lost; what comes later is dropped. A rejection fails the answer: who can draft no more gives [].
   */
  draft(request: DraftRequest): readonly DraftToken[] | Promise<readonly DraftToken[]>
}
