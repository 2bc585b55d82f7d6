/** SessionDrain: waits until a stage's sessions have ended, and ends those that stand still meanwhile. Rule S22 of protocol/SPEC.md. */

import { DRAIN_IDLE_MS } from '../protocol/index.ts'
import type { Clock, SessionId } from '../shared/index.ts'
import type { StageSession } from './stageSession.ts'

export class SessionDrain {
  readonly #sessions: ReadonlyMap<SessionId, StageSession>
  readonly #clock: Clock
  #waiting: (() => void)[] = []

  constructor(sessions: ReadonlyMap<SessionId, StageSession>, clock: Clock) {
    this.#sessions = sessions
    this.#clock = clock
  }

  /** Resolves when there is no session left. */
  async run(): Promise<void> {
    const stop = this.#endIdle()
    while (this.#sessions.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    stop()
  }

  /** A session has ended. */
  ended(): void {
    if (this.#sessions.size > 0) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Until cancelled. */
  #endIdle(): () => void {
    const sinceMs = this.#clock.nowMs()
    let cancel: () => void = () => undefined
    const look = () => {
      const idleMs = this.#clock.nowMs() - DRAIN_IDLE_MS
      for (const session of [...this.#sessions.values()])
        if (Math.max(sinceMs, session.idleSinceMs) <= idleMs)
          session.fail('stopped', 'this peer has to load other layers, and the session stood still')
      cancel = this.#clock.after(DRAIN_IDLE_MS / 3, look)
    }
    look()
    return () => cancel()
  }
}
