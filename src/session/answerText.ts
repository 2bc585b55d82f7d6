/**
 * AnswerText: what an answer's tokens say, up to a stop string. It can also tell where tokens that are only guessed would
 * end the answer.
 */

import { Detokenizer, type TokenText } from './detokenizer.ts'
import { StopSequences } from './stopSequences.ts'

export class AnswerText {
  readonly #detokenizer: Detokenizer
  readonly #stops: StopSequences
  #shown = ''

  /** Throws SessionError `bad-request`, see StopSequences. For `stripLeadingSpace` see Detokenizer. */
  constructor(tokenizer: TokenText, options: { readonly stop: readonly string[]; readonly stripLeadingSpace: boolean }) {
    this.#detokenizer = new Detokenizer(tokenizer, options)
    this.#stops = new StopSequences(options.stop)
  }

  /** All that has become certain so far. */
  get shown(): string {
    return this.#shown
  }

  /** Whether a stop string has ended it. */
  get stopped(): boolean {
    return this.#stops.stopped
  }

  /** What has become certain by this token. */
  push(id: number): string {
    return this.#show(this.#stops.push(this.#detokenizer.push(id)))
  }

  /** Nothing follows: what was held back. */
  flush(): string {
    return this.#show(this.#stops.push(this.#detokenizer.flush()) + this.#stops.flush())
  }

  /** How many of these tokens could come next before one of them completes a stop string. */
  countBeforeStop(ids: readonly number[]): number {
    if (this.#stops.isEmpty) return ids.length
    const detokenizer = this.#detokenizer.fork()
    const stops = this.#stops.fork()
    for (const [index, id] of ids.entries()) {
      stops.push(detokenizer.push(id))
      if (stops.stopped) return index
    }
    return ids.length
  }

  #show(text: string): string {
    this.#shown += text
    return text
  }
}
