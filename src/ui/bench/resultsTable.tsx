/** Every measured case as a line, and every failed one with its reason. Scrolls inside itself where the screen is narrow. */

import { Table, Text } from '@mantine/core'
import { memo } from 'react'
import type { CaseFailure, CaseResult } from '../../kernels/suite/index.ts'
import { caseKey } from '../../kernels/suite/index.ts'
import { Explain } from './explain.tsx'
import { formatBandwidth, formatError, formatRate, formatRatio, formatShare, formatSpread, formatTime } from './figures.ts'
import styles from './resultsTable.module.css'
import { describeCase, KERNEL_NAMES } from './words.ts'

interface ResultsTableProps {
  readonly results: readonly CaseResult[]
  readonly failures: readonly CaseFailure[]
  readonly caption: string
  /** Shows the column of the comparison, or why there is none of a case. */
  readonly compared: boolean
}

export function ResultsTable({ results, failures, caption, compared }: ResultsTableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className={styles.scroll} tabIndex={0} aria-label={`${caption}, scrolls sideways`}>
      <Table captionSide="top" verticalSpacing="xs" className={styles.table ?? ''} data-testid="bench-table">
        <Table.Caption className={styles.caption ?? ''}>{caption}</Table.Caption>
        <Head compared={compared} />
        <Table.Tbody>
          {results.map((result) => (
            <ResultRow key={caseKey(result)} result={result} compared={compared} />
          ))}
          {failures.map((failure) => (
            <Table.Tr key={caseKey(failure)} data-testid="bench-failure">
              <CaseCell entry={failure} />
              <Table.Td colSpan={compared ? 5 : 4}>
                <Text size="sm" c="var(--mantine-color-error)">
                  Failed: {failure.error.message}
                </Text>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  )
}

const Head = memo(function Head({ compared }: { readonly compared: boolean }) {
  return (
    <Table.Thead>
      <Table.Tr>
        <Table.Th scope="col">Case</Table.Th>
        <Table.Th scope="col">
          Time{' '}
          <Explain term="the time">
            Median of one call over many repetitions; ± is half the distance between the quartiles. Where the GPU has a clock of its own,
            speeds are by that clock.
          </Explain>
        </Table.Th>
        <Table.Th scope="col">
          Memory{' '}
          <Explain term="the share of memory bandwidth">
            Bytes that the operation must read and write at least, each second; and the part of this adapter’s copy bandwidth that it
            reaches. Small shapes may pass 100 % out of caches.
          </Explain>
        </Table.Th>
        <Table.Th scope="col">
          Arithmetic{' '}
          <Explain term="the share of arithmetic">Operations each second, and the part of this adapter’s multiply-add rate.</Explain>
        </Table.Th>
        <Table.Th scope="col">
          Check{' '}
          <Explain term="the check">
            Before it is timed, each case is compared with exact arithmetic: the sum of squared errors over the sum of squares. A wrong
            result is not timed.
          </Explain>
        </Table.Th>
        {compared && (
          <Table.Th scope="col">
            Against ONNX Runtime{' '}
            <Explain term="the ratio to ONNX Runtime">
              Their time over ours, both timed in turns on this adapter: above 1 × this program is faster. The median of the pairs.
            </Explain>
          </Table.Th>
        )}
      </Table.Tr>
    </Table.Thead>
  )
})

/** Kept: a table of hundreds grows by one row at a time. */
const ResultRow = memo(function ResultRow({ result, compared }: { readonly result: CaseResult; readonly compared: boolean }) {
  const { ms, msQuartiles, gpuMs, samples, calls } = result
  return (
    <Table.Tr data-testid="bench-result">
      <CaseCell entry={result} />
      <Two
        first={formatTime(gpuMs ?? ms)}
        second={gpuMs === null ? formatSpread(ms, ...msQuartiles) : `by its clock; ${formatTime(ms)} in all`}
        title={`${samples} samples of ${calls} calls`}
      />
      <Two first={formatBandwidth(result.gbPerSecond)} second={formatShare(result.shareOfCopy)} />
      <Two first={formatRate(result.gflops)} second={formatShare(result.shareOfMultiplyAdd)} />
      <Two
        first={`✓ ${formatError(result.nmse)}`}
        second={result.checkedOutputs === result.outputs ? 'all outputs' : `${result.checkedOutputs.toLocaleString('en-US')} outputs`}
        title={`bound ${formatError(result.nmseMax)}`}
      />
      {compared && <Baseline result={result} />}
    </Table.Tr>
  )
})

function CaseCell({ entry }: { readonly entry: CaseResult | CaseFailure }) {
  return (
    <Table.Th scope="row" className={styles.case ?? ''}>
      {KERNEL_NAMES[entry.kernel]}
      <Text span display="block" size="xs" fw={400} c="dimmed">
        {describeCase(entry)}
      </Text>
    </Table.Th>
  )
}

function Two({ first, second, title }: { readonly first: string; readonly second: string; readonly title?: string }) {
  return (
    <Table.Td title={title} className={styles.figure ?? ''}>
      {first}
      <Text span display="block" size="xs" c="dimmed">
        {second}
      </Text>
    </Table.Td>
  )
}

function Baseline({ result: { baseline, baselineReason, ratio } }: { readonly result: CaseResult }) {
  if (baseline === null || ratio === null) {
    return (
      <Table.Td>
        <Text size="xs" c="dimmed" maw={220}>
          {baselineReason ?? 'not compared'}
        </Text>
      </Table.Td>
    )
  }
  const level = baseline.accuracyLevel === null ? '' : `, accuracy_level ${baseline.accuracyLevel}`
  return <Two first={formatRatio(ratio)} second={`${formatTime(baseline.ms)} there`} title={`${baseline.name}${level}`} />
}
