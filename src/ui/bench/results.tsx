/** What was measured, three times: a roofline, bars against ONNX Runtime, and the table with every figure. */

import { Group, Stack, Text, Title } from '@mantine/core'
import {
  type CaseFailure,
  type CaseResult,
  caseKey,
  SUITE_KERNELS,
  type SuiteAdapter,
  type SuiteKernel,
} from '../../kernels/suite/index.ts'
import { Explain } from './explain.tsx'
import { formatRate } from './figures.ts'
import { type Ratio, RatioBars } from './ratioBars.tsx'
import { ResultsTable } from './resultsTable.tsx'
import { Legend, type PlotMark, RooflinePlot } from './rooflinePlot.tsx'
import { KERNEL_NAMES, nameCase } from './words.ts'

interface ResultsProps {
  readonly adapter: SuiteAdapter
  readonly results: readonly CaseResult[]
  readonly failures: readonly CaseFailure[]
  /** Of the table: whose run this is. */
  readonly caption: string
  /** Whether ONNX Runtime was asked for. */
  readonly compared: boolean
}

const SHAPES: Readonly<Record<SuiteKernel, PlotMark['shape']>> = { matvec: 'circle', matmul: 'square', attention_decode: 'diamond' }

export function Results({ adapter, results, failures, caption, compared }: ResultsProps) {
  const ratios = results.flatMap(toRatio)
  return (
    <>
      {results.length > 0 && <Roofline adapter={adapter} results={results} />}
      {ratios.length > 0 && (
        <Stack gap="md" component="section" aria-labelledby="ratio-title" data-testid="bench-ratios">
          <Group gap={8}>
            <Title order={2} id="ratio-title">
              Against ONNX Runtime
            </Title>
            <Explain term="this comparison">
              Both sides run in turns on this adapter with the same inputs. The bar is the median of the pairs, the thin line its quartiles;
              the upright line is 1 ×, as fast as each other.
            </Explain>
          </Group>
          <RatioBars label="How many times as fast as ONNX Runtime" ratios={ratios} />
        </Stack>
      )}
      <Stack gap="md" component="section" aria-labelledby="table-title">
        <Title order={2} id="table-title">
          Every case
        </Title>
        <ResultsTable results={results} failures={failures} caption={caption} compared={compared} />
      </Stack>
    </>
  )
}

function Roofline({ adapter, results }: { readonly adapter: SuiteAdapter; readonly results: readonly CaseResult[] }) {
  const kernels = SUITE_KERNELS.filter((kernel) => results.some((result) => result.kernel === kernel))
  const marks = new Map(
    results.map((result) => [
      caseKey(result),
      { shape: SHAPES[result.kernel], title: `${nameCase(result)}: ${formatRate(result.gflops)}` },
    ]),
  )
  return (
    <Stack gap="sm" component="section" aria-labelledby="roofline-title">
      <Group gap={8}>
        <Title order={2} id="roofline-title">
          Roofline
        </Title>
        <Explain term="a roofline">
          The dashed line is what this adapter can do at best: its copy bandwidth on the slope, its multiply-add rate on the flat. A program
          at the line is as good as the adapter; points above it work out of caches.
        </Explain>
      </Group>
      <RooflinePlot
        runs={results.map((result) => ({
          id: caseKey(result),
          gflops: result.gflops,
          gbPerSecond: result.gbPerSecond,
          baselineGflops: result.ratio === null ? null : result.gflops / result.ratio,
        }))}
        roof={{ gbPerSecond: adapter.copyGbPerSecond, gflops: adapter.multiplyAddGflops }}
        marks={marks}
      />
      <Legend
        entries={kernels.map((kernel) => ({ shape: SHAPES[kernel], name: KERNEL_NAMES[kernel] }))}
        withBaseline={results.some(({ ratio }) => ratio !== null)}
      />
      <Text size="sm" c="dimmed">
        {bestWords(results)}
      </Text>
    </Stack>
  )
}

/** One sentence that the plot shows: what comes nearest to the adapter's bandwidth, and to its arithmetic. */
function bestWords(results: readonly CaseResult[]): string {
  const best = (share: (result: CaseResult) => number) => results.reduce((a, b) => (share(b) > share(a) ? b : a), results[0] as CaseResult)
  const memory = best(({ shareOfCopy }) => shareOfCopy)
  const arithmetic = best(({ shareOfMultiplyAdd }) => shareOfMultiplyAdd)
  const percent = (share: number) => `${Math.round(100 * share)} %`
  return `Nearest to the copy bandwidth: ${nameCase(memory)}, ${percent(memory.shareOfCopy)}. Nearest to the multiply-add rate: ${nameCase(arithmetic)}, ${percent(arithmetic.shareOfMultiplyAdd)}.`
}

function toRatio(result: CaseResult): Ratio[] {
  const { ratio, ratioQuartiles } = result
  return ratio === null ? [] : [{ id: caseKey(result), label: nameCase(result), ratio, quartiles: ratioQuartiles }]
}
