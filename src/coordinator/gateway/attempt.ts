/**
 * Attempt: one answer that is computed once, for one client or several: a client that tries again, since its line broke or its patience ended, takes the
 * place of the one that has gone. What came before it joined is said to it again; when nobody is left the answer ends.
 */

import type { AnswerEvent, AnswerWriter } from './answerForms.ts'
import type { AnsweringEvents, ChoicePart, Outcome } from './answering.ts'
import type { ApiError } from './apiError.ts'
import type { AnswerRequest } from './requests.ts'

export interface AttemptListener {
  /** All its sessions are admitted: from here on there is no status code to refuse with. */
  onOpen(): void
  /** Of a streamed answer: one event's JSON, and its name where it has one. Of another: all of it, once. */
  onData(json: string, name: string | null): void
  onEnd(): void
  /** Nothing follows. `told`: how a stream says it. */
  onFailed(error: ApiError, told: AnswerEvent): void
}

interface Said {
  readonly json: string
  readonly name: string | null
}

type Ending = { readonly kind: 'whole' } | { readonly kind: 'failed'; readonly error: ApiError; readonly told: AnswerEvent }

/** Of a stream, to who joins it, at once: half of what an EventStream lets a reader leave unread. */
const SAID_AGAIN_BYTES_MAX = 512 * 1024

export class Attempt implements Omit<AnsweringEvents, 'onSession'> {
  readonly requestId: string
  readonly #isStream: boolean
  readonly #writer: AnswerWriter
  readonly #choices: { text: string; readonly tokens: ChoicePart['tokens'][number][] }[]
  readonly #said: Said[] = []
  readonly #listeners = new Set<AttemptListener>()
  #bytes = 0
  #isOpen = false
  #ending: Ending | null = null
  #stop: () => void = () => undefined

  constructor(requestId: string, { stream, choices }: Pick<AnswerRequest, 'stream' | 'choices'>, writer: AnswerWriter) {
    this.requestId = requestId
    this.#isStream = stream
    this.#writer = writer
    this.#choices = Array.from({ length: choices }, () => ({ text: '', tokens: [] }))
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
    return this.#isStream && this.#bytes > SAID_AGAIN_BYTES_MAX
  }

  /** `stop`: what ends the computing. */
  begin(stop: () => void): void {
    this.#stop = stop
  }

  /** Ends the computing, whoever still listens. */
  cutOff(): void {
    this.#stop()
  }

  /** Returns what is to be called when the client has gone. */
  join(listener: AttemptListener): () => void {
    this.#listeners.add(listener)
    if (this.#isOpen) listener.onOpen()
    for (const { json, name } of this.#said) listener.onData(json, name)
    if (this.#ending?.kind === 'whole') listener.onEnd()
    if (this.#ending?.kind === 'failed') listener.onFailed(this.#ending.error, this.#ending.told)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0 && !this.isOver) this.#stop()
    }
  }

  onAdmitted(): void {
    this.#isOpen = true
    for (const listener of this.#listeners) listener.onOpen()
    if (this.#isStream) this.#say(this.#writer.begun())
  }

  onPart({ index, text, tokens }: ChoicePart): void {
    const choice = this.#choices[index]
    if (choice === undefined || (text === '' && tokens.length === 0)) return
    if (this.#isStream) this.#say(this.#writer.part(index, { text, tokens }, choice.text.length))
    choice.tokens.push(...tokens)
    choice.text += text
  }

  /** All of it, as who does not stream is told. */
  whole(outcome: Outcome): object {
    return this.#writer.whole(this.#choices, outcome)
  }

  finish(outcome: Outcome): void {
    if (this.#isStream) this.#say(this.#writer.ended(this.#choices, outcome))
    else this.#say([{ name: null, data: this.whole(outcome) }])
    this.#ending = { kind: 'whole' }
    for (const listener of this.#listeners) listener.onEnd()
  }

  fail(error: ApiError): void {
    const told = this.#writer.failed(error)
    this.#ending = { kind: 'failed', error, told }
    for (const listener of this.#listeners) listener.onFailed(error, told)
  }

  #say(events: readonly AnswerEvent[]): void {
    for (const { name, data } of events) {
      const json = JSON.stringify(data)
      this.#bytes += json.length
      // Nobody joins it any more, so nothing of it is held.
      if (this.#isTooLong) this.#said.length = 0
      else this.#said.push({ json, name })
      for (const listener of this.#listeners) listener.onData(json, name)
    }
  }
}
