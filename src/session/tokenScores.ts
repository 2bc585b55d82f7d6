/**
 * TokenScores: what penalties and biases make of logits. First the repetition penalty, of tokens that prompt or answer have; then frequency and presence, of
 * those that the answer has, as OpenAI's reference has them; then the bias. All other tokens keep their logit.
 */

import type { Sampling } from './sampler.ts'

export class TokenScores {
  readonly #sampling: Sampling
  readonly #bias: ReadonlyMap<number, number>
  /** How often the answer has each token; 0: the prompt has it, and the answer has not. Those alone that penalties concern. */
  readonly #counts = new Map<number, number>()

  constructor(sampling: Sampling, promptTokenIds: readonly number[]) {
    this.#sampling = sampling
    this.#bias = new Map(sampling.logitBias?.map(({ id, bias }) => [id, bias]))
    if (this.#repetition !== 1) for (const id of promptTokenIds) this.#counts.set(id, 0)
  }

  /** The answer has one more. */
  append(id: number): void {
    const { presencePenalty = 0, frequencyPenalty = 0 } = this.#sampling
    if (this.#repetition === 1 && presencePenalty === 0 && frequencyPenalty === 0) return
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
  }

  /** Whether all tokens keep their logit so far. */
  get areLogits(): boolean {
    return this.#counts.size === 0 && this.#bias.size === 0
  }

  /** Tokens whose score may differ from their logit; each once. */
  *concerned(): Iterable<number> {
    yield* this.#counts.keys()
    for (const id of this.#bias.keys()) if (!this.#counts.has(id)) yield id
  }

  /** Rises with the logit. In f32. */
  of(id: number, logit: number): number {
    const count = this.#counts.get(id)
    const bias = this.#bias.get(id)
    if (count === undefined && bias === undefined) return logit
    const { presencePenalty = 0, frequencyPenalty = 0 } = this.#sampling
    let score = logit
    if (count !== undefined) {
      score = logit > 0 ? logit / this.#repetition : logit * this.#repetition
      if (count > 0) score -= presencePenalty + count * frequencyPenalty
    }
    return Math.fround(score + (bias ?? 0))
  }

  get #repetition(): number {
    return this.#sampling.repetitionPenalty ?? 1
  }
}
