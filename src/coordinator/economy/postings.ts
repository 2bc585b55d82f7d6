/**
 * Postings: commands that nobody waits for, on their way into the ledger. Those of one session keep their order; what the store could not take is
 * tried again, since a command that is repeated posts once. A rule's refusal is final, and left to the caller to judge.
 */

import type { Clock } from '../../shared/index.ts'
import { type Command, LedgerError, type LedgerEvent } from '../ledger/index.ts'
import { RETRY_FIRST_MS, RETRY_LAST_MS } from './limits.ts'

export interface PostingsOptions {
  readonly post: (command: Command) => Promise<{ readonly event: LedgerEvent }>
  readonly clock: Clock
  readonly onPosted: (event: LedgerEvent) => void
  readonly onRefused: (command: Command, error: LedgerError) => void
  readonly log: (line: string) => void
}

export class Postings {
  readonly #options: PostingsOptions
  /** Of sessions with something to be posted. */
  readonly #last = new Map<string, Promise<void>>()
  readonly #wake = new Set<() => void>()
  #closing = false

  constructor(options: PostingsOptions) {
    this.#options = options
  }

  /** Behind all of the session before, one after the other: none is there without those before it. */
  add(session: string, commands: readonly Command[]): void {
    if (commands.length === 0) return
    const before = this.#last.get(session) ?? Promise.resolve()
    const job = before.then(async () => {
      for (const command of commands) await this.#untilPosted(command)
    })
    this.#last.set(session, job)
    void job.then(() => {
      if (this.#last.get(session) === job) this.#last.delete(session)
    })
  }

  /** Resolves when everything was posted or refused; what the store does not take now is given up. */
  async close(): Promise<void> {
    this.#closing = true
    for (const wake of this.#wake) wake()
    while (this.#last.size > 0) await Promise.all(this.#last.values())
  }

  async #untilPosted(command: Command): Promise<void> {
    const { post, onPosted, onRefused, log } = this.#options
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(RETRY_LAST_MS, 2 * waitMs)) {
      try {
        return onPosted((await post(command)).event)
      } catch (error) {
        if (error instanceof LedgerError) return onRefused(command, error)
        log(`the store did not take a ${command.kind}: ${String(error)}`)
      }
      if (this.#closing) return log(`a ${command.kind} was not written before the end; the next start sees to what it leaves`)
      await this.#wait(waitMs)
    }
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel()
        this.#wake.delete(wake)
        resolve()
      }
      const cancel = this.#options.clock.after(waitMs, wake)
      this.#wake.add(wake)
    })
  }
}
