/**
 * Attempt: one answer that is computed once, for one client or several: a client that tries again, since its line broke or its patience ended, takes the
 * place of the one that has gone. What came before it joined is said to it again; when nobody is left the answer ends.
 */

import type { AnswerForm, AnswerHead } from './answerForms.ts'
import type { AnsweringEvents, ChoicePart, Outcome } from './answering.ts'
import type { ApiError } from './apiError.ts'

export interface AttemptListener {
  /** All its sessions are admitted: from here on there is no status code to refuse with. */
  onOpen(): void
  /** Of a streamed answer: one event's JSON. Of another: all of it, once. */
  onData(json: string): void
  onEnd(): void
  /** Nothing follows. */
  onFailed(error: ApiError): void
}

type Ending = { readonly kind: 'whole' } | { readonly kind: 'failed'; readonly error: ApiError }

/** Of a stream, to who joins it, at once: half of what an EventStream lets a reader leave unread. */
const SAID_AGAIN_BYTES_MAX = 512 * 1024

export class Attempt implements Omit<AnsweringEvents, 'onSession'> {
  readonly requestId: string
  readonly #head: AnswerHead
  readonly #form: AnswerForm
  readonly #choices: { text: string; readonly tokens: ChoicePart['tokens'][number][] }[]
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
    this.#choices = Array.from({ length: head.request.choices }, () => ({ text: '', tokens: [] }))
  }

  /** Of what it would say again. */
  get bytes(): number {
    return this.#isTooLong ? 0 : this.#bytes
  }

  get isOver(): boolean {
    return this.#ending !== null
  }

  /** Whether it has an answer, or is on the way to one, that can be said again: an attempt that failed is none to join. */
  get isJoinable(): boolean {
    if (this.#isTooLong) return false
    return this.#ending?.kind !== 'failed' && (this.isOver || this.#listeners.size > 0)
  }

  /** To be said again at once. */
  get #isTooLong(): boolean {
    return this.#head.request.stream && this.#bytes > SAID_AGAIN_BYTES_MAX
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
    const choice = this.#choices[index]
    if (choice === undefined || (text === '' && tokens.length === 0)) return
    if (this.#head.request.stream) this.#say(this.#form.part(this.#head, index, { text, tokens }, choice.text.length))
    else choice.tokens.push(...tokens)
    choice.text += text
  }

  finish(outcome: Outcome): void {
    const { stream, includeUsage } = this.#head.request
    if (stream) {
      for (const [index, reason] of outcome.finishReasons.entries()) this.#say(this.#form.last(this.#head, index, reason))
      if (includeUsage) this.#say(this.#form.usage(this.#head, outcome))
    } else this.#say(this.#form.whole(this.#head, this.#choices, outcome))
    this.#ending = { kind: 'whole' }
    for (const listener of this.#listeners) listener.onEnd()
  }

  fail(error: ApiError): void {
    this.#ending = { kind: 'failed', error }
    for (const listener of this.#listeners) listener.onFailed(error)
  }

  #say(value: object): void {
    const json = JSON.stringify(value)
    this.#bytes += json.length
    // Nobody joins it any more, so nothing of it is held.
    if (this.#isTooLong) this.#said.length = 0
    else this.#said.push(json)
    for (const listener of this.#listeners) listener.onData(json)
  }
}
