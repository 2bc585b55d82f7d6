/**
 * A run as a file: JSON and CSV out, JSON in again, two runs compared. A file may be a stranger's: it is parsed and bounded here, and
 * nothing else of the suite reads one.
 */

import * as v from 'valibot'
import { toErrorBody } from '../../shared/index.ts'
import { CASES_MAX, SuiteError } from './cases.ts'
import { isSuiteFormat } from './formats.ts'
import { type CaseResult, caseKey, type SuiteFormat, type SuiteRun } from './types.ts'

/** A case takes 0.6 kB. */
export const RUN_BYTES_MAX = 4 * 2 ** 20

const text = v.pipe(v.string(), v.maxLength(500))
const positive = v.pipe(v.number(), v.finite(), v.minValue(0))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const pair = v.tuple([positive, positive])

const caseEntries = {
  kernel: v.picklist(['matvec', 'matmul', 'attention_decode']),
  format: v.custom<SuiteFormat>((value) => typeof value === 'string' && isSuiteFormat(value), 'a format of GGML in lower case'),
  shape: v.pipe(v.array(count), v.minLength(2), v.maxLength(4)),
  rows: count,
}

const resultSchema = v.object({
  ...caseEntries,
  ms: positive,
  msQuartiles: pair,
  gpuMs: v.nullable(positive),
  samples: count,
  calls: count,
  gbPerSecond: positive,
  gflops: positive,
  shareOfCopy: positive,
  shareOfMultiplyAdd: positive,
  nmse: positive,
  nmseMax: positive,
  checkedOutputs: count,
  outputs: count,
  baseline: v.nullable(v.object({ name: text, ms: positive, msQuartiles: pair, accuracyLevel: v.nullable(count), nmse: positive })),
  baselineReason: v.nullable(text),
  ratio: v.nullable(positive),
  ratioQuartiles: v.nullable(pair),
})

const runSchema = v.object({
  format: v.literal('tabswarm-bench-1'),
  adapter: v.object({
    description: text,
    vendor: text,
    architecture: text,
    software: v.boolean(),
    runtime: text,
    features: v.pipe(v.array(text), v.maxLength(100)),
    limits: v.object({
      maxBufferSize: count,
      maxStorageBufferBindingSize: count,
      maxComputeInvocationsPerWorkgroup: count,
      maxComputeWorkgroupStorageSize: count,
    }),
    copyGbPerSecond: positive,
    multiplyAddGflops: positive,
  }),
  kernelVersion: text,
  cases: v.pipe(v.array(resultSchema), v.maxLength(CASES_MAX)),
  failures: v.pipe(
    v.array(v.object({ ...caseEntries, error: v.object({ reason: text, message: v.pipe(v.string(), v.maxLength(4000)) }) })),
    v.maxLength(CASES_MAX),
  ),
})

export function runToJson(run: SuiteRun): string {
  return `${JSON.stringify(run, null, 1)}\n`
}

/** A run that the page or the terminal wrote. Throws `bad-file`, and says where. */
export function parseRun(json: string): SuiteRun {
  if (json.length > RUN_BYTES_MAX)
    throw new SuiteError('bad-file', `the file has ${json.length} bytes; a run of ours has ${RUN_BYTES_MAX} at most`)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new SuiteError('bad-file', `the file is not JSON: ${toErrorBody(cause).message}`, { cause })
  }
  const parsed = v.safeParse(runSchema, fromTerminal(value))
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  throw new SuiteError('bad-file', `the file is no exported run of this suite: ${v.getDotPath(issue) ?? 'its root'}: ${issue.message}`)
}

/** What `bench kernels --json` prints: the adapter's name under `adapter`, what is known of it under `device`. */
function fromTerminal(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('adapter' in value && 'device' in value)) return value
  return typeof value.adapter === 'string' ? { ...value, adapter: value.device } : value
}

const CSV_COLUMNS: readonly (readonly [string, (result: CaseResult) => string | number | null])[] = [
  ['kernel', ({ kernel }) => kernel],
  ['format', ({ format }) => format],
  ['shape', ({ shape }) => shape.join('x')],
  ['rows', ({ rows }) => rows],
  ['ms', ({ ms }) => ms],
  ['ms_q1', ({ msQuartiles }) => msQuartiles[0]],
  ['ms_q3', ({ msQuartiles }) => msQuartiles[1]],
  ['gpu_ms', ({ gpuMs }) => gpuMs],
  ['gb_per_second', ({ gbPerSecond }) => gbPerSecond],
  ['gflops', ({ gflops }) => gflops],
  ['share_of_copy', ({ shareOfCopy }) => shareOfCopy],
  ['share_of_multiply_add', ({ shareOfMultiplyAdd }) => shareOfMultiplyAdd],
  ['nmse', ({ nmse }) => nmse],
  ['baseline', ({ baseline }) => baseline?.name ?? null],
  ['baseline_ms', ({ baseline }) => baseline?.ms ?? null],
  ['baseline_accuracy_level', ({ baseline }) => baseline?.accuracyLevel ?? null],
  ['baseline_reason', ({ baselineReason }) => baselineReason],
  ['ratio', ({ ratio }) => ratio],
  ['ratio_q1', ({ ratioQuartiles }) => ratioQuartiles?.[0] ?? null],
  ['ratio_q3', ({ ratioQuartiles }) => ratioQuartiles?.[1] ?? null],
]

/** RFC 4180; one line a measured case, empty cells where there is no value. */
export function runToCsv(run: SuiteRun): string {
  const lines = [CSV_COLUMNS.map(([name]) => name), ...run.cases.map((result) => CSV_COLUMNS.map(([, value]) => csvCell(value(result))))]
  return lines.map((cells) => `${cells.join(',')}\r\n`).join('')
}

function csvCell(value: string | number | null): string {
  const cell = String(value ?? '')
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

export interface CaseComparison {
  readonly before: CaseResult
  readonly after: CaseResult
  /** before's ms / after's ms: above 1 `after` is faster. */
  readonly speedup: number
}

export interface RunComparison {
  /** In the order of `after`. */
  readonly both: readonly CaseComparison[]
  readonly onlyBefore: readonly CaseResult[]
  readonly onlyAfter: readonly CaseResult[]
}

/** Case by case; two runs on different adapters compare adapters, which the caller says. */
export function compareRuns(before: SuiteRun, after: SuiteRun): RunComparison {
  const known = new Map(before.cases.map((result) => [caseKey(result), result]))
  const both: CaseComparison[] = []
  const onlyAfter: CaseResult[] = []
  for (const result of after.cases) {
    const earlier = known.get(caseKey(result))
    known.delete(caseKey(result))
    if (earlier === undefined) onlyAfter.push(result)
    else both.push({ before: earlier, after: result, speedup: earlier.ms / result.ms })
  }
  return { both, onlyBefore: [...known.values()], onlyAfter }
}
