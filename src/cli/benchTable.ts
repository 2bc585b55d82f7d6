/** The kernel suite's results for a person at a terminal: a line a case as it comes, and a note where the run is. */

import type { SuiteCase, SuiteEvent, SuiteProgress } from '../kernels/suite/index.ts'
import { printLine, printNote } from './output.ts'

export class BenchTable {
  show(event: SuiteEvent): void {
    if (event.kind === 'adapter') {
      const { description, runtime, copyGbPerSecond, multiplyAddGflops } = event.adapter
      printLine(
        `${description} in ${runtime}: copies ${copyGbPerSecond.toFixed(1)} GB/s, ${multiplyAddGflops.toFixed(1)} GFLOP/s in registers`,
      )
      printLine(
        `${'case'.padEnd(50)}${['ms', 'GB/s', 'GFLOP/s', 'of copy', 'NMSE', 'ratio', 'quartiles'].map((cell) => cell.padStart(13)).join('')}`,
      )
      return
    }
    if (event.kind === 'failed') {
      printLine(`${caseText(event.failure).padEnd(50)}  failed: ${event.failure.error.message}`)
      return
    }
    const { result } = event
    const [low, high] = result.ratioQuartiles ?? []
    const cells = [
      result.ms.toFixed(3),
      result.gbPerSecond.toFixed(2),
      result.gflops.toFixed(2),
      `${(100 * result.shareOfCopy).toFixed(0)} %`,
      result.nmse.toExponential(1),
      result.ratio?.toFixed(2) ?? '–',
      low === undefined || high === undefined ? '' : `${low.toFixed(2)}–${high.toFixed(2)}`,
    ]
    printLine(`${caseText(result).padEnd(50)}${cells.map((cell) => cell.padStart(13)).join('')}`)
    const { baseline, baselineReason } = result
    if (baseline === null) printLine(`  no baseline: ${baselineReason}`)
    else {
      const level = baseline.accuracyLevel === null ? '' : `, accuracy_level ${baseline.accuracyLevel}`
      printLine(`  ${baseline.name}${level}: ${baseline.ms.toFixed(3)} ms, NMSE ${baseline.nmse.toExponential(1)}`)
    }
  }
}

function caseText({ kernel, format, shape, rows }: SuiteCase): string {
  return `${kernel} ${format} [${shape.join(', ')}], ${rows} row${rows === 1 ? '' : 's'}`
}

/** One note a case, so that a log stays readable. */
export function progressNotes(): (progress: SuiteProgress) => void {
  let last = -1
  return ({ caseIndex, caseCount }) => {
    if (caseIndex === last) return
    last = caseIndex
    printNote(`case ${caseIndex + 1} of ${caseCount}`)
  }
}
