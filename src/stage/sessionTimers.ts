/** SessionTimers: how long one session at a stage waits: for who is missing, for any sign of life, for the end of its grant. */

import { REPAIR_WAIT_MS, SESSION_IDLE_MS } from '../protocol/index.ts'
import type { CancelTimer, Clock } from '../shared/index.ts'

/** Timers of hosts overflow beyond 2^31 ms; a long-lived grant is looked at again after this. */
const CHECK_AFTER_MS_MAX = 60 * 60_000

export interface SessionTimerEvents {
  /** Coordinator time. */
  readonly expiresAtMs: () => number
  /** Who computes is not idle, however long the pass takes; rows that only wait are no sign of life. */
  readonly isBusy: () => boolean
  /** Somebody was missing for REPAIR_WAIT_MS. */
  readonly onMissing: () => void
  /** The session is idle, or its grant has ended. */
  readonly onExpired: (message: string) => void
}

export class SessionTimers {
  readonly #clock: Clock
  readonly #events: SessionTimerEvents
  #heardMs: number
  #cancelWait: CancelTimer | null = null
  #cancelWatch: CancelTimer = () => undefined

  constructor(clock: Clock, events: SessionTimerEvents) {
    this.#clock = clock
    this.#events = events
    this.#heardMs = clock.nowMs()
  }

  /** Begins: somebody is missing from the start. */
  start(): void {
    this.waitAnew()
    this.#watch()
  }

  heard(): void {
    this.#heardMs = this.#clock.nowMs()
  }

  /** Another chain was granted: its peers have all the time. */
  waitAnew(): void {
    this.#cancelWait?.()
    this.#cancelWait = this.#clock.after(REPAIR_WAIT_MS, this.#events.onMissing)
  }

  /** Whoever is missed already is not waited for longer because another goes too. */
  wait(): void {
    if (this.#cancelWait === null) this.waitAnew()
  }

  /** Everybody is there. */
  stopWaiting(): void {
    this.#cancelWait?.()
    this.#cancelWait = null
  }

  stop(): void {
    this.stopWaiting()
    this.#cancelWatch()
  }

  /** Looks at the idle limit and at the grant's end, whichever comes first, again and again. */
  #watch(): void {
    const nowMs = this.#clock.nowMs()
    const idleAtMs = this.#heardMs + SESSION_IDLE_MS
    const expiresAtMs = this.#events.expiresAtMs()
    if (nowMs >= idleAtMs && !this.#events.isBusy()) {
      this.#events.onExpired(`nothing was heard of the session for ${SESSION_IDLE_MS / 1000} s`)
    } else if (nowMs >= expiresAtMs) {
      this.#events.onExpired('the grant has expired; ask again to get a new one')
    } else {
      const checkAtMs = Math.min(idleAtMs > nowMs ? idleAtMs : nowMs + SESSION_IDLE_MS, expiresAtMs)
      this.#cancelWatch = this.#clock.after(Math.min(checkAtMs - nowMs, CHECK_AFTER_MS_MAX), () => this.#watch())
    }
  }
}
