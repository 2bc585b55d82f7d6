/** Patience: asks the coordinator again where its refusal passes by itself, or the connection is away, for a bounded time. */

import { CoordinatorRefused } from '../network/index.ts'
import { type Clock, TabswarmError } from '../shared/index.ts'

/** A request waits this long for a place, or for the connection, before it is refused. */
const PATIENCE_MS = 30_000
const RETRY_MS = 1_000

/** Tries again while the refusal is one that passes by itself, for a bounded time. */
export async function patiently<Value>(
  clock: Clock,
  attempt: (leftMs: number) => Promise<Value>,
  patienceMs = PATIENCE_MS,
): Promise<Value> {
  const untilMs = clock.nowMs() + patienceMs
  for (;;) {
    try {
      return await attempt(Math.max(0, untilMs - clock.nowMs()))
    } catch (error) {
      const delayMs = passingAfterMs(error)
      if (delayMs === null || clock.nowMs() + delayMs > untilMs) throw error
      await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
    }
  }
}

/** When to try again after a failure that passes by itself; null for those that don't. */
function passingAfterMs(error: unknown): number | null {
  if (error instanceof CoordinatorRefused) return error.retryAfterMs
  return error instanceof TabswarmError && error.reason === 'offline' ? RETRY_MS : null
}
