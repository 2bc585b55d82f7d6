/**
 * Answering: one request's choices, each a session of its own, from their admission to their end. Nothing is told before all of them are admitted, so
 * that a refusal is still a status code.
 */

import type { SessionId } from '../../shared/index.ts'
import type { ChosenToken, DriverAnswer, DriverEvent, DriverRequest, DriverStage, GatewayDriver } from './ports.ts'
import type { AnswerRequest } from './requests.ts'

type DriverTerms = Pick<DriverRequest, 'modelId' | 'voucher' | 'waitMs'>

/** More of one choice. */
export interface ChoicePart {
  readonly index: number
  readonly text: string
  readonly tokens: readonly ChosenToken[]
}

export interface Route {
  readonly stages: readonly DriverStage[]
  readonly path: string
  readonly repairs: number
}

export interface Outcome {
  readonly promptTokens: number
  /** Of all choices. */
  readonly completionTokens: number
  /** By choice. */
  readonly finishReasons: readonly DriverAnswer['finishReason'][]
  readonly routes: readonly Route[]
}

export interface AnsweringEvents {
  /** Each choice has one, once it is admitted. */
  onSession(sessionId: SessionId): void
  /** Once; the first part comes after it. */
  onAdmitted(): void
  onPart(part: ChoicePart): void
  /** Nothing follows of that choice; the others may go on. */
  onFinished(index: number, reason: DriverAnswer['finishReason']): void
}

export class Answering {
  /** Rejects with a DriverError; after `stop` its choices have finished as `cancelled`. */
  readonly outcome: Promise<Outcome>
  readonly #choices: readonly ReturnType<GatewayDriver['ask']>[]
  readonly #events: AnsweringEvents
  readonly #completionTokens: number[]
  #promptTokens = 0
  #waiting: number
  /** What came before the last choice was admitted. */
  #early: (() => void)[] = []

  constructor(driver: GatewayDriver, request: AnswerRequest, terms: DriverTerms, events: AnsweringEvents) {
    const { prompt, maxTokens, sampling, stop, tier, topLogprobs, echo, grammar, choices } = request
    this.#events = events
    this.#waiting = choices
    this.#completionTokens = Array.from({ length: choices }, () => 0)
    this.#choices = Array.from({ length: choices }, (_, index) => {
      const seed = (sampling.seed + index) % Number.MAX_SAFE_INTEGER
      const asked = { ...terms, prompt, maxTokens, sampling: { ...sampling, seed }, stop, tier, topLogprobs, echo, grammar }
      return driver.ask(asked, (event) => this.#receive(index, event))
    })
    this.outcome = this.#finish()
  }

  /** What was computed so far: of an answer that fails nothing else is told. */
  get progress(): Pick<Outcome, 'promptTokens' | 'completionTokens'> {
    return { promptTokens: this.#promptTokens, completionTokens: this.#completionTokens.reduce((sum, tokens) => sum + tokens, 0) }
  }

  /** Ends all choices within a lap. */
  stop(): void {
    for (const choice of this.#choices) choice.stop()
  }

  async #finish(): Promise<Outcome> {
    try {
      const answers = await Promise.all(
        this.#choices.map(async ({ answer }, index) => {
          const ended = await answer
          this.#tell(() => this.#events.onFinished(index, ended.finishReason))
          return ended
        }),
      )
      return {
        promptTokens: answers[0]?.promptTokens ?? 0,
        completionTokens: answers.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
        finishReasons: answers.map(({ finishReason }) => finishReason),
        routes: answers.map(({ stages, dataPath: path, repairs }) => ({ stages, path, repairs })),
      }
    } catch (error) {
      // One that failed fails the request: nobody waits for the others.
      this.stop()
      throw error
    }
  }

  #receive(index: number, event: DriverEvent): void {
    if (event.kind === 'admitted') {
      this.#promptTokens = event.promptTokens
      this.#events.onSession(event.sessionId)
      this.#waiting--
      if (this.#waiting > 0) return
      this.#events.onAdmitted()
      for (const tell of this.#early.splice(0)) tell()
    }
    if (event.kind !== 'text') return
    this.#completionTokens[index] = event.completionTokens
    const part = { index, text: event.text, tokens: event.tokens }
    this.#tell(() => this.#events.onPart(part))
  }

  #tell(tell: () => void): void {
    if (this.#waiting > 0) this.#early.push(tell)
    else tell()
  }
}
