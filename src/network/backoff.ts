/** Waits between attempts: doubling, bounded, and jittered, so that a restarted coordinator is not met by everybody at once. */

const FIRST_MS = 500
const MAX_MS = 30_000

/** Before attempt `failures` + 1; `random` gives [0, 1). */
export function backoffMs(failures: number, random: () => number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(failures, 10)) * (0.5 + random() / 2)
}
