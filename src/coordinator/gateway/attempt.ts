/**
 * Attempt: one answer that is computed once, for one client or several: a client that tries again, since its line broke or its patience ended, takes the
 * place of the one that has gone. What came before it joined is said to it again; when nobody is left the answer ends.
 */

import type { AnswerEvent, AnswerWriter, CallPart, FinishedChoice, WholeChoice } from './answerForms.ts'
import type { AnsweringEvents, ChoicePart, Outcome } from './answering.ts'
import type { ApiError } from './apiError.ts'
import type { ChosenToken, DriverAnswer } from './ports.ts'
import type { AnswerRequest } from './requests.ts'
import { type ReadPart, ToolCallReader } from './toolCallReader.ts'

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

interface Choice extends FinishedChoice {
  readonly said: { text: string; readonly tokens: ChosenToken[]; readonly calls: { -readonly [Key in keyof CallPart]: CallPart[Key] }[] }
  /** Null: all of it is content. */
  readonly reader: ToolCallReader | null
  finishReason: FinishedChoice['finishReason']
}

type Ending = { readonly kind: 'whole' } | { readonly kind: 'failed'; readonly error: ApiError; readonly told: AnswerEvent }

/** Of a stream, to who joins it, at once: half of what an EventStream lets a reader leave unread. */
const SAID_AGAIN_BYTES_MAX = 512 * 1024

export class Attempt implements Omit<AnsweringEvents, 'onSession'> {
  readonly requestId: string
  readonly #isStream: boolean
  readonly #writer: AnswerWriter
  readonly #choices: readonly Choice[]
  readonly #said: Said[] = []
  readonly #listeners = new Set<AttemptListener>()
  #bytes = 0
  #isOpen = false
  #ending: Ending | null = null
  #stop: () => void = () => undefined

  constructor(requestId: string, { stream, choices, tools }: Pick<AnswerRequest, 'stream' | 'choices' | 'tools'>, writer: AnswerWriter) {
    this.requestId = requestId
    this.#isStream = stream
    this.#writer = writer
    this.#choices = Array.from({ length: choices }, () => ({
      said: { text: '', tokens: [], calls: [] },
      reader: tools === null ? null : new ToolCallReader(tools),
      finishReason: 'stop',
    }))
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
    const reader = this.#choices[index]?.reader ?? null
    this.#add(index, saidBy(reader === null ? [{ kind: 'text', text }] : reader.push(text), tokens))
  }

  onFinished(index: number, reason: DriverAnswer['finishReason']): void {
    const choice = this.#choices[index]
    if (choice === undefined || reason === 'cancelled') return
    if (choice.reader !== null) this.#add(index, saidBy(choice.reader.end(), []))
    choice.finishReason = reason === 'stop' && choice.said.calls.length > 0 ? 'tool_calls' : reason
    if (this.#isStream) this.#say(this.#writer.finished(index, choice))
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

  /** More of a choice: said at once, and kept to be said as a whole, or continued. */
  #add(index: number, part: WholeChoice): void {
    const { text, tokens, calls } = part
    const choice = this.#choices[index]
    if (choice === undefined || (text === '' && tokens.length === 0 && calls.length === 0)) return
    const { said } = choice
    if (this.#isStream) this.#say(this.#writer.part(index, part, said.text.length))
    said.tokens.push(...tokens)
    said.text += text
    for (const call of calls) {
      const known = said.calls.find((one) => one.index === call.index)
      if (known === undefined) said.calls.push({ ...call })
      else known.arguments += call.arguments
    }
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
