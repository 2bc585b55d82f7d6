/**
 * The runner: each case is checked against its f64 reference, then timed, alone or in alternation with a baseline. Yields one event
 * a case; a case that fails is told and the others go on. Time, device and baseline are handed in.
 */

import { type Clock, toErrorBody } from '../../shared/index.ts'
import type { KernelDevice } from '../index.ts'
import { attentionSubject } from './attentionSubject.ts'
import type { Baseline, BaselineSubject } from './baseline.ts'
import { type CaseData, makeCaseData } from './caseData.ts'
import { caseWork, checkCase, SuiteError } from './cases.ts'
import { matmulSubject, matvecSubject } from './projectionSubjects.ts'
import { SubjectSampler } from './sampler.ts'
import { median, normalizedError, pairedRatios, quartiles } from './statistics.ts'
import type { Subject, SuiteTuning } from './subject.ts'
import type { BaselineResult, CaseResult, SuiteAdapter, SuiteCase, SuiteEvent, SuitePhase, SuiteProgress } from './types.ts'

export interface SuiteRequest {
  readonly kernels: KernelDevice
  readonly adapter: SuiteAdapter
  readonly tuning: SuiteTuning
  readonly cases: readonly SuiteCase[]
  readonly baseline: Baseline | null
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onProgress: (progress: SuiteProgress) => void
}

/** A median of fewer says little; the issue of this suite asks for as many pairs. */
export const SAMPLES_MIN = 20
const SAMPLES_MAX = 101
/** A case goes on for so long when it has its least samples. */
export const CASE_MS = 1500
/** One sample takes about this long, so that what a submit costs counts little. */
const SAMPLE_MS = 10
const CALLS_MAX = 64
/** Samples before the first that counts: clocks rise, caches fill. Where a call takes long, nothing rises any more. */
const WARM_UP_SAMPLES = 2
const LONG_CALL_MS = 250
const GPU_SAMPLES = 11
/** A baseline further off does not compute the same. */
const BASELINE_NMSE_MAX = 1e-4

/** Ends early, without an error, when `signal` fires: what was measured stays. */
export async function* runSuite(request: SuiteRequest): AsyncGenerator<SuiteEvent> {
  const { cases, signal, onProgress } = request
  for (const [caseIndex, entry] of cases.entries()) {
    if (signal.aborted) return
    const progress = (phase: SuitePhase, part: number) => onProgress({ caseIndex, caseCount: cases.length, phase, part })
    try {
      yield { kind: 'measured', result: await runCase(request, entry, progress) }
    } catch (error) {
      if (signal.aborted) return
      yield { kind: 'failed', failure: { ...entry, error: toErrorBody(error) } }
    }
  }
}

async function runCase(request: SuiteRequest, entry: SuiteCase, progress: (phase: SuitePhase, part: number) => void): Promise<CaseResult> {
  checkCase(entry)
  progress('preparing', 0)
  const { device } = request.kernels
  const data = makeCaseData(entry)
  const subject = await withoutGpuError(device, () => makeSubject(request, entry, data))
  const sampler = new SubjectSampler(device, request.clock, subject, !request.adapter.software)
  let opponent: BaselineSubject | null = null
  try {
    progress('checking', 0)
    const nmse = await withoutGpuError(device, () => sampler.check())
    if (!(nmse <= subject.nmseMax))
      throw new SuiteError('wrong-result', `the result is off: NMSE ${nmse}, the bound is ${subject.nmseMax}; it is not timed`)
    progress('warming-up', 0)
    const calls = await chooseCalls(request, entry, sampler)
    const prepared = await prepareBaseline(request, entry, data, calls)
    opponent = 'subject' in prepared ? prepared.subject : null
    const times = await takeSamples(request, sampler, opponent, calls, (part) => progress('timing', part))
    const gpuMs = await gpuTime(sampler, calls)
    const baseline = opponent === null ? null : baselineResult(opponent, times.theirs, data)
    return {
      ...entry,
      ...figures(request.adapter, entry, times.ours, gpuMs),
      samples: times.ours.length,
      calls,
      nmse,
      nmseMax: subject.nmseMax,
      checkedOutputs: subject.expected.indices.length,
      outputs: subject.rows * subject.outputs,
      ...compared(baseline, 'reason' in prepared ? prepared.reason : null, times),
    }
  } finally {
    await opponent?.destroy()
    sampler.destroy()
  }
}

function makeSubject({ kernels, tuning }: SuiteRequest, entry: SuiteCase, data: CaseData): Promise<Subject> {
  if (data.kind === 'attention') return attentionSubject(kernels, entry.format === 'f16' ? 'f16' : 'f32', data)
  return entry.kernel === 'matvec' ? matvecSubject(kernels, entry.format, data, tuning) : matmulSubject(kernels, entry.format, data, tuning)
}

/** Enough calls a sample that what surrounds them counts little. Attention against a baseline: one, since its runs are one call each. */
async function chooseCalls({ baseline }: SuiteRequest, entry: SuiteCase, sampler: SubjectSampler): Promise<number> {
  const firstMs = await sampler.sample(1)
  if (entry.kernel === 'attention_decode' && baseline !== null) return 1
  // The better of two: a machine that does other things may stop for a moment.
  const ms = Math.min(firstMs, await sampler.sample(1))
  return Math.min(CALLS_MAX, Math.max(1, Math.ceil(SAMPLE_MS / Math.max(ms, 1e-3))))
}

