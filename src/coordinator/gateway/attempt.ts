/**
 * Attempt: one answer that is computed once, for one client or several: a client that tries again, since its line broke or its patience ended, takes the
 * place of the one that has gone. What came before it joined is said to it again; when nobody is left the answer ends.
 */

import type { AnswerForm, AnswerHead, CallPart, FinishedChoice, WholeChoice } from './answerForms.ts'
import type { AnsweringEvents, ChoicePart, Outcome } from './answering.ts'
import type { ApiError } from './apiError.ts'
import type { ChosenToken, DriverAnswer } from './ports.ts'
import { type ReadPart, ToolCallReader } from './toolCallReader.ts'

export interface AttemptListener {
  /** All its sessions are admitted: from here on there is no status code to refuse with. */
  onOpen(): void
  /** Of a streamed answer: one event's JSON. Of another: all of it, once. */
  onData(json: string): void
  onEnd(): void
  /** Nothing follows. */
  onFailed(error: ApiError): void
}

interface Choice extends FinishedChoice {
  readonly said: { text: string; readonly tokens: ChosenToken[]; readonly calls: { -readonly [Key in keyof CallPart]: CallPart[Key] }[] }
  /** Null: all of it is content. */
  readonly reader: ToolCallReader | null
  finishReason: FinishedChoice['finishReason']
}

type Ending = { readonly kind: 'whole' } | { readonly kind: 'failed'; readonly error: ApiError }

/** Of a stream, to who joins it, at once: half of what an EventStream lets a reader leave unread. */
const SAID_AGAIN_BYTES_MAX = 512 * 1024

export class Attempt implements Omit<AnsweringEvents, 'onSession'> {
  readonly requestId: string
  readonly #head: AnswerHead
  readonly #form: AnswerForm
  readonly #choices: readonly Choice[]
  readonly #said: string[] = []
  readonly #listeners = new Set<AttemptListener>()
  #bytes = 0
  #isOpen = false
  #ending: Ending | null = null
  #stop: () => void = () => undefined

  constructor(head: AnswerHead, form: AnswerForm) {
    this.requestId = head.requestId
    this.#head = head
    this.#form = form
    const { choices, tools } = head.request
    this.#choices = Array.from({ length: choices }, () => ({
      said: { text: '', tokens: [], calls: [] },
      reader: tools === null ? null : new ToolCallReader(tools),
      finishReason: 'stop',
    }))
  }

  /** Of what it would say again. */
  get bytes(): number {
    return this.#bytes
  }

  get isOver(): boolean {
    return this.#ending !== null
  }

  /** Whether it has an answer, or is on the way to one, that can be said again: an attempt that failed is none to join. */
  get isJoinable(): boolean {
    if (this.#head.request.stream && this.#bytes > SAID_AGAIN_BYTES_MAX) return false
    return this.#ending?.kind !== 'failed' && (this.isOver || this.#listeners.size > 0)
  }

  /** `stop`: what ends the computing. */
  begin(stop: () => void): void {
    this.#stop = stop
  }

  /** Returns what is to be called when the client has gone. */
  join(listener: AttemptListener): () => void {
    this.#listeners.add(listener)
    if (this.#isOpen) listener.onOpen()
    for (const json of this.#said) listener.onData(json)
    if (this.#ending?.kind === 'whole') listener.onEnd()
    if (this.#ending?.kind === 'failed') listener.onFailed(this.#ending.error)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0 && !this.isOver) this.#stop()
    }
  }

  onAdmitted(): void {
    this.#isOpen = true
    for (const listener of this.#listeners) listener.onOpen()
    if (!this.#head.request.stream) return
    for (const index of this.#choices.keys()) {
      const first = this.#form.first(this.#head, index)
      if (first !== null) this.#say(first)
    }
  }

  onPart({ index, text, tokens }: ChoicePart): void {
    const reader = this.#choices[index]?.reader ?? null
    this.#add(index, saidBy(reader === null ? [{ kind: 'text', text }] : reader.push(text), tokens))
  }

  onFinished(index: number, reason: DriverAnswer['finishReason']): void {
    const choice = this.#choices[index]
    if (choice === undefined || reason === 'cancelled') return
    if (choice.reader !== null) this.#add(index, saidBy(choice.reader.end(), []))
    choice.finishReason = reason === 'stop' && choice.said.calls.length > 0 ? 'tool_calls' : reason
    if (this.#head.request.stream) this.#say(this.#form.last(this.#head, index, choice.finishReason))
  }

  finish(outcome: Outcome): void {
    const { stream, includeUsage } = this.#head.request
    if (!stream) this.#say(this.#form.whole(this.#head, this.#choices, outcome))
    else if (includeUsage) this.#say(this.#form.usage(this.#head, outcome))
    this.#ending = { kind: 'whole' }
    for (const listener of this.#listeners) listener.onEnd()
  }

  fail(error: ApiError): void {
    this.#ending = { kind: 'failed', error }
    for (const listener of this.#listeners) listener.onFailed(error)
  }

  /** More of a choice: said at once, and kept where it is said as a whole, or to be continued. */
  #add(index: number, part: WholeChoice): void {
    const { text, tokens, calls } = part
    const choice = this.#choices[index]
    if (choice === undefined || (text === '' && tokens.length === 0 && calls.length === 0)) return
    const { said } = choice
    if (this.#head.request.stream) this.#say(this.#form.part(this.#head, index, part, said.text.length))
    else said.tokens.push(...tokens)
    said.text += text
    for (const call of calls) {
      const known = said.calls.find((one) => one.index === call.index)
      if (known === undefined) said.calls.push({ ...call })
      else known.arguments += call.arguments
    }
  }

  #say(value: object): void {
    const json = JSON.stringify(value)
    this.#said.push(json)
    this.#bytes += json.length
    for (const listener of this.#listeners) listener.onData(json)
  }
}

/** What was read at once, as one part. */
function saidBy(parts: readonly ReadPart[], tokens: readonly ChosenToken[]): WholeChoice {
  let text = ''
  const calls: { index: number; name: string | null; arguments: string }[] = []
  for (const part of parts) {
    if (part.kind === 'text') text += part.text
    if (part.kind === 'call') calls.push({ index: part.index, name: part.name, arguments: '' })
    if (part.kind !== 'arguments') continue
    const last = calls.at(-1)
    if (last?.index === part.index) last.arguments += part.text
    else calls.push({ index: part.index, name: null, arguments: part.text })
  }
  return { text, tokens, calls }
}
