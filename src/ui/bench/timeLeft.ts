/** How far a run is and how long it still takes: by what its cases cost, not by their number. */

import {
  type CaseResult,
  caseMsDone,
  guessCaseTime,
  type SuiteAdapter,
  type SuiteCase,
  type SuiteKernel,
  type SuiteProgress,
} from '../../kernels/suite/index.ts'

export interface RunWork {
  readonly cases: readonly SuiteCase[]
  readonly adapter: SuiteAdapter
  /** Measured so far: they show what share of the roofline a kernel reaches here. */
  readonly results: readonly CaseResult[]
  /** Whether a baseline computes each case too. */
  readonly compared: boolean
}

export interface RunLeft {
  /** 0 to 1. */
  readonly partDone: number
  /** Null until a tenth of the run, or one case, shows a pace. */
  readonly secondsLeft: number | null
}

/** Of the roofline, before a kernel was measured. */
const SHARE_GUESSED = 0.5
const PART_WITH_A_PACE = 0.1

/** `elapsedMs`: since the first case began. */
export function runLeft({ cases, adapter, results, compared }: RunWork, progress: SuiteProgress, elapsedMs: number): RunLeft {
  const shares = new Map<SuiteKernel, number>()
  for (const { kernel, shareOfCopy, shareOfMultiplyAdd } of results) shares.set(kernel, Math.max(shareOfCopy, shareOfMultiplyAdd))
  let doneMs = 0
  let totalMs = 0
  for (const [index, entry] of cases.entries()) {
    const time = guessCaseTime(entry, { adapter, share: shares.get(entry.kernel) ?? SHARE_GUESSED, compared })
    const caseMs = time.prepareMs + time.timingMs
    totalMs += caseMs
    if (index < progress.caseIndex) doneMs += caseMs
    if (index === progress.caseIndex) doneMs += caseMsDone(time, progress.phase, progress.part)
  }
  const partDone = doneMs / totalMs
  const hasPace = elapsedMs > 0 && doneMs > 0 && (progress.caseIndex > 0 || partDone >= PART_WITH_A_PACE)
  return { partDone, secondsLeft: hasPace ? ((elapsedMs / doneMs) * (totalMs - doneMs)) / 1000 : null }
}
