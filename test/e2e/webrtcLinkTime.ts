/** Time for the page and the worker of the link tests. */

import type { Clock } from '../../src/shared/index.ts'

export const pageClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Rejects when it has not come within a minute. */
export async function until(done: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (!done()) {
    if (performance.now() > deadlineMs) throw new Error('never came')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
