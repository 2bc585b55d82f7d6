/** The kernel suite in words: names of kernels, cases and steps as the page shows them. */

import type { SuiteCase, SuiteKernel, SuitePhase } from '../../kernels/suite/index.ts'

export const KERNEL_NAMES: Readonly<Record<SuiteKernel, string>> = {
  matvec: 'Mat-vec',
  matmul: 'Mat-mat',
  attention_decode: 'Attention',
}

export const PHASE_WORDS: Readonly<Record<SuitePhase, string>> = {
  adapter: 'Measuring what this adapter can do at best',
  preparing: 'Compiling the program and filling memory',
  checking: 'Checking the result against exact arithmetic',
  'warming-up': 'Warming up',
  timing: 'Timing',
}

/** `q4_1, 1,536 × 576, 1 row`. */
export function describeCase({ kernel, format, shape, rows }: SuiteCase): string {
  if (kernel === 'attention_decode') {
    const [positions = 0, heads = 0, kvHeads = 0, headSize = 0] = shape
    return `${format}, ${count(positions)} positions, ${heads} heads on ${kvHeads}, size ${headSize}`
  }
  return `${format}, ${shape.map(count).join(' × ')}, ${count(rows)} ${rows === 1 ? 'row' : 'rows'}`
}

export function nameCase(entry: SuiteCase): string {
  return `${KERNEL_NAMES[entry.kernel]} ${describeCase(entry)}`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
