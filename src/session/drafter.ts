/**
 * Drafter: who says what an answer's next tokens might be, before the chain has computed them. A lookup in the text so far
 * (speculationNgrams.ts) today; a small model in the requester's own tab fits the same interface.
 */

export interface DraftToken {
  readonly id: number
  /** 0 … 1: how sure the drafter is of it where all tokens before it are right. It is compared with what comes true. */
  readonly likelihood: number
}

/** Of one answer. A draft may be anything: wrong ones cost time and never change the answer. */
export interface Drafter {
  /** The next tokens that are certain: the whole prompt first, then what was sampled. Nothing is ever taken back. */
  append(ids: readonly number[]): void
  /**
   * Up to `limit` tokens to follow all that was appended; more are ignored. The next lap waits for them, so a drafter that
   * needs time prepares while the lap before is under way; time spent here counts as lost. `signal` fires when nobody waits any more. A
   * rejection fails the answer: who can draft no more gives [].
   */
  draft(limit: number, signal: AbortSignal): readonly DraftToken[] | Promise<readonly DraftToken[]>
}
