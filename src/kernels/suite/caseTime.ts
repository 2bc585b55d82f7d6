/**
 * How long a case will take, guessed from its description before it has run: what a page's time left goes by. Right to a factor that a
 * run shows of itself; what matters is how cases compare, so that a large one at the end is not taken for one of many.
 */

import { blockSize } from '../../model/index.ts'
import { caseWork } from './cases.ts'
import { formatType } from './formats.ts'
import { CASE_MS, SAMPLES_MIN } from './runSuite.ts'
import type { SuiteAdapter, SuiteCase, SuitePhase } from './types.ts'

export interface CaseTime {
  /** Until the timing begins: numbers, buffers, shaders, the check. */
  readonly prepareMs: number
  readonly timingMs: number
}

export interface CaseTimeOptions {
  readonly adapter: SuiteAdapter
  /** Of the adapter's roofline that the kernel reaches, 0 to 1. */
  readonly share: number
  /** Whether a baseline computes each case too. */
  readonly compared: boolean
}

/** Shaders, buffers and the check of a small case; on SwiftShader compilation makes it a second. */
const SETUP_MS = 300
/** Of one random float of weights or cache, with its part of the reference: 4.0 s for 2²⁴ of them in Node 22. Blocks take a fiftieth. */
const FLOAT_MS = 2.4e-4

export function guessCaseTime(entry: SuiteCase, { adapter, share, compared }: CaseTimeOptions): CaseTime {
  const { flops, bytes } = caseWork(entry)
  const leastMs = Math.max(flops / adapter.multiplyAddGflops, bytes / adapter.copyGbPerSecond) / 1e6
  return {
    prepareMs: SETUP_MS + FLOAT_MS * floatCount(entry),
    timingMs: Math.max(CASE_MS, ((compared ? 2 : 1) * SAMPLES_MIN * leastMs) / share),
  }
}

/** Of that guess, what is done when a run is at `phase` and `part`. */
export function caseMsDone({ prepareMs, timingMs }: CaseTime, phase: SuitePhase, part: number): number {
  switch (phase) {
    case 'adapter':
    case 'preparing':
      return 0
    case 'checking':
    case 'warming-up':
      return prepareMs
    case 'timing':
      return prepareMs + part * timingMs
  }
}

/** Floats that the case's numbers are made of one by one; blocks are filled with random bits, which is quick. */
function floatCount({ kernel, format, shape }: SuiteCase): number {
  if (kernel === 'attention_decode') {
    const [positions = 0, , kvHeads = 0, headSize = 0] = shape
    return 2 * positions * kvHeads * headSize
  }
  const [outputs = 0, inputs = 0] = shape
  return blockSize(formatType(format)) === 1 ? outputs * inputs : 0
}
