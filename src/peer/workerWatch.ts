/**
 * WorkerWatch: what a page answers to the coordinator's pings for the worker that serves. The worker is asked at each ping, so that a tab
 * whose worker hangs does not pass for one that serves; and one that answers nothing for so long is given up. Needs no timer, which a
 * hidden tab's browser would hold back: pings come over the socket. Carries out nothing: hosting.ts does.
 */

import type { Load } from '../network/index.ts'
import type { Clock } from '../shared/index.ts'

export interface WorkerWatchPorts {
  /** Never rejects; pending for as long as the worker is busy. */
  readonly ask: () => Promise<Load>
  /** Once: the worker is not expected to answer any more. */
  readonly onHung: () => void
  readonly clock: Clock
}

/**
 * A worker without a GPU computes in its own thread and looks at its messages between two operations: of a large model on a slow machine one
 * takes up to some seconds. Pings come every two seconds: so the page answers for it in the third and fourth second, and no longer.
 */
const BUSY_PINGS = 1
/** Eight seconds and more since it was asked. */
const HUNG_PINGS = 4
/** Pings nearer to each other count once: who wakes from sleep finds a heap of them, and its worker wakes no sooner than the page. */
const PINGS_APART_MS = 1_000

export class WorkerWatch {
  readonly #ports: WorkerWatchPorts
  #last: Load = { sessions: 0, kvPositionsFree: 0 }
  #isAsked = false
  /** Pings since the one that the worker was asked at and has not answered. */
  #unanswered = 0
  #countedMs = 0
  #isHung = false

  constructor(ports: WorkerWatchPorts) {
    this.#ports = ports
  }

  /** At each ping. Null: not to be answered, nobody can tell that the worker lives. May stay pending for as long as the worker. */
  async load(): Promise<Load | null> {
    const nowMs = this.#ports.clock.nowMs()
    if (!this.#isAsked) return this.#ask(nowMs)
    if (nowMs - this.#countedMs >= PINGS_APART_MS) {
      this.#unanswered++
      this.#countedMs = nowMs
    }
    if (this.#unanswered >= HUNG_PINGS && !this.#isHung) {
      this.#isHung = true
      this.#ports.onHung()
    }
    return this.#unanswered <= BUSY_PINGS ? this.#last : null
  }

  async #ask(nowMs: number): Promise<Load> {
    this.#isAsked = true
    this.#unanswered = 0
    this.#countedMs = nowMs
    this.#last = await this.#ports.ask()
    this.#isAsked = false
    return this.#last
  }
}