async function prepareBaseline(
  { baseline }: SuiteRequest,
  entry: SuiteCase,
  data: CaseData,
  calls: number,
): Promise<{ readonly subject: BaselineSubject } | { readonly reason: string }> {
  if (baseline === null) return { reason: 'none was asked for' }
  try {
    return await baseline.prepare(entry, data, calls)
  } catch (error) {
    return { reason: `it failed: ${toErrorBody(error).message.slice(0, 300)}` }
  }
}

interface Times {
  readonly ours: number[]
  /** As many as ours, or none. */
  readonly theirs: number[]
}

/** Alternating, and each second pair the other way around, so that neither side always comes first. */
async function takeSamples(
  { signal, clock }: SuiteRequest,
  sampler: SubjectSampler,
  opponent: BaselineSubject | null,
  calls: number,
  progress: (part: number) => void,
): Promise<Times> {
  const times: Times = { ours: [], theirs: [] }
  const sides = [async (count: boolean) => record(times.ours, await sampler.sample(calls), count)]
  if (opponent !== null) sides.push(async (count) => record(times.theirs, await opponent.sample(calls), count))
  let startMs = clock.nowMs()
  for (let round = -WARM_UP_SAMPLES; ; round++) {
    if (round < 0 && clock.nowMs() - startMs > LONG_CALL_MS) round = 0
    if (round === 0) startMs = clock.nowMs()
    const spentMs = clock.nowMs() - startMs
    if (round >= SAMPLES_MAX || (round >= SAMPLES_MIN && spentMs >= CASE_MS)) return times
    progress(Math.max(0, Math.min(round / SAMPLES_MIN, Math.max(spentMs / CASE_MS, round / SAMPLES_MAX))))
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      if (signal.aborted) throw new SuiteError('cancelled', 'the run was cancelled')
      await side(round >= 0)
    }
  }
}

function record(times: number[], ms: number, count: boolean): void {
  if (count) times.push(ms)
}

async function gpuTime(sampler: SubjectSampler, calls: number): Promise<number | null> {
  const times: number[] = []
  for (let sample = 0; sample < GPU_SAMPLES; sample++) {
    const ms = await sampler.gpuMs(calls)
    if (ms === null) return null
    times.push(ms)
  }
  return median(times)
}

function figures({ copyGbPerSecond, multiplyAddGflops }: SuiteAdapter, entry: SuiteCase, times: readonly number[], gpuMs: number | null) {
  const ms = median(times)
  const { flops, bytes } = caseWork(entry)
  const gbPerSecond = bytes / (gpuMs ?? ms) / 1e6
  const gflops = flops / (gpuMs ?? ms) / 1e6
  const shares = { shareOfCopy: gbPerSecond / copyGbPerSecond, shareOfMultiplyAdd: gflops / multiplyAddGflops }
  return { ms, msQuartiles: quartiles(times), gpuMs, gbPerSecond, gflops, ...shares }
}

/** Null where its outputs are not those of the reference. */
function baselineResult(opponent: BaselineSubject, times: readonly number[], data: CaseData): BaselineResult {
  const first = opponent.firstRow()
  const { indices, values } = data.expected
  const count = indices.findIndex((index) => index >= first.length)
  const checked = count === -1 ? indices.length : count
  const actual = Float64Array.from(indices.subarray(0, checked), (index) => first[index] ?? Number.NaN)
  return {
    name: opponent.name,
    ms: median(times),
    msQuartiles: quartiles(times),
    accuracyLevel: opponent.accuracyLevel,
    nmse: normalizedError(actual, values.subarray(0, checked)),
  }
}

function compared(baseline: BaselineResult | null, reason: string | null, { ours, theirs }: Times) {
  if (baseline === null) return { baseline: null, baselineReason: reason, ratio: null, ratioQuartiles: null }
  if (!(baseline.nmse <= BASELINE_NMSE_MAX)) {
    const off = `${baseline.name} is off by NMSE ${baseline.nmse}: it does not compute the same`
    return { baseline: null, baselineReason: off, ratio: null, ratioQuartiles: null }
  }
  const ratios = pairedRatios(ours, theirs)
  return { baseline, baselineReason: null, ratio: median(ratios), ratioQuartiles: quartiles(ratios) }
}

/** WebGPU reports what it refuses beside the calls; here it becomes this case's error. */
async function withoutGpuError<Value>(device: GPUDevice, job: () => Promise<Value>): Promise<Value> {
  device.pushErrorScope('out-of-memory')
  device.pushErrorScope('validation')
  const outcome = await job().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  const validation = await device.popErrorScope()
  const outOfMemory = await device.popErrorScope()
  const refused = validation ?? outOfMemory
  if ('error' in outcome) throw outcome.error
  if (refused !== null) throw new SuiteError('does-not-fit', `the GPU refuses this case: ${refused.message}`)
  return outcome.value
}
