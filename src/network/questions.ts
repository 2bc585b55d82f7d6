/**
 * Questions: what was asked of the coordinator and has no answer yet. Each ends once: with its answer, a refusal, its deadline, its asker's
 * cancelling or, but for those that are asked again over the next socket, with its socket. Who sends is for the control client.
 */

import type { ClientMessage, ServerMessage } from '../protocol/index.ts'
import { type Clock, TabswarmError } from '../shared/index.ts'

export type Answer = Extract<ServerMessage, { type: 'admitted' | 'statement' | 'account-answer' }>

export interface Question<Type extends Answer['type']> {
  readonly answer: Type
  readonly deadlineMs: number
  /** Asked again over each new socket until it is answered; else it ends with its socket. */
  readonly repeats: boolean
  readonly message: (requestId: string) => ClientMessage
}

interface Pending {
  /** Answers of another type than was asked for change nothing. */
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: TabswarmError) => void
  readonly repeated: ClientMessage | null
}

/** The coordinator's no; `retryAfterMs` where it passes by itself. */
export class CoordinatorRefused extends TabswarmError {
  readonly retryAfterMs: number | null

  constructor(reason: string, message: string, retryAfterMs: number | null) {
    super(reason, message)
    this.name = 'CoordinatorRefused'
    this.retryAfterMs = retryAfterMs
  }
}

export class Questions {
  readonly #clock: Clock
  readonly #pending = new Map<string, Pending>()
  #asked = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `post` is called at once. Rejects with a TabswarmError. */
  ask<Type extends Answer['type']>(
    { answer, deadlineMs, repeats, message }: Question<Type>,
    post: (message: ClientMessage) => void,
  ): Promise<Extract<Answer, { type: Type }>> {
    const requestId = `r${this.#asked++}`
    return new Promise((resolve, reject) => {
      const late = () =>
        this.refuse(requestId, new TabswarmError('timeout', `the coordinator did not answer within ${deadlineMs / 1000} s`))
      const cancelDeadline = this.#clock.after(deadlineMs, late)
      const settle = () => {
        cancelDeadline()
        this.#pending.delete(requestId)
      }
      const asked = message(requestId)
      this.#pending.set(requestId, {
        resolve(given) {
          if (!isOfType(given, answer)) return
          settle()
          resolve(given)
        },
        reject(error) {
          settle()
          reject(error)
        },
        repeated: repeats ? asked : null,
      })
      post(asked)
    })
  }

  answer(message: Answer): void {
    this.#pending.get(message.requestId)?.resolve(message)
  }

  refuse(requestId: string, error: TabswarmError): void {
    this.#pending.get(requestId)?.reject(error)
  }

  /** What is to be asked again over a new socket. */
  repeated(): ClientMessage[] {
    return [...this.#pending.values()].flatMap(({ repeated }) => repeated ?? [])
  }

  /** The socket is gone. */
  lost(error: TabswarmError): void {
    for (const pending of [...this.#pending.values()]) if (pending.repeated === null) pending.reject(error)
  }

  /** There will be no other socket. */
  close(error: TabswarmError): void {
    for (const pending of [...this.#pending.values()]) pending.reject(error)
  }
}

function isOfType<Type extends Answer['type']>(message: Answer, type: Type): message is Extract<Answer, { type: Type }> {
  return message.type === type
}
