/**
 * LapWaiter: waits for what a generation has asked its chain for. A lap's results may come in several parts; whoever waits is
 * woken early when the signal fires or the chain fails.
 */

import { assert, type Clock, type Deferred, deferred } from '../shared/index.ts'
import type { Candidates, LapResults } from './chain.ts'
import type { SessionError } from './errors.ts'

export class LapWaiter {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  /** Set while something is awaited: null ends it early. */
  #awaited: Pick<Deferred<null>, 'resolve' | 'reject'> | null = null
  #wanted: { readonly count: number; readonly candidates: Candidates[]; readonly all: Deferred<readonly Candidates[]> } | null = null
  #lastLapMs = 0
  readonly #onAbort = () => this.#awaited?.resolve(null)

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
  }

  /** Before anything is waited for: from now on the signal ends it. */
  open(): void {
    this.#signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Nothing is waited for any more. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  /** From sending the first row of the last lap to its last result, milliseconds. */
  get lastLapMs(): number {
    return this.#lastLapMs
  }

  /** The `count` candidates that the lap asks for, once all have come; null when the signal fires. */
  async lap(submit: () => Promise<void>, count: number): Promise<readonly Candidates[] | null> {
    const startedMs = this.#clock.nowMs()
    const all = deferred<readonly Candidates[]>()
    this.#wanted = { count, candidates: [], all }
    const results = await this.unlessEnded(submit().then(() => all.promise))
    this.#lastLapMs = this.#clock.nowMs() - startedMs
    return results
  }

  /** What the work gives, or null as soon as the signal fires; rejects when the work or the chain fails. */
  async unlessEnded<Value>(work: Promise<Value>): Promise<Value | null> {
    assert(this.#awaited === null, 'one thing is awaited at a time')
    const awaited = deferred<Value | null>()
    this.#awaited = awaited
    work.then(awaited.resolve, awaited.reject)
    if (this.#signal.aborted) this.#onAbort()
    try {
      return await awaited.promise
    } finally {
      this.#awaited = null
    }
  }

  handleResults({ candidates }: LapResults): void {
    const wanted = this.#wanted
    wanted?.candidates.push(...candidates)
    if (wanted !== null && wanted.candidates.length >= wanted.count) wanted.all.resolve(wanted.candidates)
  }

  /** Nobody waiting is no harm: the next lap cannot be submitted. */
  handleFailed(error: SessionError): void {
    this.#awaited?.reject(error)
  }
}
