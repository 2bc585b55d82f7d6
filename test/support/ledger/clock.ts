/** Real time, for tests of what runs in real time. */

import type { Clock } from '../../../src/shared/index.ts'

export const realClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
