/** A scripted BenchHost and made-up measurements, for unit tests and for the preview under test/ui-preview. Never part of the app. */

import {
  type CaseResult,
  casesOf,
  caseWork,
  defaultChoice,
  type SuiteAdapter,
  type SuiteCase,
  type SuiteMessage,
  type SuiteRun,
  type SuiteRunRequest,
} from '../../kernels/suite/index.ts'
import type { ErrorBody, Result } from '../../shared/index.ts'
import type { BenchHost } from '../bench/benchHost.ts'

export const FAKE_ADAPTER: SuiteAdapter = {
  description: 'NVIDIA GeForce RTX 4070',
  vendor: 'nvidia',
  architecture: 'lovelace',
  software: false,
  runtime: 'Chromium 156',
  features: ['shader-f16', 'subgroups', 'timestamp-query'],
  limits: {
    maxBufferSize: 4_294_967_296,
    maxStorageBufferBindingSize: 2_147_483_644,
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 32_768,
  },
  copyGbPerSecond: 438,
  multiplyAddGflops: 24_600,
}

/** A result at `part` of what the adapter allows; `ratio` null: ONNX Runtime has no such kernel. */
export function fakeResult(entry: SuiteCase, part: number, ratio: number | null, adapter: SuiteAdapter = FAKE_ADAPTER): CaseResult {
  const { flops, bytes } = caseWork(entry)
  const ms = Math.max(flops / adapter.multiplyAddGflops, bytes / adapter.copyGbPerSecond) / 1e6 / part
  const gbPerSecond = bytes / ms / 1e6
  const gflops = flops / ms / 1e6
  return {
    ...entry,
    ms,
    msQuartiles: [0.98 * ms, 1.03 * ms],
    gpuMs: null,
    samples: 40,
    calls: 16,
    gbPerSecond,
    gflops,
    shareOfCopy: gbPerSecond / adapter.copyGbPerSecond,
    shareOfMultiplyAdd: gflops / adapter.multiplyAddGflops,
    nmse: 1.3e-12,
    nmseMax: 1e-6,
    checkedOutputs: 512,
    outputs: 1536,
    baseline:
      ratio === null
        ? null
        : {
            name: 'onnxruntime-web 1.30.0 MatMulNBits',
            ms: ms * ratio,
            msQuartiles: [0.95 * ms * ratio, 1.06 * ms * ratio],
            accuracyLevel: 0,
            nmse: 2e-12,
          },
    baselineReason: ratio === null ? 'ONNX Runtime has no kernel for this format' : null,
    ratio,
    ratioQuartiles: ratio === null ? null : [0.94 * ratio, 1.05 * ratio],
  }
}

export function fakeRun(cases: readonly SuiteCase[] = casesOf(defaultChoice), factor = 1): SuiteRun {
  return {
    format: 'tabswarm-bench-1',
    adapter: FAKE_ADAPTER,
    kernelVersion: 'wgsl-1',
    cases: cases.map((entry, at) => fakeResult(entry, factor * (0.35 + 0.06 * (at % 8)), at % 5 === 4 ? null : 0.8 + 0.45 * (at % 6))),
    failures: [],
  }
}

/** One run under way: the test plays the worker. */
export interface ScriptedSuite {
  readonly request: SuiteRunRequest
  readonly say: (message: SuiteMessage) => void
  readonly resolve: (result: Result<'done' | 'cancelled', ErrorBody>) => void
  cancelled: boolean
  terminated: boolean
}

export class FakeBenchHost implements BenchHost {
  readonly obstacle: BenchHost['obstacle']
  readonly kernelVersion = 'wgsl-2'
  readonly suites: ScriptedSuite[] = []
  readonly timers: { atMs: number; callback: () => void }[] = []
  timeMs = 0

  constructor(obstacle: BenchHost['obstacle'] = null) {
    this.obstacle = obstacle
  }

  nowMs = () => this.timeMs

  after = (delayMs: number, callback: () => void) => {
    this.timers.push({ atMs: this.timeMs + delayMs, callback })
  }

  /** Lets time pass, and carries out what was due. */
  advance(ms: number): void {
    this.timeMs += ms
    for (const timer of this.timers.splice(0)) {
      if (timer.atMs <= this.timeMs) timer.callback()
      else this.timers.push(timer)
    }
  }

  startSuite = () => {
    let scripted: ScriptedSuite | null = null
    return {
      api: {
        adapter: async () => ({ ok: true, value: FAKE_ADAPTER }) as const,
        run: (request: SuiteRunRequest, say: (message: SuiteMessage) => void) =>
          new Promise<Result<'done' | 'cancelled', ErrorBody>>((resolve) => {
            scripted = { request, say, resolve, cancelled: false, terminated: false }
            this.suites.push(scripted)
          }),
        cancel: async () => {
          if (scripted !== null) scripted.cancelled = true
        },
      },
      terminate: () => {
        if (scripted !== null) scripted.terminated = true
      },
    }
  }
}
