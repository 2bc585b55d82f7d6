/** PromptEcho: a prompt said again before its answer, and how likely each of its tokens was, for clients that weigh given texts by a model. */

import type { DriverEvent, Prompt } from '../coordinator/gateway/index.ts'
import { type ModelText, promptIds } from '../peer/index.ts'
import { Detokenizer, type GenerateStep } from '../session/index.ts'
import { utf8DecodeLossy } from '../shared/index.ts'
import { chosenToken, firstToken } from './chosenTokens.ts'

export class PromptEcho {
  readonly ids: readonly number[]
  readonly #model: ModelText
  /** Null: nobody asks how likely its tokens were, and it is said at once. */
  readonly #topLogprobs: number | null
  readonly #text: Detokenizer
  /** What the tokenizer has put before the client's text. */
  readonly #isFirstAdded: boolean
  #told = 0

  /** Throws as `promptIds`. */
  constructor(prompt: Prompt, model: ModelText, topLogprobs: number | null) {
    const { tokenizer, stripLeadingSpace } = model
    this.ids = promptIds(prompt, model)
    this.#model = model
    this.#topLogprobs = topLogprobs
    this.#text = new Detokenizer({ tokenBytes: (id) => tokenizer.tokenBytes(id, { special: true }) }, { stripLeadingSpace })
    const [first] = this.ids
    this.#isFirstAdded = prompt.kind === 'raw' && first !== undefined && first === tokenizer.bosId && !begins(prompt.text, first, model)
  }

  /** Its beginning: all of it, or its first token, before which there is nothing to weigh it by. */
  begin(): DriverEvent {
    const [first = 0] = this.ids
    const isWeighed = this.#topLogprobs !== null
    return this.#say(isWeighed ? 1 : this.ids.length, isWeighed ? [firstToken(first, this.#model.tokenizer)] : [])
  }

  /** The tokens that follow. */
  goOn(steps: readonly GenerateStep[]): DriverEvent {
    const tokens = steps.map(({ id, candidates }) => chosenToken(id, candidates, this.#model.tokenizer, this.#topLogprobs ?? 0))
    return this.#say(steps.length, tokens)
  }

  #say(count: number, tokens: Extract<DriverEvent, { kind: 'text' }>['tokens']): DriverEvent {
    const from = this.#told
    this.#told += count
    let text = ''
    for (const [index, id] of this.ids.slice(from, this.#told).entries())
      if (from + index > 0 || !this.#isFirstAdded) text += this.#text.push(id)
    if (this.#told === this.ids.length) text += this.#text.flush()
    return { kind: 'text', text, completionTokens: 0, tokens }
  }
}

function begins(text: string, id: number, { tokenizer }: ModelText): boolean {
  return text.startsWith(utf8DecodeLossy(tokenizer.tokenBytes(id, { special: true })))
}
